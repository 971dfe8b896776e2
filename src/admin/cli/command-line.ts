/**
 * The `headwater` command. `start` takes the short way, without the framework; every other command loads commander and the file
 * that implements it.
 */
import { exitStatus } from './exit-status.ts'
import type { CommandLineHost } from './host.ts'
import { printFailure } from './output.ts'
import { outputFault, settleOutput, watchStandardStreams } from './standard-output.ts'
import { gatherConfiguration, parseStartFlags } from './start-command.ts'

/**
 * Runs one command line (without the interpreter and the script). Resolves with the exit status when it is done; failures are on
 * stderr by then. The caller sets `process.exitCode` and lets the loop drain.
 */
export async function runCommandLine(args: readonly string[], host: CommandLineHost): Promise<number> {
  watchStandardStreams()
  try {
    const startFlags = args[0] === 'start' ? parseStartFlags(args.slice(1)) : null
    if (startFlags !== null) {
      await host.startDaemon(await gatherConfiguration(startFlags))
      return exitStatus.done
    }
    const { runCommands } = await import('./commands.ts')
    const status = await runCommands(args, host)
    await settleOutput()
    return status
  } catch (thrown) {
    const fault = outputFault(thrown)
    if (fault === null) return exitStatus.done
    printFailure(fault)
    return exitStatus.failed
  }
}
