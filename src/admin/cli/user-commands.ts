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

export function addUserCommands({ program, host }: CommandContext): void {
  const users = program.command('users').description('users with a password (SCRAM credentials)')
  withKafkaFlags(users.command('list').description('users and their mechanisms')).action((flags: KafkaFlags) =>
    withClient(host, flags, async (client) => {
      const { listUsers } = await import('./users-command.ts')
      await listUsers(client, flags.json ?? false)
    }),
  )
  withKafkaFlags(
    users
      .command('set')
      .description('set the password of a user; it is read from standard input, or asked for on a terminal')
      .argument('<user>'),
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
        const { choosePassword } = await import('./password-input.ts')
        if (flags.passwordFile === '-') {
          const detail = 'standard input holds the password that is set; name a file for your own'
          throw new ApplianceError(cliErrors.valueInvalid, { name: '--password-file', detail })
        }
        const password = await choosePassword(process.stdin.isTTY ? null : '-', user)
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
