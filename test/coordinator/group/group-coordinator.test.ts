import { describe, expect, test } from 'vitest'
import { GroupCoordinator } from '../../../src/coordinator/group/group-coordinator.ts'
import { type GroupOptions, groupOptionDefaults } from '../../../src/coordinator/group/group-options.ts'
import type { CommitRequest, JoinRequest } from '../../../src/coordinator/group/group-requests.ts'
import { offsetsTopic } from '../../../src/coordinator/group/offsets-topic.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { simWorld } from '../../sim/world.ts'
import { MemoryLog } from '../memory-log.ts'
import { bytesOf, subscription } from './shard-harness.ts'

type Opened = Awaited<ReturnType<typeof open>>

async function open(options: Partial<GroupOptions> = {}, log?: MemoryLog) {
  const world = simWorld(11)
  const ports = world.host('broker').boot()
  const topic = log ?? new MemoryLog(ports.clock)
  let creations = 0
  const openOn = (on: MemoryLog): Promise<GroupCoordinator> =>
    world.settle(
      GroupCoordinator.open({
        ...ports,
        log: on,
        createTopic: async () => {
          creations++
          await new Promise<void>((resolve) => ports.clock.schedule(20, resolve))
          on.create(offsetsTopic.partitions)
        },
        options: { ...groupOptionDefaults, initialRebalanceDelayMs: 0, ...options },
      }),
    )
  const coordinator = await openOn(topic)
  return { world, ports, log: topic, coordinator, reopen: () => openOn(topic), creations: () => creations }
}

const commit = (groupId: string, offset: number, fields: Partial<CommitRequest> = {}): CommitRequest => ({
  groupId,
  memberId: '',
  groupInstanceId: null,
  generationId: -1,
  retentionMs: null,
  knowsGroupIdNotFound: true,
  offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: '' }],
  ...fields,
})

const join = (fields: Partial<JoinRequest> = {}): Omit<JoinRequest, 'uniqueText'> => ({
  groupId: 'g',
  memberId: '',
  groupInstanceId: null,
  clientId: 'c',
  clientHost: '/10.0.0.2',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: subscription('t') }],
  requiresMemberId: false,
  supportsSkippingAssignment: true,
  ...fields,
})

const offsetOf = ({ coordinator }: Pick<Opened, 'coordinator'>, groupId: string): number => {
  const fetched = coordinator.fetchOffsets({
    groupId,
    topics: [{ topic: 't', partitions: [0] }],
    requireStable: false,
  })
  return typeof fetched === 'string' ? Number.NaN : (fetched[0]?.offset ?? Number.NaN)
}

describe('the topic', () => {
  test('is made once, at the first use of a group; until then nothing is there and nothing fails', async () => {
    const opened = await open()
    const { coordinator, world } = opened
    expect(offsetOf(opened, 'g')).toBe(-1)
    expect(coordinator.describe('g')).toBeNull()
    expect(coordinator.list()).toEqual({ error: null, groups: [] })
    expect(coordinator.heartbeat({ groupId: 'g', memberId: 'x', groupInstanceId: null, generationId: 1 })).toBe(
      'UNKNOWN_MEMBER_ID',
    )
    expect(opened.creations()).toBe(0)
    const results = await world.settle(
      Promise.all([
        coordinator.commit(commit('a', 1)),
        coordinator.commit(commit('b', 2)),
        coordinator.ensureReady('c'),
      ]),
    )
    expect(results).toEqual([{ error: null, errors: [null] }, { error: null, errors: [null] }, null])
    expect(opened.creations()).toBe(1)
  })

  test('keeps the last offset there can be for as long as there are numbers, over a restart too', async () => {
    const opened = await open()
    const last = Number.MAX_SAFE_INTEGER
    const committed = opened.coordinator.commit(commit('a', last, { retentionMs: last }))
    expect(await opened.world.settle(committed)).toEqual({ error: null, errors: [null] })
    const coordinator = await opened.reopen()
    expect([offsetOf(opened, 'a'), offsetOf({ coordinator }, 'a')]).toEqual([last, last])
  })

  test('that cannot be made is COORDINATOR_NOT_AVAILABLE, and tried again', async () => {
    const world = simWorld(3)
    const ports = world.host('broker').boot()
    let attempts = 0
    const coordinator = await world.settle(
      GroupCoordinator.open({
        ...ports,
        log: new MemoryLog(ports.clock),
        createTopic: () => Promise.reject(new Error(`attempt ${++attempts}`)),
        options: groupOptionDefaults,
      }),
    )
    for (let attempt = 1; attempt <= 2; attempt++)
      expect(await world.settle(coordinator.commit(commit('a', 1)))).toEqual({
        error: 'COORDINATOR_NOT_AVAILABLE',
        errors: [],
      })
    expect(attempts).toBe(2)
    expect(world.host('broker').observer.eventsOf('group-topic-failed')).toHaveLength(2)
  })
})

describe('writes', () => {
  test('of one turn are one batch a partition, and are answered when they are safe', async () => {
    const { coordinator, log, world } = await open()
    await world.settle(Promise.resolve(coordinator.ensureReady('g')))
    let answered = 0
    const commits = Array.from({ length: 100 }, (_, at) =>
      coordinator.commit(commit(`g${at}`, at)).then(() => answered++),
    )
    await world.runFor(3)
    expect(log.batchCount).toBe(8)
    expect(log.recordCount).toBe(100)
    expect(answered).toBe(0)
    await world.settle(Promise.all(commits))
    expect(answered).toBe(100)
  })

  test('larger than a batch go into several and are answered once, when all are safe', async () => {
    const { coordinator, log, world } = await open()
    await world.settle(Promise.resolve(coordinator.ensureReady('g')))
    const metadata = 'x'.repeat(4_000)
    const offsets = Array.from({ length: 200 }, (_, partition) => ({
      topic: 't',
      partition,
      offset: partition,
      leaderEpoch: -1,
      metadata,
    }))
    const result = await world.settle(coordinator.commit(commit('g', 0, { offsets })))
    expect(result.errors.every((error) => error === null)).toBe(true)
    expect(log.batchCount).toBe(4)
    expect(log.recordCount).toBe(200)
  })

  test('that are refused are told in the words that clients know, and reported', async () => {
    const opened = await open()
    const { coordinator, log, world } = opened
    await world.settle(coordinator.commit(commit('g', 1)))
    for (const partition of log.partitions ?? []) partition.refusal = 'KAFKA_STORAGE_ERROR'
    expect(await world.settle(coordinator.commit(commit('g', 2)))).toEqual({ error: null, errors: ['NOT_COORDINATOR'] })
    expect(offsetOf(opened, 'g')).toBe(1)
    expect(world.host('broker').observer.eventsOf('group-write-failed')).toHaveLength(1)
  })
})

describe('a restart', () => {
  test('replays groups and offsets; members go on by heartbeat; the dead are removed by the clock', async () => {
    const { coordinator, world, reopen } = await open()
    const joined = await world.settle(coordinator.join(join()))
    const claim = { groupId: 'g', memberId: joined.memberId, groupInstanceId: null, generationId: 1 }
    await world.settle(
      coordinator.sync({
        ...claim,
        protocolType: null,
        protocolName: null,
        assignments: [{ memberId: joined.memberId, assignment: bytesOf('all') }],
      }),
    )
    await world.settle(coordinator.commit(commit('g', 41, claim)))
    const before = coordinator.describe('g')
    coordinator.stop()
    const again = await reopen()
    expect(again.describe('g')).toEqual(before)
    expect(offsetOf({ coordinator: again }, 'g')).toBe(41)
    await world.runFor(9_000)
    expect(again.heartbeat(claim)).toBeNull()
    await world.runFor(11_000)
    expect(again.heartbeat(claim)).toBe('UNKNOWN_MEMBER_ID')
    expect(again.describe('g')).toMatchObject({ state: 'Empty', members: [] })
    expect(world.host('broker').observer.figure('headwater_group_members_removed_total')).toBe(1)
  })

  test('skips what it does not understand, says so, and serves the rest', async () => {
    const opened = await open()
    await opened.world.settle(opened.coordinator.commit(commit('g', 1)))
    const builder = new RecordBatchBuilder()
    builder.append(1, Buffer.from('000300016700', 'hex'), null, null)
    builder.append(1, Buffer.from('0001', 'hex'), null, null)
    opened.log.partitions?.[7]?.append(builder.build())
    const again = await opened.reopen()
    expect(offsetOf({ coordinator: again }, 'g')).toBe(1)
    expect(
      opened.world
        .host('broker')
        .observer.eventsOf('group-records-skipped')
        .map(({ fields }) => fields),
    ).toEqual([{ partition: 7, foreign: 1, unreadable: 1 }])
  })

  test('answers while it reads as Kafka does', async () => {
    const opened = await open()
    const { world, log, ports } = opened
    await world.settle(opened.coordinator.commit(commit('g', 1)))
    const slow = log.partitions?.[7]
    if (slow === undefined) throw new Error('no partition')
    let goOn = (): void => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const read = slow.read.bind(slow)
    slow.read = async (...range) => {
      await held
      return read(...range)
    }
    const { partitions } = log
    log.partitions = null
    const coordinator = await world.settle(
      GroupCoordinator.open({
        ...ports,
        log,
        createTopic: async () => {
          log.partitions = partitions
        },
        options: groupOptionDefaults,
      }),
    )
    const ready = Promise.resolve(coordinator.ensureReady('g'))
    await world.runFor(1)
    const claim = { groupId: 'g', memberId: 'm', groupInstanceId: null, generationId: 1 }
    expect(coordinator.heartbeat(claim)).toBeNull()
    const sync = { ...claim, protocolType: null, protocolName: null, assignments: [] }
    expect((await world.settle(coordinator.sync(sync))).error).toBe('REBALANCE_IN_PROGRESS')
    expect((await world.settle(coordinator.join(join()))).error).toBe('COORDINATOR_LOAD_IN_PROGRESS')
    expect(coordinator.describe('g')).toBe('COORDINATOR_LOAD_IN_PROGRESS')
    expect(coordinator.list().error).toBe('COORDINATOR_LOAD_IN_PROGRESS')
    expect(offsetOf({ coordinator }, 'grüppe')).toBe(-1)
    goOn()
    expect(await world.settle(ready)).toBeNull()
    expect(offsetOf({ coordinator }, 'g')).toBe(1)
  })

  test('does not keep a client waiting for a topic that is long in coming, and is ready when it is there', async () => {
    const world = simWorld(12)
    const ports = world.host('broker').boot()
    const log = new MemoryLog(ports.clock)
    let hasRoom = (): void => {}
    const room = new Promise<void>((resolve) => (hasRoom = resolve))
    const coordinator = await world.settle(
      GroupCoordinator.open({
        ...ports,
        log,
        createTopic: async () => {
          await room
          log.create(offsetsTopic.partitions)
        },
        options: groupOptionDefaults,
      }),
    )
    for (const groupId of ['g', 'h']) {
      let answer: unknown = 'none'
      void Promise.resolve(coordinator.ensureReady(groupId)).then((error) => (answer = error))
      await world.runFor(5000)
      expect(answer).toBe('COORDINATOR_NOT_AVAILABLE')
    }
    hasRoom()
    expect(await world.settle(Promise.resolve(coordinator.ensureReady('g')))).toBeNull()
  })

  test('leaves a partition that cannot be read out, and serves the others', async () => {
    const opened = await open()
    const { world, log } = opened
    await world.settle(opened.coordinator.commit(commit('g', 1)))
    await world.settle(opened.coordinator.commit(commit('grüppe', 2)))
    const broken = log.partitions?.[7]
    if (broken === undefined) throw new Error('no partition')
    broken.read = () => Promise.reject(new Error('EIO'))
    const again = await opened.reopen()
    expect(again.fetchOffsets({ groupId: 'g', topics: null, requireStable: false })).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(offsetOf({ coordinator: again }, 'grüppe')).toBe(2)
    expect(again.list().error).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(world.host('broker').observer.eventsOf('group-partition-load-failed')).toHaveLength(1)
  })
})

test('an idle coordinator writes nothing; expiry takes what is old, and only while the clock is trusted', async () => {
  const opened = await open({ offsetsRetentionMs: 3_600_000, offsetsRetentionCheckMs: 600_000 })
  const { coordinator, world, log } = opened
  await world.settle(coordinator.commit(commit('g', 1)))
  await world.runFor(3_500_000)
  expect(log.recordCount).toBe(1)
  world.host('broker').wallTrusted = false
  await world.runFor(1_300_000)
  expect(offsetOf(opened, 'g')).toBe(1)
  world.host('broker').wallTrusted = true
  await world.runFor(700_000)
  expect(offsetOf(opened, 'g')).toBe(-1)
  expect(log.recordCount).toBe(2)
  expect(coordinator.groupCount).toBe(0)
  await world.runFor(10_000_000)
  expect(log.recordCount).toBe(2)
})

test('offsets of topics that have gone are forgotten, in every partition', async () => {
  const opened = await open()
  const { coordinator, world, log } = opened
  const inTopic = (groupId: string, topic: string) =>
    commit(groupId, 1, { offsets: [{ topic, partition: 0, offset: 5, leaderEpoch: -1, metadata: '' }] })
  for (const groupId of ['a', 'b', 'c'])
    await world.settle(
      Promise.all([coordinator.commit(inTopic(groupId, 't')), coordinator.commit(inTopic(groupId, 'u'))]),
    )
  coordinator.forgetMissingTopics((topic) => topic === 'u')
  await world.runFor(100)
  for (const groupId of ['a', 'b', 'c'])
    expect(coordinator.fetchOffsets({ groupId, topics: null, requireStable: false })).toMatchObject([{ topic: 'u' }])
  expect(log.recordCount).toBe(9)
  coordinator.forgetMissingTopics((topic) => topic === 'u')
  await world.runFor(100)
  expect(log.recordCount).toBe(9)
})

test('session timeouts outside the bounds, and a group without a name, are refused', async () => {
  const { coordinator, world } = await open()
  const errors = await world.settle(
    Promise.all([
      coordinator.join(join({ sessionTimeoutMs: 5_999 })),
      coordinator.join(join({ sessionTimeoutMs: 1_800_001 })),
      coordinator.join(join({ groupId: '' })),
    ]),
  )
  expect(errors.map(({ error }) => error)).toEqual([
    'INVALID_SESSION_TIMEOUT',
    'INVALID_SESSION_TIMEOUT',
    'INVALID_GROUP_ID',
  ])
  expect(coordinator.leave('', []).error).toBe('INVALID_GROUP_ID')
  expect((await coordinator.deleteOffsets('', [])).error).toBe('INVALID_GROUP_ID')
})
