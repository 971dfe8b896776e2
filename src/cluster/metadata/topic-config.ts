/**
 * Kafka's topic configs that mean something on this node, under Kafka's names, with Kafka's defaults. One that Kafka knows and this
 * node does not act on yet is refused with the reason: nothing is accepted in vain.
 */
import { type CleanupPolicy, defaultLogConfig, type LogConfig } from '../../log/log-config.ts'
import { type ConfigDefinition, type ConfigTable, faultOf, listOf } from './config-table.ts'

const longMax = 9_223_372_036_854_775_807n

export const topicConfigTable: ConfigTable = {
  'cleanup.policy': {
    type: 'list',
    default: 'delete',
    choices: ['delete', 'compact'],
    doc: 'What happens to old segments: `delete` gives them up by age and size, `compact` keeps the last record of each key, both may be set.',
    synonym: { name: 'log.cleanup.policy' },
  },
  'compression.type': {
    type: 'string',
    default: 'producer',
    choices: ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'],
    doc: 'Codec in which batches are stored. Only `producer` so far: batches are stored as they arrive.',
    synonym: { name: 'compression.type' },
    refuse: (value) =>
      value === 'producer'
        ? null
        : `compression.type=${value} is refused: this version stores batches as the producer compressed them`,
  },
  'delete.retention.ms': {
    type: 'long',
    default: '86400000',
    least: 0,
    doc: 'How long compaction leaves a tombstone (a record without a value) for readers that are behind.',
    synonym: { name: 'log.cleaner.delete.retention.ms' },
  },
  'file.delete.delay.ms': {
    type: 'long',
    default: '60000',
    least: 0,
    doc: 'How long a deleted segment stays on disk under another name.',
    synonym: { name: 'log.segment.delete.delay.ms' },
  },
  'index.interval.bytes': {
    type: 'int',
    default: '4096',
    least: 0,
    doc: 'Bytes of log between two entries of an offset index.',
    synonym: { name: 'log.index.interval.bytes' },
  },
  'max.compaction.lag.ms': {
    type: 'long',
    default: String(longMax),
    least: 1,
    doc: 'Age at which a record is compacted however little there is to compact; its segment is closed for it.',
    synonym: { name: 'log.cleaner.max.compaction.lag.ms' },
  },
  'max.message.bytes': {
    type: 'int',
    default: '1048588',
    least: 0,
    doc: 'Largest batch.',
    synonym: { name: 'message.max.bytes' },
  },
  'message.timestamp.after.max.ms': {
    type: 'long',
    default: '3600000',
    least: 0,
    doc: "How far a record's timestamp may be ahead of this node's clock.",
    synonym: { name: 'log.message.timestamp.after.max.ms' },
  },
  'message.timestamp.before.max.ms': {
    type: 'long',
    default: String(longMax),
    least: 0,
    doc: "How far a record's timestamp may be behind this node's clock.",
    synonym: { name: 'log.message.timestamp.before.max.ms' },
  },
  'message.timestamp.type': {
    type: 'string',
    default: 'CreateTime',
    choices: ['CreateTime', 'LogAppendTime'],
    doc: 'Whose clock stamps a record: the producer’s or this node’s.',
    synonym: { name: 'log.message.timestamp.type' },
  },
  'min.cleanable.dirty.ratio': {
    type: 'double',
    default: '0.5',
    least: 0,
    most: 1,
    doc: 'Share of a partition that must not have been compacted yet before it is compacted again.',
    synonym: { name: 'log.cleaner.min.cleanable.ratio' },
  },
  'min.compaction.lag.ms': {
    type: 'long',
    default: '0',
    least: 0,
    doc: 'How long a record is left alone by compaction.',
    synonym: { name: 'log.cleaner.min.compaction.lag.ms' },
  },
  'min.insync.replicas': {
    type: 'int',
    default: '1',
    least: 1,
    doc: 'Replicas that must have a record before acks=all is answered. With one node there is one.',
    synonym: { name: 'min.insync.replicas' },
    refuse: (value) =>
      Number(value) > 1
        ? 'min.insync.replicas above 1 is refused: there is one node, and no write could be acknowledged'
        : null,
  },
  'retention.bytes': {
    type: 'long',
    default: '-1',
    doc: 'Bytes of one partition beyond which its oldest segments go; -1 = no limit.',
    synonym: { name: 'log.retention.bytes' },
  },
  'retention.ms': {
    type: 'long',
    default: '604800000',
    least: -1,
    doc: 'Age beyond which a segment goes; -1 = never.',
    synonym: { name: 'log.retention.ms' },
  },
  'segment.bytes': {
    type: 'int',
    default: '1073741824',
    least: 1_048_576,
    doc: 'Size at which a segment is closed and the next begun.',
    synonym: { name: 'log.segment.bytes' },
  },
  'segment.index.bytes': {
    type: 'int',
    default: '10485760',
    least: 4,
    doc: 'Largest offset index; a full one closes the segment.',
    synonym: { name: 'log.index.size.max.bytes' },
  },
  'segment.ms': {
    type: 'long',
    default: '604800000',
    least: 1,
    doc: 'Age at which a segment is closed.',
    synonym: { name: 'log.roll.ms' },
  },
}

/** Topic configs that Kafka knows and this node does not act on yet. */
const notServed: Readonly<Record<string, string>> = {
  'flush.messages': 'every acknowledged batch is flushed already',
  'flush.ms': 'every acknowledged batch is flushed already',
  preallocate: 'segments are not preallocated yet',
  'segment.jitter.ms': 'segments are closed without jitter',
  'unclean.leader.election.enable': 'there is one replica',
  'leader.replication.throttled.replicas': 'there is one replica',
  'follower.replication.throttled.replicas': 'there is one replica',
  'remote.storage.enable': 'there is no tiered storage yet',
  'remote.log.copy.disable': 'there is no tiered storage yet',
  'remote.log.delete.on.disable': 'there is no tiered storage yet',
  'local.retention.ms': 'there is no tiered storage yet',
  'local.retention.bytes': 'there is no tiered storage yet',
  'compression.gzip.level': 'batches are stored as the producer compressed them',
  'compression.lz4.level': 'batches are stored as the producer compressed them',
  'compression.zstd.level': 'batches are stored as the producer compressed them',
}

/** The configs of an internal topic are its owner's: they may say what is refused to clients. */
export type ConfigOwner = 'client' | 'node'

/** What is wrong with a topic config, as a sentence for the client; null when it may be set. */
export function topicConfigFault(name: string, value: string | null, owner: ConfigOwner = 'client'): string | null {
  const definition: ConfigDefinition | undefined = Object.hasOwn(topicConfigTable, name)
    ? topicConfigTable[name]
    : undefined
  if (definition === undefined) {
    const reason = Object.hasOwn(notServed, name) ? notServed[name] : undefined
    return reason === undefined
      ? `Unknown topic config name: ${name}`
      : `The topic config ${name} is not served: ${reason}`
  }
  if (value === null) return `Null value not supported for topic configs: ${name}`
  const { refuse: _, ...withoutRefusal } = definition
  return faultOf(name, owner === 'node' ? withoutRefusal : definition, value)
}

/** The log engine's form of a topic's configs: those that are set, over the node's defaults. */
export function logConfigOf(set: ReadonlyMap<string, string>, defaultOf: (name: string) => string): LogConfig {
  const text = (name: string): string => set.get(name) ?? defaultOf(name)
  const number = (name: string): number => {
    const value = Number(text(name))
    return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value
  }
  return {
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    segmentIndexBytes: number('segment.index.bytes'),
    indexIntervalBytes: number('index.interval.bytes'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    maxMessageBytes: number('max.message.bytes'),
    timestampType: text('message.timestamp.type') === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    fileDeleteDelayMs: number('file.delete.delay.ms'),
    deleteRetentionMs: number('delete.retention.ms'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs: number('max.compaction.lag.ms'),
    cleanupPolicy: new Set(listOf(text('cleanup.policy')) as CleanupPolicy[]),
    flush: defaultLogConfig.flush,
  }
}
