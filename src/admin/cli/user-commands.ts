/** The command `users` and its flags. */
import { ApplianceError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'
import { type CommandContext, type KafkaFlags, wholeNumber, withClient, withKafkaFlags } from './command-flags.ts'
import type { UserMechanism } from './users-command.ts'

interface SetFlags extends KafkaFlags {
  readonly mechanism: string
  readonly iterations: number
}

const mechanisms: readonly UserMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']
const passwordBytesMax = 1024

export function addUserCommands({ program, host }: CommandContext): void {
  const users = program.command('users').description('users with a password (SCRAM credentials)')
  withKafkaFlags(users.command('list').description('users and their mechanisms')).action((flags: KafkaFlags) =>
    withClient(host, flags, async (client) => {
      const { listUsers } = await import('./users-command.ts')
      await listUsers(client, flags.json ?? false)
    }),
  )
  withKafkaFlags(
    users.command('set').description('set the password of a user; it is read from standard input').argument('<user>'),
  )
    .option('--mechanism <name>', mechanisms.join(' or '), 'SCRAM-SHA-256')
    .option('--iterations <n>', '4096 to 16384', wholeNumber, 4096)
    .action((user: string, flags: SetFlags) => {
      const mechanism = mechanisms.find((name) => name === flags.mechanism)
      if (mechanism === undefined) {
        const detail = `${flags.mechanism} is not ${mechanisms.join(' or ')}`
        throw new ApplianceError(cliErrors.valueInvalid, { name: '--mechanism', detail })
      }
      return withClient(host, flags, async (client) => {
        const { setUser } = await import('./users-command.ts')
        const password = await firstLineOfInput()
        await setUser(client, user, { password, mechanism, iterations: flags.iterations })
      })
    })
  withKafkaFlags(users.command('remove').description('remove every credential of a user').argument('<user>')).action(
    (user: string, flags: KafkaFlags) =>
      withClient(host, flags, async (client) => {
        const { removeUser } = await import('./users-command.ts')
        await removeUser(client, user)
      }),
  )
}

/** Never from the command line, which other users of the machine can read. */
async function firstLineOfInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk)
    if (text.includes('\n') || text.length > passwordBytesMax) break
  }
  const line = /^[^\r\n]*/.exec(text)?.[0] ?? ''
  process.stdin.destroy()
  return line
}
