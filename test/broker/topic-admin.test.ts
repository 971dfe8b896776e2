import { auditTopic } from '../../src/broker/audit-topic.ts'
import { InternalTopics } from '../../src/broker/internal-topics.ts'
import { describe, expect, it } from 'vitest'
import { autoTopicsMax, newWorld, openAdmin, patient, secretTopic, topicRequest } from './admin-world.ts'

describe('a topic that a client creates', () => {
  it('can be written to when the answer comes', async () => {
    const { topics, cluster, settle } = await openAdmin()
    const outcome = await settle(topics.create(topicRequest('readings', { partitions: 3 }), patient))
    expect(outcome).toMatchObject({ kind: 'done', topic: { name: 'readings' } })
    expect([0, 1, 2, 3].map((index) => cluster.partitions.get('readings', index)?.isLeader)).toEqual([
      true,
      true,
      true,
      undefined,
    ])
  })

  it('is there after a power cut, with its settings', async () => {
    const home = newWorld()
    const { topics, settle } = await openAdmin(home)
    const configs = new Map([['retention.ms', '1234']])
    await settle(topics.create(topicRequest('readings', { partitions: 2, configs }), patient))
    home.host.powerCut()
    const { cluster } = await openAdmin(home)
    expect(cluster.image.topic('readings')?.partitions).toHaveLength(2)
    expect(cluster.partitions.get('readings', 1)?.log.config.retentionMs).toBe(1234)
  })

  it('is not created by a request that only asks whether it could be', async () => {
    const { topics, cluster, settle } = await openAdmin()
    const outcome = await settle(topics.create(topicRequest('readings'), { ...patient, validateOnly: true }))
    expect(outcome.kind).toBe('done')
    expect(cluster.image.topic('readings')).toBeUndefined()
  })

  it('is answered REQUEST_TIMED_OUT past its time, and still comes to be', async () => {
    const { topics, cluster, host, world, settle } = await openAdmin()
    host.stallDisk(5_000)
    const outcome = await settle(topics.create(topicRequest('late'), { timeoutMs: 100, validateOnly: false }))
    expect(outcome).toMatchObject({ kind: 'refused', error: 'REQUEST_TIMED_OUT' })
    await world.run(() => cluster.partitions.get('late', 0) !== undefined)
  })

  it('is answered KAFKA_STORAGE_ERROR when the disk fails', async () => {
    const { topics, host, settle } = await openAdmin()
    host.failDisk({ operation: 'sync', code: 'EIO' })
    expect(await settle(topics.create(topicRequest('doomed'), patient))).toMatchObject({ error: 'KAFKA_STORAGE_ERROR' })
  })
})

describe('a topic that is asked for', () => {
  it('is answered KAFKA_STORAGE_ERROR, not "there it is", while it is known and its logs are not there', async () => {
    const { topics, cluster, host, settle } = await openAdmin()
    host.failDisk({ operation: 'makeDirectory', path: /lost-0$/, code: 'EIO' })
    await settle(topics.create(topicRequest('lost'), patient))
    expect(cluster.image.topic('lost')?.partitions).toHaveLength(1)
    expect(cluster.partitions.get('lost', 0)).toBeUndefined()
    expect(await settle(topics.ensure('lost'))).toBe('KAFKA_STORAGE_ERROR')
  })

  it('is created once, however many ask at the same time', async () => {
    const { topics, host, settle } = await openAdmin({ ...newWorld() }, { 'num.partitions': '4' })
    const answers = await settle(Promise.all([1, 2, 3].map(() => topics.ensure('sensors'))))
    expect(answers).toEqual([null, null, null])
    const created = host.observer.events.filter(({ id }) => id === 'topic-created')
    expect(created.map(({ fields }) => fields)).toMatchObject([{ topic: 'sensors', partitions: 4 }])
  })

  it.each([
    ['a name that is not lawful', 'no spaces', 'INVALID_TOPIC_EXCEPTION'],
    ['an internal name', '__consumer_offsets', 'INVALID_TOPIC_EXCEPTION'],
    ['an internal name of ours', '__headwater_anything', 'INVALID_TOPIC_EXCEPTION'],
  ])('is refused for %s', async (_, name, error) => {
    const { topics, cluster, settle } = await openAdmin()
    expect(await settle(topics.ensure(name))).toBe(error)
    expect(cluster.image.topicCount).toBe(0)
  })

  it('is not created where the operator has switched that off', async () => {
    const { topics, settle } = await openAdmin(newWorld(), { 'auto.create.topics.enable': 'false' })
    expect(await settle(topics.ensure('sensors'))).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  it('is not created beyond the bound, also when all are asked for at once; internal topics do not count', async () => {
    const { topics, cluster, settle } = await openAdmin()
    await settle(topics.ensureInternal(secretTopic.name))
    const names = Array.from({ length: autoTopicsMax + 3 }, (_, index) => `t${index}`)
    const answers = await settle(Promise.all(names.map((name) => topics.ensure(name))))
    expect(answers.filter((error) => error === null)).toHaveLength(autoTopicsMax)
    expect(answers.filter((error) => error === 'POLICY_VIOLATION')).toHaveLength(3)
    expect(cluster.image.topicCount).toBe(autoTopicsMax + 1)
    // Those that exist are still served.
    expect(await settle(topics.ensure('t0'))).toBeNull()
  })
})

describe('an internal topic', () => {
  it('is created as its room has declared it, compaction included', async () => {
    const { topics, cluster, settle } = await openAdmin()
    await settle(Promise.all([topics.ensureInternal(secretTopic), topics.ensureInternal(secretTopic.name)]))
    expect(cluster.image.topic(secretTopic.name)?.partitions).toHaveLength(secretTopic.partitions)
    expect(cluster.partitions.get(secretTopic.name, 0)?.log.config.cleanupPolicy.has('compact')).toBe(true)
  })

  it('of an older build gets the settings that are declared now, as a record like any other', async () => {
    const home = newWorld()
    const first = await openAdmin(home)
    const configs = new Map([
      ['cleanup.policy', 'delete'],
      ['retention.ms', '1000'],
    ])
    const { name, partitions } = secretTopic
    const old = { ...topicRequest(name, { partitions, configs }), owner: 'node' as const }
    await first.settle(first.cluster.createTopic(old))
    expect(first.cluster.partitions.get(name, 0)?.log.config.cleanupPolicy).toEqual(new Set(['delete']))
    await first.settle(first.topics.ensureInternal(secretTopic))
    expect(first.cluster.partitions.get(name, 0)?.log.config.cleanupPolicy).toEqual(new Set(['compact']))
    expect(home.host.observer.eventsOf('configs-changed')).toHaveLength(1)
    const end = first.cluster.metadataEndOffset
    await first.settle(first.topics.ensureInternal(secretTopic))
    expect(first.cluster.metadataEndOffset).toBe(end)
    home.host.powerCut()
    const again = await openAdmin(home)
    expect(new Map(again.cluster.image.configs(2, name))).toEqual(new Map(Object.entries(secretTopic.configs)))
    expect(again.cluster.partitions.get(name, partitions - 1)?.log.config.retentionMs).toBe(604_800_000)
  })

  it('whose logs cannot be made is not taken for there, however often it is asked for', async () => {
    const { topics, cluster, host, settle } = await openAdmin()
    const recover = host.failDisk({ operation: 'makeDirectory', path: /secret/, code: 'EIO' })
    await expect(settle(topics.ensureInternal(secretTopic))).rejects.toMatchObject({ code: 'INTERNAL_TOPIC_MISSING' })
    recover()
    // That was the directory's end; the topic is known.
    expect(cluster.image.topic(secretTopic.name)).toBeDefined()
    await expect(settle(topics.ensureInternal(secretTopic))).rejects.toMatchObject({ code: 'INTERNAL_TOPIC_MISSING' })
  })

  it('that is known and out of service is taken into service when it is asked for', async () => {
    const { topics, cluster, settle } = await openAdmin()
    await settle(topics.ensureInternal(secretTopic))
    cluster.partitions.removeTopic(secretTopic.name)
    await settle(topics.ensureInternal(secretTopic.name))
    for (let index = 0; index < secretTopic.partitions; index++)
      expect(cluster.partitions.get(secretTopic.name, index)?.isLeader).toBe(true)
  })

  it('that no room has declared is an error with a name', async () => {
    const { topics, settle } = await openAdmin()
    await expect(settle(topics.ensureInternal('__headwater_stray'))).rejects.toMatchObject({
      code: 'INTERNAL_TOPIC_MISSING',
    })
  })

  it('cannot be created, grown or deleted by a client', async () => {
    const { topics, cluster, settle } = await openAdmin()
    const refused = { kind: 'refused', error: 'INVALID_TOPIC_EXCEPTION' }
    expect(await settle(topics.create(topicRequest(secretTopic.name), patient))).toMatchObject(refused)
    await settle(topics.ensureInternal(secretTopic))
    expect(await settle(topics.create(topicRequest(secretTopic.name), patient))).toMatchObject({
      kind: 'refused',
      error: 'TOPIC_ALREADY_EXISTS',
    })
    expect(await settle(topics.grow(secretTopic.name, 9, null, patient))).toMatchObject(refused)
    const reference = { name: secretTopic.name, topicId: null }
    expect(await settle(topics.delete(reference, 1_000))).toMatchObject(refused)
    const byId = { name: null, topicId: cluster.image.topic(secretTopic.name)?.topicId ?? '' }
    expect(await settle(topics.delete(byId, 1_000))).toMatchObject(refused)
  })

  it('is told from a topic of users', async () => {
    const { internalTopics } = await openAdmin()
    const names = ['__cluster_metadata', '__consumer_offsets', '__headwater_x', '__mine', '_schemas', 'sensors']
    expect(names.filter((name) => internalTopics.isInternal(name))).toEqual(names.slice(0, 3))
    expect(names.filter((name) => internalTopics.isReadable(name))).toEqual(['__mine', '_schemas', 'sensors'])
  })

  it('that is for administrators is served where their right is asked for, and readable nowhere else', () => {
    const topics = new InternalTopics([auditTopic, secretTopic])
    const verdicts = [auditTopic.name, secretTopic.name, 'sensors'].map((name) => [
      topics.isReadable(name),
      topics.isServed(name),
      topics.isForAdministrators(name),
    ])
    expect(verdicts).toEqual([
      [false, true, true],
      [false, false, false],
      [true, true, false],
    ])
  })
})

describe('a topic that a client deletes', () => {
  it('is out of service at once, stays away after a crash, and its name is free', async () => {
    const home = newWorld()
    const { topics, cluster, settle } = await openAdmin(home)
    await settle(topics.create(topicRequest('readings'), patient))
    const before = cluster.image.topic('readings')?.topicId ?? ''
    expect(await settle(topics.delete({ name: null, topicId: before }, 1_000))).toMatchObject({ kind: 'done' })
    expect(cluster.partitions.get('readings', 0)).toBeUndefined()
    home.host.powerCut()
    const again = await openAdmin(home)
    expect(again.cluster.image.topic('readings')).toBeUndefined()
    expect(await again.settle(again.topics.ensure('readings'))).toBeNull()
    expect(again.cluster.image.topic('readings')?.topicId).not.toBe(before)
  })

  it('that does not exist is told by what was asked for', async () => {
    const { topics, settle } = await openAdmin()
    const byName = await settle(topics.delete({ name: 'nowhere', topicId: null }, 1_000))
    const byId = await settle(topics.delete({ name: null, topicId: 'iqR6tvvCTSuScvS2wyYggA' }, 1_000))
    expect([byName, byId]).toMatchObject([{ error: 'UNKNOWN_TOPIC_OR_PARTITION' }, { error: 'UNKNOWN_TOPIC_ID' }])
  })

  it('stays where delete.topic.enable is false', async () => {
    const { topics, cluster, settle } = await openAdmin(newWorld(), { 'delete.topic.enable': 'false' })
    await settle(topics.ensure('readings'))
    const outcome = await settle(topics.delete({ name: 'readings', topicId: null }, 1_000))
    expect(outcome).toMatchObject({ error: 'TOPIC_DELETION_DISABLED' })
    expect(cluster.image.topic('readings')).toBeDefined()
  })
})
