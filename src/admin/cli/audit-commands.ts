/** The command `audit` and its flags. */
import { ApplianceError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'
import { type CommandContext, jsonOption } from './command-flags.ts'
import { exitStatus } from './exit-status.ts'
import { gatherConfiguration, type StartFlags, withConfigurationFlags } from './start-command.ts'

interface VerifyFlags extends StartFlags {
  readonly file?: string
  readonly topic?: true
  readonly anchor?: string
  readonly json?: true
}

export function addAuditCommands({ program, host, finish }: CommandContext): void {
  const audit = program.command('audit').description('the record of who came in, was refused, and changed what')
  const verify = audit
    .command('verify')
    .description('follow the chain of hashes, without a daemon; exit status 1 at the first place where it is not whole')
  withConfigurationFlags(verify)
    .option('--file <FILE>', 'one file, or `-` for lines of a consumer (default: the files of the data directory)')
    .option('--topic', 'the segments of __headwater_audit in the data directory')
    .option('--anchor <SEQUENCE:HASH>', 'a record that was noted down elsewhere, and must be there unchanged')
    .option(...jsonOption)
    .action(async (flags: VerifyFlags) => {
      const { file = null, topic = false, anchor, json = false, ...rest } = flags
      if (file !== null && topic) {
        throw new ApplianceError(cliErrors.valueInvalid, { name: '--file', detail: 'name a file or the topic' })
      }
      const { parseAnchor, verifyAudit } = await import('./audit-command.ts')
      const dataDir = file === null ? await dataDirOf(rest) : ''
      const known = anchor === undefined ? null : parseAnchor(anchor)
      const isWhole = await verifyAudit({ dataDir, file, topic, anchor: known, json })
      finish(isWhole ? exitStatus.done : exitStatus.failed)
    })

  async function dataDirOf(flags: StartFlags): Promise<string> {
    const report = await host.inspectConfiguration(await gatherConfiguration(flags))
    if (report.kind === 'invalid') {
      const detail = report.problems.join('; ')
      throw new ApplianceError(cliErrors.valueInvalid, { name: 'the configuration', detail })
    }
    const value = report.entries.find(({ key }) => key === 'dataDir')?.value
    return typeof value === 'string' ? value : ''
  }
}
