/** Every command of the command line, on commander; the files that do the work are imported when their command runs. */
import { Command, CommanderError, Option } from 'commander'
import { exitStatus } from './command-line.ts'
import type { CommandLineHost } from './host.ts'
import { configurationFlags, gatherConfiguration, type StartFlags } from './start-command.ts'

/** Parses and runs; resolves with the exit status. Rejects when the command itself fails. */
export async function runCommands(args: readonly string[], host: CommandLineHost): Promise<number> {
  let status: number = exitStatus.done
  const program = new Command('headwater')
    .description(
      'The small box that never loses a reading: MQTT and Kafka in, one durable log, out to consumers and a central Apache Kafka.',
    )
    .version(host.version)
    .exitOverride()
    .showHelpAfterError('(see --help)')
  addStart(program, host)
  addConfig(program, host, (result) => {
    status = result
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    return thrown.exitCode === 0 ? exitStatus.done : exitStatus.misused
  }
}

function addStart(program: Command, host: CommandLineHost): void {
  const start = program.command('start').description('run the daemon in the foreground')
  withConfigurationFlags(start).action(async (flags: StartFlags) => host.startDaemon(await gatherConfiguration(flags)))
}

function addConfig(program: Command, host: CommandLineHost, finish: (status: number) => void): void {
  const config = program.command('config').description('the configuration in force')
  const run = (kind: 'print' | 'check') => async (flags: StartFlags & { json?: boolean }) => {
    const { json = false, ...rest } = flags
    const { printConfiguration, checkConfiguration } = await import('./config-command.ts')
    const report = await host.inspectConfiguration(await gatherConfiguration(rest))
    finish(
      (kind === 'print' ? printConfiguration : checkConfiguration)(report, json) ? exitStatus.done : exitStatus.failed,
    )
  }
  const print = config.command('print').description('every key, its value and where it comes from')
  withConfigurationFlags(print).addOption(jsonOption()).action(run('print'))
  const check = config.command('check').description('say what is wrong; exit status 1 when something is')
  withConfigurationFlags(check).addOption(jsonOption()).action(run('check'))
}

function withConfigurationFlags(command: Command): Command {
  for (const { name, value, help } of configurationFlags) command.option(`--${name} <${value}>`, help)
  return command
}

function jsonOption(): Option {
  return new Option('--json', 'machine-readable output')
}
