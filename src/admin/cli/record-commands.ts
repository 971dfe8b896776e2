/** The commands `produce` and `consume` and their flags. */
import { ApplianceError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'
import {
  collectPair,
  type CommandContext,
  type KafkaFlags,
  pointInTime,
  wholeNumber,
  withClient,
  withKafkaFlags,
} from './command-flags.ts'
import { earliestTimestamp, latestTimestamp } from './offset-timestamps.ts'
import type { RecordStreamOptions } from './record-stream.ts'

interface ProduceFlags extends KafkaFlags {
  readonly key?: string
  readonly keySeparator?: string
  readonly value?: string
  readonly header?: readonly (readonly [string, string])[]
  readonly partition?: number
}

interface ConsumeFlags extends KafkaFlags {
  readonly fromBeginning?: true
  readonly fromOffset?: number
  readonly fromTime?: string
  readonly partition?: number
  readonly max?: number
  readonly exitAtEnd?: true
}

export function addRecordCommands({ program, host }: CommandContext): void {
  withKafkaFlags(program.command('produce').description('lines of stdin, or one value, as records').argument('<topic>'))
    .option('--value <text>', 'one record with this value; stdin is not read')
    .option('--key <text>', 'key of every record')
    .option('--key-separator <text>', 'what stands before it in a line is the key')
    .option('--header <name=value>', 'a header of every record; may be repeated', collectPair)
    .option('--partition <n>', 'to this partition (default: by key, or in turn)', wholeNumber)
    .action((topic: string, flags: ProduceFlags) =>
      withClient(host, flags, async (client) => {
        const { produce } = await import('./produce-command.ts')
        const { key = null, keySeparator = null, value = null, header: headers = [], partition = null } = flags
        await produce(client, topic, { key, keySeparator, value, headers, partition, json: flags.json ?? false })
      }),
    )
  withKafkaFlags(
    program.command('consume').description('records of a topic; new ones until Ctrl-C').argument('<topic>'),
  )
    .option('--from-beginning', 'from the first record that there is')
    .option('--from-offset <n>', 'from this offset', wholeNumber)
    .option('--from-time <time>', 'from the first record of or after this time')
    .option('--partition <n>', 'only this partition', wholeNumber)
    .option('--max <n>', 'end after so many records', wholeNumber)
    .option('--exit-at-end', 'end where the log ended when the command began')
    .action((topic: string, flags: ConsumeFlags) =>
      withClient(host, flags, async (client) => {
        const { consume } = await import('./consume-command.ts')
        const { partition = null, max = null, exitAtEnd = false, json = false } = flags
        await consume(client, { topic, partition, max, exitAtEnd, json, from: startOf(flags) })
      }),
    )
}

function startOf(flags: ConsumeFlags): RecordStreamOptions['from'] {
  const starts: RecordStreamOptions['from'][] = []
  if (flags.fromBeginning) starts.push({ timestamp: earliestTimestamp })
  if (flags.fromOffset !== undefined) starts.push({ offset: flags.fromOffset })
  if (flags.fromTime !== undefined) starts.push({ timestamp: pointInTime('--from-time', flags.fromTime) })
  if (starts.length > 1) {
    const detail = 'only one of --from-beginning, --from-offset and --from-time can hold'
    throw new ApplianceError(cliErrors.valueInvalid, { name: 'consume', detail })
  }
  return starts[0] ?? { timestamp: latestTimestamp }
}
