/** The command `setup` and its flags. */
import type { ListenAddress } from '../../base/ports.ts'
import { addresses, type CommandContext, jsonOption, passwordFileOption, wholeNumber } from './command-flags.ts'

interface SetupFlags {
  readonly config: string
  readonly admin: string
  readonly passwordFile?: string
  readonly bootstrapServer?: readonly ListenAddress[]
  readonly http?: string
  readonly iterations: number
  readonly json?: true
}

export function addSetupCommand({ program, host }: CommandContext): void {
  program
    .command('setup')
    .description('make the first admin at the running daemon, and close its listeners to whoever has no name')
    .option('--config <FILE>', 'the YAML file that the daemon starts with; made when it is missing', 'headwater.yaml')
    .option('--admin <NAME>', 'name of the admin', 'admin')
    .option(...passwordFileOption)
    .option(
      '-b, --bootstrap-server <HOST:PORT,...>',
      "the daemon's Kafka listener on this machine (default: the first)",
      addresses,
    )
    .option('--http <HOST:PORT>', "the daemon's HTTP listener (default: as the file says; https://HOST:PORT under TLS)")
    .option('--iterations <n>', '4096 to 16384: the price of a guess for who steals the credentials', wholeNumber, 8192)
    .option(...jsonOption)
    .action(async (flags: SetupFlags) => {
      const { setUp } = await import('./setup-command.ts')
      await setUp(host, {
        file: flags.config,
        admin: flags.admin,
        passwordFile: flags.passwordFile ?? null,
        bootstrapServer: flags.bootstrapServer ?? null,
        http: flags.http ?? null,
        iterations: flags.iterations,
        json: flags.json ?? false,
      })
    })
}
