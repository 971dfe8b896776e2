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
  'compression.gzip.level': {
    type: 'int',
    default: '-1',
    least: -1,
    most: 9,
    doc: 'Level with which `compression.type=gzip` compresses, 1 to 9; -1 = the library’s default.',
    synonym: { name: 'compression.gzip.level' },
    refuse: (value) => (Number(value) === 0 ? 'compression.gzip.level must be 1 to 9, or -1 for the default' : null),
  },
  'compression.type': {
    type: 'string',
    default: 'producer',
    choices: ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'],
    doc: 'Codec in which batches are stored, MQTT’s too; `producer`: as they arrive.',
    synonym: { name: 'compression.type' },
  },
  'compression.zstd.level': {
    type: 'int',
    default: '3',
    least: -131_072,
    most: 22,
    doc: 'Level with which `compression.type=zstd` compresses.',
    synonym: { name: 'compression.zstd.level' },
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
  'flush.messages': {
    type: 'long',
    default: String(longMax),
    least: 1,
    doc: 'Records after which the log is flushed at the latest. Every value is kept: a batch is flushed before it is acknowledged.',
    synonym: { name: 'log.flush.interval.messages' },
  },
  'flush.ms': {
    type: 'long',
    default: String(longMax),
    least: 0,
    doc: 'Time after which the log is flushed at the latest. Every value is kept: a batch is flushed before it is acknowledged.',
    synonym: { name: 'log.flush.interval.ms' },
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
  preallocate: {
    type: 'boolean',
    default: 'false',
    doc: 'Are the blocks of a whole segment taken when it begins? The size of the file stays that of its records; an event tells when there is no room.',
    synonym: { name: 'log.preallocate' },
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
  'segment.jitter.ms': {
    type: 'long',
    default: '0',
    least: 0,
    doc: 'Each segment is closed up to so much earlier than segment.ms, by chance, so that not all are closed at once.',
    synonym: { name: 'log.roll.jitter.ms' },
  },
  'segment.ms': {
    type: 'long',
    default: '604800000',
    least: 1,
    doc: 'Age at which a segment is closed.',
    synonym: { name: 'log.roll.ms' },
  },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: 'false',
    doc: 'May a replica that lacks records become the leader? There is one replica.',
    synonym: { name: 'unclean.leader.election.enable' },
    refuse: (value) =>
      isTrue(value)
        ? 'unclean.leader.election.enable=true is refused: there is one replica, and no other could be elected'
        : null,
  },
}

/** Topic configs that Kafka knows and this node does not act on yet. */
const notServed: Readonly<Record<string, string>> = {
  'leader.replication.throttled.replicas': 'there is one replica',
  'follower.replication.throttled.replicas': 'there is one replica',
  'remote.storage.enable': 'there is no tiered storage yet',
  'remote.log.copy.disable': 'there is no tiered storage yet',
  'remote.log.delete.on.disable': 'there is no tiered storage yet',
  'local.retention.ms': 'there is no tiered storage yet',
  'local.retention.bytes': 'there is no tiered storage yet',
  'compression.lz4.level': 'the LZ4 library of this version has one level; compression.type=lz4 works without it',
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
    preallocate: isTrue(text('preallocate')),
    segmentJitterMs: number('segment.jitter.ms'),
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
    compressionType: compressionTypeOf(text('compression.type')),
    compressionLevels: { gzip: number('compression.gzip.level'), zstd: number('compression.zstd.level') },
    flush: defaultLogConfig.flush,
  }
}

function isTrue(value: string): boolean {
  return value.trim().toLowerCase() === 'true'
}

function compressionTypeOf(value: string): LogConfig['compressionType'] {
  return value === 'uncompressed' ? 'none' : (value as LogConfig['compressionType'])
}
