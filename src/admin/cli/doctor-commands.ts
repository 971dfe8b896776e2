/** `headwater doctor`, on commander. */
import { type CommandContext, jsonOption, wholeNumber } from './command-flags.ts'
import { exitStatus } from './exit-status.ts'
import { gatherConfiguration, type StartFlags, withConfigurationFlags } from './start-command.ts'

export function addDoctorCommand({ program, host, finish }: CommandContext): void {
  const command = program
    .command('doctor')
    .description('look at this host and its disk with the eyes of the daemon; exit status 1 when something is a fault')
  withConfigurationFlags(command)
    .option(
      '--power-cut <DIR>',
      'write flushed blocks there until the plug is pulled; run again, it says what was lost',
    )
    .option('--last <N>', 'with --power-cut, afterwards: the last number that another screen has seen', wholeNumber)
    .option(...jsonOption)
    .action(async (flags: StartFlags & { powerCut?: string; last?: number; json?: true }) => {
      const { json = false, powerCut, last = null, ...rest } = flags
      const { printExamination, tryPowerCut } = await import('./doctor-command.ts')
      if (powerCut !== undefined) {
        finish(tryPowerCut(powerCut, { last, json }) ? exitStatus.done : exitStatus.failed)
        return
      }
      const report = await host.inspectConfiguration(await gatherConfiguration(rest))
      const isSound = await printExamination(report, { dataDir: rest.dataDir ?? null, json })
      finish(isSound ? exitStatus.done : exitStatus.failed)
    })
}
