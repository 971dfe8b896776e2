import { describe, expect, it } from 'vitest'
import { configSourceCode } from '../../src/cluster/metadata/config-table.ts'
import { configResourceType } from '../../src/cluster/metadata/metadata-image.ts'
import type { ConfigEdit, ConfigResource, DescribedConfig } from '../../src/broker/config-admin.ts'
import { type AdminWorld, newWorld, openAdmin, secretTopic } from './admin-world.ts'

const topic: ConfigResource = { type: configResourceType.topic, name: 'readings' }
const broker: ConfigResource = { type: configResourceType.broker, name: '1' }
const allBrokers: ConfigResource = { type: configResourceType.broker, name: '' }
const once = { replace: false, validateOnly: false }

function set(key: string, value: string): ConfigEdit {
  return { key, operation: 'set', value }
}

async function worldWithTopic(written: Readonly<Record<string, string>> = {}): Promise<AdminWorld> {
  const admin = await openAdmin(newWorld(), written)
  await admin.settle(admin.topics.ensure(topic.name))
  return admin
}

function found({ configs }: AdminWorld, resource: ConfigResource, key: string): DescribedConfig | undefined {
  const outcome = configs.describe(resource, [key])
  return outcome.kind === 'described' ? outcome.configs[0] : undefined
}

function retentionMs({ cluster }: AdminWorld): number | undefined {
  return cluster.partitions.get(topic.name, 0)?.log.config.retentionMs
}

describe('a setting', () => {
  it('that is not known can be taken back, as tools do unasked, and not set', async () => {
    const admin = await worldWithTopic()
    const name = 'leader.replication.throttled.rate'
    const verdicts = []
    for (const resource of [topic, broker]) {
      for (const edit of [{ key: name, operation: 'delete', value: null } as const, set(name, '1')])
        verdicts.push((await admin.settle(admin.configs.alter(resource, [edit], once)))?.error ?? null)
    }
    expect(verdicts).toEqual([null, 'INVALID_CONFIG', null, 'INVALID_CONFIG'])
    // Nothing is written down for what changes nothing.
    const before = admin.cluster.metadataEndOffset
    await admin.settle(admin.configs.alter(broker, [{ key: name, operation: 'delete', value: null }], once))
    expect(admin.cluster.metadataEndOffset).toBe(before)
  })

  it('comes from the nearest place that has it, and names them all', async () => {
    const admin = await worldWithTopic({ 'log.retention.ms': '4000' })
    await admin.settle(admin.configs.alter(allBrokers, [set('log.retention.ms', '3000')], once))
    await admin.settle(admin.configs.alter(broker, [set('log.retention.ms', '2000')], once))
    await admin.settle(admin.configs.alter(topic, [set('retention.ms', '1000')], once))
    expect(found(admin, topic, 'retention.ms')).toMatchObject({
      value: '1000',
      source: configSourceCode.dynamicTopic,
      synonyms: [
        { name: 'retention.ms', value: '1000', source: configSourceCode.dynamicTopic },
        { name: 'log.retention.ms', value: '2000', source: configSourceCode.dynamicBroker },
        { name: 'log.retention.ms', value: '3000', source: configSourceCode.dynamicDefaultBroker },
        { name: 'log.retention.ms', value: '4000', source: configSourceCode.staticBroker },
        { name: 'log.retention.ms', value: '604800000', source: configSourceCode.default },
      ],
    })
  })

  it('is in force in the logs at once, layer by layer, and again when a layer goes', async () => {
    const admin = await worldWithTopic()
    const seen: (number | undefined)[] = [retentionMs(admin)]
    const steps: readonly (readonly [ConfigResource, ConfigEdit])[] = [
      [broker, set('log.retention.ms', '2000')],
      [topic, set('retention.ms', '1000')],
      [topic, { key: 'retention.ms', operation: 'delete', value: null }],
      [broker, { key: 'log.retention.ms', operation: 'delete', value: null }],
    ]
    for (const [resource, edit] of steps) {
      expect(await admin.settle(admin.configs.alter(resource, [edit], once))).toBeNull()
      seen.push(retentionMs(admin))
    }
    expect(seen).toEqual([604_800_000, 2000, 1000, 2000, 604_800_000])
  })

  it('is there after a power cut', async () => {
    const home = newWorld()
    const admin = await openAdmin(home)
    await admin.settle(admin.topics.ensure(topic.name))
    await admin.settle(admin.configs.alter(topic, [set('retention.ms', '1000')], once))
    home.host.powerCut()
    const again = await openAdmin(home)
    expect(retentionMs(again)).toBe(1000)
    expect(found(again, topic, 'retention.ms')?.value).toBe('1000')
  })

  it('that was only to be checked is not changed', async () => {
    const admin = await worldWithTopic()
    const options = { replace: false, validateOnly: true }
    expect(await admin.settle(admin.configs.alter(topic, [set('retention.ms', '1')], options))).toBeNull()
    expect(retentionMs(admin)).toBe(604_800_000)
    expect(await admin.settle(admin.configs.alter(topic, [set('retention.ms', 'x')], options))).toMatchObject({
      error: 'INVALID_CONFIG',
    })
  })

  it('that is not named goes back to its default when all are replaced', async () => {
    const admin = await worldWithTopic()
    const both = [set('retention.ms', '1000'), set('segment.bytes', '2097152')]
    await admin.settle(admin.configs.alter(topic, both, once))
    const replace = { replace: true, validateOnly: false }
    await admin.settle(admin.configs.alter(topic, [set('segment.bytes', '4194304')], replace))
    expect([...admin.cluster.image.configs(topic.type, topic.name)]).toEqual([['segment.bytes', '4194304']])
  })

  it.each([
    ['retention.ms', ' 100 ', '100'],
    ['retention.ms', '+5', '5'],
    ['retention.ms', '9223372036854775807', '9223372036854775807'],
    ['preallocate', ' TRUE', 'true'],
    ['cleanup.policy', 'delete, compact,delete', 'delete,compact'],
    ['min.cleanable.dirty.ratio', '1', '1.0'],
    ['min.cleanable.dirty.ratio', '0', '0.0'],
    ['min.cleanable.dirty.ratio', '0.25', '0.25'],
    ['min.cleanable.dirty.ratio', '0.00012', '1.2E-4'],
    ['min.cleanable.dirty.ratio', '1e-4', '1.0E-4'],
  ])('of %s to %j is kept as it came and shown as Kafka shows it, %j', async (key, written, shown) => {
    const admin = await worldWithTopic()
    expect(await admin.settle(admin.configs.alter(topic, [set(key, written)], once))).toBeNull()
    expect(found(admin, topic, key)).toMatchObject({ value: shown, source: configSourceCode.dynamicTopic })
    expect(found(admin, topic, key)?.synonyms[0]?.value).toBe(shown)
    expect(admin.cluster.image.configs(topic.type, topic.name).get(key)).toBe(written)
  })

  it('of a list is added to and taken from where it stands', async () => {
    const admin = await worldWithTopic()
    const append: ConfigEdit = { key: 'cleanup.policy', operation: 'append', value: 'delete' }
    expect(await admin.settle(admin.configs.alter(topic, [append], once))).toBeNull()
    expect(found(admin, topic, 'cleanup.policy')?.value).toBe('delete')
    const compact: ConfigEdit = { key: 'cleanup.policy', operation: 'append', value: 'compact' }
    expect(await admin.settle(admin.configs.alter(topic, [compact], once))).toBeNull()
    expect(found(admin, topic, 'cleanup.policy')?.value).toBe('delete,compact')
    const number: ConfigEdit = { key: 'retention.ms', operation: 'append', value: '1' }
    expect(await admin.settle(admin.configs.alter(topic, [number], once))).toMatchObject({ error: 'INVALID_CONFIG' })
  })
})

describe('a change that is refused', () => {
  const cases: readonly (readonly [string, ConfigResource, readonly ConfigEdit[], string])[] = [
    ['an unknown topic', { ...topic, name: 'nowhere' }, [set('retention.ms', '1')], 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['a name that is none', { ...topic, name: 'a b' }, [set('retention.ms', '1')], 'INVALID_TOPIC_EXCEPTION'],
    ['no name', { ...topic, name: '' }, [set('retention.ms', '1')], 'INVALID_REQUEST'],
    ['an unknown setting', topic, [set('no.such.thing', '1')], 'INVALID_CONFIG'],
    ['a setting that Kafka knows and we do not serve', topic, [set('min.insync.replicas', '2')], 'INVALID_CONFIG'],
    ['a value that cannot be', topic, [set('retention.ms', '-2')], 'INVALID_CONFIG'],
    ['a codec that is none', topic, [set('compression.type', 'brotli')], 'INVALID_CONFIG'],
    ['one key twice', topic, [set('retention.ms', '1'), set('retention.ms', '2')], 'INVALID_REQUEST'],
    ['no value', topic, [{ key: 'retention.ms', operation: 'set', value: null }], 'INVALID_REQUEST'],
    ['another broker', { ...broker, name: '2' }, [set('log.retention.ms', '1')], 'INVALID_REQUEST'],
    ['a broker setting of the file', broker, [set('num.partitions', '3')], 'INVALID_REQUEST'],
    ['a broker value that cannot be', broker, [set('log.retention.ms', 'x')], 'INVALID_REQUEST'],
    ['a broker setting out of bounds', { ...broker, name: '' }, [set('log.segment.bytes', '1')], 'INVALID_REQUEST'],
    ['an unknown broker setting', broker, [set('no.such.thing', '1')], 'INVALID_CONFIG'],
    ['a log level', { type: configResourceType.brokerLogger, name: '1' }, [set('root', 'DEBUG')], 'INVALID_REQUEST'],
    ['a group', { type: configResourceType.group, name: 'g' }, [set('x', '1')], 'INVALID_REQUEST'],
    ['a kind that does not exist', { type: 99, name: 'x' }, [set('x', '1')], 'INVALID_REQUEST'],
  ]
  it.each(cases)('because of %s changes nothing', async (_, resource, edits, error) => {
    const admin = await worldWithTopic()
    const before = admin.cluster.metadataEndOffset
    const valid = edits.length === 1 && resource === topic ? [set('segment.bytes', '2097152'), ...edits] : edits
    expect(await admin.settle(admin.configs.alter(resource, valid, once))).toMatchObject({ error })
    expect(admin.cluster.metadataEndOffset).toBe(before)
  })

  it('of an internal topic leaves it as its room has declared it', async () => {
    const admin = await worldWithTopic()
    await admin.settle(admin.topics.ensureInternal(secretTopic))
    const resource = { ...topic, name: secretTopic.name }
    expect(await admin.settle(admin.configs.alter(resource, [set('retention.ms', '1')], once))).toMatchObject({
      error: 'INVALID_TOPIC_EXCEPTION',
    })
    expect(found(admin, resource, 'cleanup.policy')?.value).toBe('compact')
  })

  it('by a disk that fails is KAFKA_STORAGE_ERROR, and nothing is in force', async () => {
    const admin = await worldWithTopic()
    admin.host.failDisk({ operation: 'sync', code: 'EIO' })
    expect(await admin.settle(admin.configs.alter(topic, [set('retention.ms', '1')], once))).toMatchObject({
      error: 'KAFKA_STORAGE_ERROR',
    })
    expect(retentionMs(admin)).toBe(604_800_000)
  })
})

describe('a description', () => {
  it('of the default of all brokers holds what was set for all, and nothing else', async () => {
    const admin = await worldWithTopic()
    expect(admin.configs.describe(allBrokers, null)).toEqual({ kind: 'described', configs: [] })
    await admin.settle(admin.configs.alter(allBrokers, [set('log.retention.ms', '5')], once))
    expect(admin.configs.describe(allBrokers, null)).toMatchObject({
      configs: [{ name: 'log.retention.ms', value: '5', source: configSourceCode.dynamicDefaultBroker }],
    })
  })

  it('says which settings of a broker can be changed while it runs', async () => {
    const admin = await worldWithTopic()
    expect(found(admin, broker, 'log.retention.ms')?.isReadOnly).toBe(false)
    expect(found(admin, broker, 'num.partitions')?.isReadOnly).toBe(true)
  })

  it.each([
    ['log.cleaner.backoff.ms', '15001'],
    ['log.cleaner.dedupe.buffer.size', '1048576'],
    ['log.cleaner.io.max.bytes.per.second', '1048576'],
    ['producer.id.expiration.ms', '60000'],
  ])('%s is changed while it runs, as in Kafka', async (name, value) => {
    const admin = await worldWithTopic()
    expect(await admin.settle(admin.configs.alter(broker, [set(name, value)], once))).toBe(null)
    expect(found(admin, broker, name)).toMatchObject({ isReadOnly: false, source: configSourceCode.dynamicBroker })
    expect(admin.settings.text(name)).toBe(value)
  })

  it('tells where a broker is and what it is, which cannot be set there', async () => {
    const admin = await worldWithTopic()
    const names = ['advertised.listeners', 'listener.security.protocol.map', 'node.id', 'log.dirs']
    expect(names.map((name) => found(admin, broker, name)?.value)).toEqual([
      'PLAINTEXT://edge:9092',
      'PLAINTEXT:PLAINTEXT',
      '1',
      admin.directory.logDirectory,
    ])
    expect(found(admin, broker, 'node.id')).toMatchObject({ isReadOnly: true, source: configSourceCode.staticBroker })
    const refusal = await admin.settle(admin.configs.alter(broker, [set('node.id', '2')], once))
    expect(refusal?.error).toBe('INVALID_REQUEST')
  })

  it('explains every setting of a topic and of a broker', async () => {
    const admin = await worldWithTopic()
    for (const resource of [topic, broker]) {
      const outcome = admin.configs.describe(resource, null)
      const configs = outcome.kind === 'described' ? outcome.configs : []
      expect(configs.length).toBeGreaterThan(10)
      expect(configs.filter(({ documentation, synonyms }) => documentation === '' || synonyms.length === 0)).toEqual([])
    }
  })

  it.each([
    ['broker loggers', configResourceType.brokerLogger, '1'],
    ['a group', configResourceType.group, 'g'],
    ['client metrics', configResourceType.clientMetrics, 'm'],
  ])('of %s is empty, as tools that describe all there is ask for it unasked', async (_, type, name) => {
    const { configs } = await worldWithTopic()
    expect(configs.describe({ type, name }, null)).toEqual({ kind: 'described', configs: [] })
    expect(configs.describe({ type, name: '' }, null)).toMatchObject({ kind: 'refused', error: 'INVALID_REQUEST' })
  })
})
