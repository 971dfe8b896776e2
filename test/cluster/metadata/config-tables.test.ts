import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BrokerSettings, brokerConfigTable } from '../../../src/cluster/metadata/broker-config.ts'
import { faultOf, listOf } from '../../../src/cluster/metadata/config-table.ts'
import { logConfigOf, topicConfigFault, topicConfigTable } from '../../../src/cluster/metadata/topic-config.ts'
import { defaultLogConfig } from '../../../src/log/log-config.ts'

interface KafkaSetting {
  readonly type: string
  readonly default: string
}

const golden = readFileSync(new URL('../../golden/kafka-configs.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' '))

function kafkaSettings(kind: string): ReadonlyMap<string, KafkaSetting> {
  const rows = golden.filter(([rowKind]) => rowKind === kind)
  return new Map(rows.map(([, name = '', type = '', value = '']) => [name, { type, default: value }]))
}

/** Broker settings whose default differs, with Kafka's: a small host, or a default that Kafka spells with another setting. */
const otherDefaults: Readonly<Record<string, string>> = {
  'group.max.size': '2147483647',
  'log.flush.interval.ms': 'null',
  'log.cleaner.dedupe.buffer.size': '134217728',
  'log.cleaner.io.max.bytes.per.second': '1.7976931348623157E308',
  'log.retention.ms': 'null',
  'log.roll.jitter.ms': 'null',
  'log.roll.ms': 'null',
  'sasl.oauthbearer.expected.issuer': 'null',
  'sasl.oauthbearer.jwks.endpoint.url': 'null',
  'max.connections': '2147483647',
  'max.connections.per.ip': '2147483647',
  'offsets.topic.num.partitions': '50',
  'offsets.topic.segment.bytes': '104857600',
  'socket.request.max.bytes': '104857600',
}

describe('the topic configs', () => {
  it("have Kafka's names, types, defaults and broker synonyms", () => {
    const kafka = kafkaSettings('topic')
    const synonyms = new Map(golden.filter(([kind]) => kind === 'synonym').map(([, name, synonym]) => [name, synonym]))
    for (const [name, definition] of Object.entries(topicConfigTable)) {
      expect({ name, type: definition.type, default: definition.default }).toEqual({ name, ...kafka.get(name) })
      expect([name, definition.synonym?.name]).toEqual([name, synonyms.get(name)])
    }
  })

  it("are each of Kafka's: acted on, or refused with the reason", () => {
    for (const name of kafkaSettings('topic').keys()) {
      if (Object.hasOwn(topicConfigTable, name) || name.startsWith('internal.')) continue
      expect(topicConfigFault(name, '1'), name).toMatch(/^The topic config \S+ is not served: /)
    }
    expect(topicConfigFault('no.such.config', '1')).toBe('Unknown topic config name: no.such.config')
    expect(topicConfigFault('toString', '1')).toBe('Unknown topic config name: toString')
  })

  it('take what Kafka takes and refuse the rest with a reason', () => {
    const verdicts = (
      [
        ['retention.ms', '-1'],
        ['retention.ms', '-2'],
        ['retention.ms', '9223372036854775807'],
        ['retention.ms', '9223372036854775808'],
        ['retention.ms', ' +5 '],
        ['retention.ms', '1.5'],
        ['retention.ms', ''],
        ['max.message.bytes', '2147483648'],
        ['segment.bytes', '1048575'],
        ['message.timestamp.type', 'LogAppendTime'],
        ['message.timestamp.type', 'logappendtime'],
        ['cleanup.policy', 'delete'],
        ['cleanup.policy', 'shred'],
        ['cleanup.policy', 'compact,delete'],
        ['compression.type', 'zstd'],
        ['compression.type', 'brotli'],
        ['compression.gzip.level', '0'],
        ['compression.gzip.level', '10'],
        ['compression.lz4.level', '9'],
        ['compression.zstd.level', '23'],
        ['flush.messages', '0'],
        ['flush.ms', '1000'],
        ['preallocate', 'false'],
        ['preallocate', 'True'],
        ['segment.jitter.ms', '-1'],
        ['unclean.leader.election.enable', 'true'],
        ['remote.storage.enable', 'true'],
        ['local.retention.ms', '1000'],
        ['min.insync.replicas', '2'],
        ['retention.ms', null],
      ] as const
    ).map(([name, value]) => `${name}=${value}: ${topicConfigFault(name, value) ?? 'ok'}`)
    expect(verdicts).toMatchInlineSnapshot(`
      [
        "retention.ms=-1: ok",
        "retention.ms=-2: Invalid value -2 for configuration retention.ms: Value must be at least -1",
        "retention.ms=9223372036854775807: ok",
        "retention.ms=9223372036854775808: Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG",
        "retention.ms= +5 : ok",
        "retention.ms=1.5: Invalid value 1.5 for configuration retention.ms: Not a number of type LONG",
        "retention.ms=: Invalid value  for configuration retention.ms: Not a number of type LONG",
        "max.message.bytes=2147483648: Invalid value 2147483648 for configuration max.message.bytes: Not a number of type INT",
        "segment.bytes=1048575: Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576",
        "message.timestamp.type=LogAppendTime: ok",
        "message.timestamp.type=logappendtime: Invalid value logappendtime for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
        "cleanup.policy=delete: ok",
        "cleanup.policy=shred: Invalid value shred for configuration cleanup.policy: String must be one of: delete, compact",
        "cleanup.policy=compact,delete: ok",
        "compression.type=zstd: ok",
        "compression.type=brotli: Invalid value brotli for configuration compression.type: String must be one of: producer, uncompressed, gzip, snappy, lz4, zstd",
        "compression.gzip.level=0: compression.gzip.level must be 1 to 9, or -1 for the default",
        "compression.gzip.level=10: Invalid value 10 for configuration compression.gzip.level: Value must be no more than 9",
        "compression.lz4.level=9: The topic config compression.lz4.level is not served: the LZ4 library of this version has one level; compression.type=lz4 works without it",
        "compression.zstd.level=23: Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22",
        "flush.messages=0: Invalid value 0 for configuration flush.messages: Value must be at least 1",
        "flush.ms=1000: ok",
        "preallocate=false: ok",
        "preallocate=True: ok",
        "segment.jitter.ms=-1: Invalid value -1 for configuration segment.jitter.ms: Value must be at least 0",
        "unclean.leader.election.enable=true: unclean.leader.election.enable=true is refused: there is one replica, and no other could be elected",
        "remote.storage.enable=true: The topic config remote.storage.enable is not served: there is no tiered storage yet",
        "local.retention.ms=1000: The topic config local.retention.ms is not served: there is no tiered storage yet",
        "min.insync.replicas=2: min.insync.replicas above 1 is refused: there is one node, and no write could be acknowledged",
        "retention.ms=null: Null value not supported for topic configs: retention.ms",
      ]
    `)
  })

  it('are refused when they are longer than a metadata record of Kafka can hold', () => {
    const value = Array.from({ length: 5_000 }, () => 'delete').join(',')
    expect(topicConfigFault('cleanup.policy', value)).toMatch(/exceeds the maximum value size/)
  })

  it('of an internal topic may say what is refused to clients, but nothing that is wrong', () => {
    expect(topicConfigFault('compression.type', 'zstd', 'node')).toBeNull()
    expect(topicConfigFault('cleanup.policy', 'shred', 'node')).not.toBeNull()
  })

  it("become the log engine's settings, whose defaults are the same", () => {
    const settings = new BrokerSettings(new Map())
    expect(logConfigOf(new Map(), (name) => settings.topicDefault(name))).toEqual(defaultLogConfig)
    const set = new Map([
      ['retention.bytes', '5'],
      ['message.timestamp.before.max.ms', '9223372036854775807'],
      ['cleanup.policy', 'compact, delete'],
    ])
    expect(logConfigOf(set, (name) => settings.topicDefault(name))).toMatchObject({
      retentionBytes: 5,
      timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
      cleanupPolicy: new Set(['compact', 'delete']),
    })
  })
})

/** Settings that Kafka's authorizer reads beside the table: type and default as its documentation tells them. */
const ofAuthorizer: ReadonlyMap<string, KafkaSetting> = new Map([
  ['super.users', { type: 'string', default: '' }],
  ['allow.everyone.if.no.acl.found', { type: 'boolean', default: 'false' }],
])

describe('the broker settings', () => {
  it("have Kafka's names and types, and its defaults but for those that a small host needs", () => {
    const kafka = new Map([...kafkaSettings('broker'), ...ofAuthorizer])
    for (const [name, definition] of Object.entries(brokerConfigTable)) {
      expect({ name, type: definition.type }).toEqual({ name, type: kafka.get(name)?.type })
      expect([name, kafka.get(name)?.default]).toEqual([name, otherDefaults[name] ?? definition.default])
    }
  })

  it('are lawful by their own checks', () => {
    for (const [name, definition] of Object.entries({ ...topicConfigTable, ...brokerConfigTable }))
      expect(faultOf(name, definition, definition.default), name).toBeNull()
  })

  it('are read from the file over the defaults, and from what was changed over both', () => {
    const settings = new BrokerSettings(new Map([['num.partitions', '4']]))
    expect([settings.number('num.partitions'), settings.flag('auto.create.topics.enable')]).toEqual([4, true])
    expect([settings.staticValue('num.partitions'), settings.staticValue('group.max.size')]).toEqual(['4', undefined])
    settings.useDynamic((name) => (name === 'log.retention.ms' ? '7' : undefined))
    expect([settings.topicDefault('retention.ms'), settings.number('num.partitions')]).toEqual(['7', 4])
  })

  it('understand hours and minutes, the finer unit winning as in Kafka', () => {
    const retention = (written: Readonly<Record<string, string>>): string =>
      new BrokerSettings(new Map(Object.entries(written))).topicDefault('retention.ms')
    expect([
      retention({ 'log.retention.hours': '1' }),
      retention({ 'log.retention.hours': '1', 'log.retention.minutes': '2' }),
      retention({ 'log.retention.minutes': '2', 'log.retention.hours': '1' }),
      retention({ 'log.retention.ms': '3', 'log.retention.minutes': '2' }),
      retention({ 'log.retention.hours': '-1' }),
    ]).toEqual(['3600000', '120000', '120000', '3', '-1'])
  })

  it('that do not exist, or cannot be, are refused by name', () => {
    const refusal = (name: string, value: string): unknown => {
      try {
        return new BrokerSettings(new Map([[name, value]]))
      } catch (thrown) {
        return (thrown as Error).message
      }
    }
    expect([
      refusal('num.partition', '1'),
      refusal('num.partitions', '0'),
      refusal('log.retention.hours', 'week'),
      refusal('default.replication.factor', '3'),
      refusal('constructor', '3'),
    ]).toMatchInlineSnapshot(`
      [
        "kafka.num.partition: there is no such setting here",
        "kafka.num.partitions: Invalid value 0 for configuration num.partitions: Value must be at least 1",
        "kafka.log.retention.hours: week is not a whole number",
        "kafka.default.replication.factor: Invalid value 3 for configuration default.replication.factor: Value must be no more than 1",
        "kafka.constructor: there is no such setting here",
      ]
    `)
  })
})

describe('a list', () => {
  it('is its words without blanks and without empty ones', () => {
    expect([listOf(' a, b ,,c'), listOf(''), listOf(' ')]).toEqual([['a', 'b', 'c'], [], []])
  })
})
