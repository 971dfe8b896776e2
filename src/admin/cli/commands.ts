/** Every command of the command line, on commander; the files that do the work are imported when their command runs. */
import { Command, CommanderError } from 'commander'
import type { ListenAddress } from '../../base/ports.ts'
import { addAuditCommands } from './audit-commands.ts'
import { addCertCommands } from './cert-commands.ts'
import { addressOption, type CommandContext, jsonOption, listenAddress, wholeNumber } from './command-flags.ts'
import { type HttpFlags, withHttpFlags } from './daemon-http.ts'
import { addDoctorCommand } from './doctor-commands.ts'
import { exitStatus } from './exit-status.ts'
import type { CommandLineHost } from './host.ts'
import { addMqttCommands } from './mqtt-commands.ts'
import { addRecordCommands } from './record-commands.ts'
import { addRoleCommands } from './role-commands.ts'
import { addSetupCommand } from './setup-commands.ts'
import { gatherConfiguration, type StartFlags, withConfigurationFlags } from './start-command.ts'
import { addTokenCommands } from './token-commands.ts'
import { addGroupCommands, addTopicCommands } from './topic-group-commands.ts'
import { addUserCommands } from './user-commands.ts'

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
  const finish = (result: number) => {
    status = result
  }
  const context: CommandContext = { program, host, finish }
  addStart(context)
  addTopicCommands(context)
  addRecordCommands(context)
  addGroupCommands(context)
  addUserCommands(context)
  addCertCommands(context)
  addMqttCommands(context)
  addRoleCommands(context)
  addTokenCommands(context)
  addAuditCommands(context)
  addSetupCommand(context)
  addStatus(context)
  addConfig(context)
  addDoctorCommand(context)
  addDumpLog(context)
  addLog(context)
  addRecover(context)
  addExportKafka(context)
  addDemo(context)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    return thrown.exitCode === 0 ? exitStatus.done : exitStatus.misused
  }
}

function addStart({ program, host }: CommandContext): void {
  const start = program.command('start').description('run the daemon in the foreground')
  withConfigurationFlags(start).action(async (flags: StartFlags) => host.startDaemon(await gatherConfiguration(flags)))
}

function addStatus({ program }: CommandContext): void {
  const status = program.command('status').description('the running appliance')
  withHttpFlags(status).action(async (flags: HttpFlags) => {
    const { printStatus } = await import('./status-command.ts')
    await printStatus(flags)
  })
  const mirror = program.command('mirror').description('mirrors to central clusters')
  withHttpFlags(mirror.command('status').description('each mirror and the lag of each partition')).action(
    async (flags: HttpFlags) => {
      const { printMirrors } = await import('./status-command.ts')
      await printMirrors(flags)
    },
  )
}

function addConfig({ program, host, finish }: CommandContext): void {
  const config = program.command('config').description('the configuration in force')
  const run = (kind: 'print' | 'check') => async (flags: StartFlags & { json?: true }) => {
    const { json = false, ...rest } = flags
    const { printConfiguration, checkConfiguration } = await import('./config-command.ts')
    const source = await gatherConfiguration(rest)
    const report = await host.inspectConfiguration(source)
    const fileName = source.file?.name ?? null
    const isValid =
      kind === 'print' ? printConfiguration(report, fileName, json) : checkConfiguration(report, fileName, json)
    finish(isValid ? exitStatus.done : exitStatus.failed)
  }
  withConfigurationFlags(config.command('print').description('every key, its value and where it comes from'))
    .option(...jsonOption)
    .action(run('print'))
  withConfigurationFlags(config.command('check').description('say what is wrong; exit status 1 when something is'))
    .option(...jsonOption)
    .action(run('check'))
}

function addDumpLog({ program, host, finish }: CommandContext): void {
  program
    .command('dump-log')
    .description('show the files of a partition, without a daemon; exit status 1 when one is damaged')
    .argument('<path...>', '.log, .index or .timeindex files, or the folder of a partition')
    .option('--records', 'the records inside the batches too')
    .option(...jsonOption)
    .action(async (paths: string[], flags: { records?: true; json?: true }) => {
      const { dumpLog } = await import('./dump-log-command.ts')
      const compute = async () => (await host.clientPorts()).compute
      const isSound = await dumpLog(paths, { json: flags.json ?? false, records: flags.records ?? false }, compute)
      finish(isSound ? exitStatus.done : exitStatus.failed)
    })
}

function addLog({ program, host, finish }: CommandContext): void {
  const log = program.command('log').description('the stored log, without a daemon')
  const verify = log
    .command('verify')
    .description('look through a stopped data directory for damage; exit status 1 when stored records are damaged')
  withConfigurationFlags(verify)
    .option(...jsonOption)
    .action(async (flags: StartFlags & { json?: true }) => {
      const { json = false, ...rest } = flags
      const { printVerification } = await import('./verify-command.ts')
      const source = await gatherConfiguration(rest)
      const isSound = await printVerification((tell) => host.verifyLog(source, tell), json)
      finish(isSound ? exitStatus.done : exitStatus.failed)
    })
}

function addRecover({ program, host }: CommandContext): void {
  const recover = program.command('recover').description('after the metadata had to be rebuilt')
  const confirm = recover
    .command('confirm')
    .description('the topics and their settings are as they should be: let retention and compaction go on')
  withConfigurationFlags(confirm)
    .option(...jsonOption)
    .action(async (flags: StartFlags & { json?: true }) => {
      const { json = false, ...rest } = flags
      const { printResult } = await import('./output.ts')
      const reason = await host.confirmRecovery(await gatherConfiguration(rest))
      printResult({ held: reason }, json, () =>
        reason === null ? 'nothing was held' : `confirmed (${reason}): retention and compaction go on`,
      )
    })
}

interface ExportFlags extends StartFlags {
  readonly controller: ListenAddress
  readonly internal: ListenAddress
  readonly secretFile: string
  readonly allowDamage?: true
  readonly json?: true
}

function addExportKafka({ program, host }: CommandContext): void {
  const command = program
    .command('export-kafka')
    .description('ready a stopped data directory for Apache Kafka and print the server.properties that opens it there')
  withConfigurationFlags(command)
    .addOption(
      addressOption('--controller <HOST:PORT>', "listener of Kafka's controller", listenAddress, '127.0.0.1:9093'),
    )
    .addOption(
      addressOption(
        '--internal <HOST:PORT>',
        'listener by which the broker speaks to itself, where listeners of clients will not do',
        listenAddress,
        '127.0.0.1:9094',
      ),
    )
    .option('--secret-file <path>', "file with the broker's own password, for the same", '/etc/kafka/broker.secret')
    .option('--allow-damage', 'do not look through what is stored, and hand over what is known to be damaged too')
    .option(...jsonOption)
    .action(async (flags: ExportFlags) => {
      const { json = false, controller, internal, secretFile, allowDamage = false, ...rest } = flags
      const { printKafkaExport } = await import('./export-kafka-command.ts')
      const found = await host.exportForKafka(await gatherConfiguration(rest), { allowsDamage: allowDamage })
      printKafkaExport(found, { controller, internal, secretFile }, json)
    })
}

function addDemo({ program, host, finish }: CommandContext): void {
  program
    .command('demo')
    .description('an edge, a central, sensors and a consumer on this machine, with a link that is cut now and then')
    .option('--seconds <n>', 'end after this long (default: until Ctrl-C)', wholeNumber)
    .option('--sensors <n>', 'number of simulated sensors', wholeNumber, 8)
    .option('--rate <n>', 'readings a second, all sensors together', wholeNumber, 400)
    .option(...jsonOption)
    .action(async (flags: { seconds?: number; sensors: number; rate: number; json?: true }) => {
      const { runDemo } = await import('../demo/demo.ts')
      const { seconds = null, sensors, rate, json = false } = flags
      finish((await runDemo(host, { seconds, sensors, rate, json })) ? exitStatus.done : exitStatus.failed)
    })
}
