/** The commands `topics` and `groups` and their flags. */
import { ApplianceError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'
import {
  collect,
  collectPair,
  type CommandContext,
  type KafkaFlags,
  pointInTime,
  wholeNumber,
  withClient,
  withKafkaFlags,
} from './command-flags.ts'
import type { ResetTarget } from './groups-command.ts'

export function addTopicCommands({ program, host }: CommandContext): void {
  const topics = program.command('topics').description('topics of the log')
  withKafkaFlags(topics.command('list').description('names and partition counts'))
    .option('--internal', 'internal topics too')
    .action((flags: KafkaFlags & { internal?: true }) =>
      withClient(host, flags, async (client) => {
        const { listTopics } = await import('./topics-command.ts')
        await listTopics(client, { json: flags.json ?? false, internal: flags.internal ?? false })
      }),
    )
  withKafkaFlags(topics.command('create').description('create a topic').argument('<topic>'))
    .option('--partitions <n>', "partitions (default: the broker's num.partitions)", wholeNumber)
    .option('--replication-factor <n>', "replicas (default: the broker's)", wholeNumber)
    .option('--config <name=value>', 'a topic config; may be repeated', collectPair)
    .action(
      (
        topic: string,
        flags: KafkaFlags & {
          partitions?: number
          replicationFactor?: number
          config?: readonly (readonly [string, string])[]
        },
      ) =>
        withClient(host, flags, async (client) => {
          const { createTopic } = await import('./topics-command.ts')
          const { partitions = -1, replicationFactor = -1, config = [] } = flags
          await createTopic(
            client,
            topic,
            { partitions, replicationFactor, configs: new Map(config) },
            flags.json ?? false,
          )
        }),
    )
  withKafkaFlags(
    topics.command('describe').description('partitions, offsets and configs of a topic').argument('<topic>'),
  ).action((topic: string, flags: KafkaFlags) =>
    withClient(host, flags, async (client) => {
      const { describeTopic } = await import('./topics-command.ts')
      await describeTopic(client, topic, flags.json ?? false)
    }),
  )
  withKafkaFlags(topics.command('delete').description('delete topics and their records').argument('<topic...>')).action(
    (names: string[], flags: KafkaFlags) =>
      withClient(host, flags, async (client) => {
        const { deleteTopics } = await import('./topics-command.ts')
        await deleteTopics(client, names, flags.json ?? false)
      }),
  )
  withKafkaFlags(topics.command('alter').description('change configs, or add partitions').argument('<topic>'))
    .option('--partitions <n>', 'new number of partitions', wholeNumber)
    .option('--config <name=value>', 'set a topic config; may be repeated', collectPair)
    .option('--remove-config <name>', 'back to the default; may be repeated', collect)
    .action(
      (
        topic: string,
        flags: KafkaFlags & {
          partitions?: number
          config?: readonly (readonly [string, string])[]
          removeConfig?: readonly string[]
        },
      ) =>
        withClient(host, flags, async (client) => {
          const { alterTopic } = await import('./topics-command.ts')
          const { partitions = null, config = [], removeConfig: remove = [] } = flags
          await alterTopic(client, topic, { partitions, set: new Map(config), remove }, flags.json ?? false)
        }),
    )
}

interface ResetFlags extends KafkaFlags {
  readonly topic?: readonly string[]
  readonly toEarliest?: true
  readonly toLatest?: true
  readonly toOffset?: number
  readonly shiftBy?: string
  readonly toTime?: string
  readonly execute?: true
}

export function addGroupCommands({ program, host }: CommandContext): void {
  const groups = program.command('groups').description('consumer groups')
  withKafkaFlags(groups.command('list').description('names and states')).action((flags: KafkaFlags) =>
    withClient(host, flags, async (client) => {
      const { listGroups } = await import('./groups-command.ts')
      await listGroups(client, flags.json ?? false)
    }),
  )
  withKafkaFlags(
    groups.command('describe').description('members, offsets and lag of a group').argument('<group>'),
  ).action((group: string, flags: KafkaFlags) =>
    withClient(host, flags, async (client) => {
      const { describeGroup } = await import('./groups-command.ts')
      await describeGroup(client, group, flags.json ?? false)
    }),
  )
  withKafkaFlags(
    groups.command('reset-offsets').description('set the offsets of a group without members').argument('<group>'),
  )
    .option('--topic <name>', 'only this topic; may be repeated (default: those with committed offsets)', collect)
    .option('--to-earliest', 'to the first record that there is')
    .option('--to-latest', 'to the end')
    .option('--to-offset <n>', 'to this offset', wholeNumber)
    .option('--shift-by <n>', 'by so many records, back with a minus')
    .option('--to-time <time>', 'to the first record of or after this time')
    .option('--execute', 'do it; without this flag the plan is shown')
    .action((group: string, flags: ResetFlags) =>
      withClient(host, flags, async (client) => {
        const { resetOffsets } = await import('./groups-command.ts')
        const options = { target: resetTarget(flags), execute: flags.execute ?? false, json: flags.json ?? false }
        await resetOffsets(client, group, flags.topic ?? [], options)
      }),
    )
  withKafkaFlags(groups.command('delete').description('forget groups and their offsets').argument('<group...>')).action(
    (names: string[], flags: KafkaFlags) =>
      withClient(host, flags, async (client) => {
        const { deleteGroups } = await import('./groups-command.ts')
        await deleteGroups(client, names, flags.json ?? false)
      }),
  )
}

function resetTarget(flags: ResetFlags): ResetTarget {
  const targets: ResetTarget[] = []
  if (flags.toEarliest) targets.push({ kind: 'earliest' })
  if (flags.toLatest) targets.push({ kind: 'latest' })
  if (flags.toOffset !== undefined) targets.push({ kind: 'offset', value: flags.toOffset })
  if (flags.shiftBy !== undefined) targets.push({ kind: 'shift', value: shift(flags.shiftBy) })
  if (flags.toTime !== undefined) targets.push({ kind: 'timestamp', value: pointInTime('--to-time', flags.toTime) })
  const [target] = targets
  if (target !== undefined && targets.length === 1) return target
  const detail = 'say where to, with one of --to-earliest, --to-latest, --to-offset, --shift-by, --to-time'
  throw new ApplianceError(cliErrors.valueInvalid, { name: 'reset-offsets', detail })
}

function shift(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(value)) return value
  throw new ApplianceError(cliErrors.valueInvalid, { name: '--shift-by', detail: `"${text}" is not a whole number` })
}
