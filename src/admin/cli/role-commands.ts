/** `headwater role`: roles are templates of access control entries, written and removed as ordinary entries. */
import { ApplianceError } from '../../base/errors.ts'
import { createAclsApi, deleteAclsApi } from '../../protocol/kafka/apis.ts'
import { aclText } from '../../security/acl-text.ts'
import { userPrincipal } from '../../security/principal.ts'
import { entriesOfRole, type RoleName, roleNames, roles } from '../../security/roles.ts'
import { cliErrors } from './cli-errors.ts'
import { type CommandContext, jsonOption, type KafkaFlags, withClient, withKafkaFlags } from './command-flags.ts'
import { formatTable, printResult } from './output.ts'

interface RoleFlags extends KafkaFlags {
  readonly topic?: string
}

export function addRoleCommands({ program, host }: CommandContext): void {
  const role = program.command('role').description('rights by roles: templates of access control entries')
  role
    .command('list')
    .description('the roles and what each may do')
    .option(...jsonOption)
    .action(({ json = false }: { json?: boolean }) => {
      const rows = roleNames.map((name) => ({ role: name, says: roles[name].says }))
      printResult(rows, json, () =>
        formatTable(
          ['ROLE', 'MAY'],
          rows.map(({ role: name, says }) => [name, says]),
        ),
      )
    })
  const change = (word: 'grant' | 'revoke', description: string): void => {
    withKafkaFlags(
      role
        .command(word)
        .description(description)
        .argument('<role>', roleNames.join(', '))
        .argument('<user>', 'name of the user, or of the certificate')
        .option('--topic <PREFIX>', 'only topics and groups whose names begin with it'),
    ).action((name: string, user: string, flags: RoleFlags) =>
      withClient(host, flags, async (client) => {
        const { role: known, prefix } = judge(name, flags.topic)
        const entries = entriesOfRole(known, userPrincipal(user), prefix)
        const { refuseError } = await import('./kafka-client.ts')
        if (word === 'grant') {
          const creations = entries.map(({ patternType, ...entry }) => ({ ...entry, resourcePatternType: patternType }))
          const { results } = await client.ask(createAclsApi, { creations })
          for (const { errorCode, errorMessage } of results) refuseError('CreateAcls', errorCode, errorMessage)
        } else {
          const { filterResults } = await client.ask(deleteAclsApi, { filters: entries.map(filterOf) })
          for (const { errorCode, errorMessage } of filterResults) refuseError('DeleteAcls', errorCode, errorMessage)
        }
        printResult({ [word]: entries }, flags.json ?? false, () => entries.map(aclText).join('\n'))
      }),
    )
  }
  change('grant', 'write the entries of a role for a user')
  change('revoke', 'remove them again')
}

function judge(name: string, prefix: string | undefined): { readonly role: RoleName; readonly prefix: string | null } {
  const role = roleNames.find((each) => each === name)
  const refuse = (what: string, detail: string): never => {
    throw new ApplianceError(cliErrors.valueInvalid, { name: what, detail })
  }
  if (role === undefined) return refuse('the role', `"${name}" is none of ${roleNames.join(', ')}`)
  if (prefix === undefined && roles[role].needsTopics) refuse('--topic', `a ${role} needs the prefix of its topics`)
  if (prefix === '' || prefix === '*')
    refuse('--topic', 'a prefix has at least one character; without it the role is of all topics')
  return { role, prefix: prefix ?? null }
}

function filterOf(entry: ReturnType<typeof entriesOfRole>[number]) {
  return {
    resourceTypeFilter: entry.resourceType,
    resourceNameFilter: entry.resourceName,
    patternTypeFilter: entry.patternType,
    principalFilter: entry.principal,
    hostFilter: entry.host,
    operation: entry.operation,
    permissionType: entry.permissionType,
  }
}
