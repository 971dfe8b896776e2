import { describe, expect, test } from 'vitest'
import { GroupShard } from '../../../src/coordinator/group/group-shard.ts'
import { groupOptionDefaults } from '../../../src/coordinator/group/group-options.ts'
import { ShardHarness } from './shard-harness.ts'

const retentionMs = groupOptionDefaults.offsetsRetentionMs

/** One pass of expiry. */
function expire(group: ShardHarness): void {
  const steps = group.run((shard) => shard.expire())
  for (;;) if (group.run(() => steps.next().done) === true) return
}

/** The same log, read by a shard that starts now. */
function replayed(group: ShardHarness): GroupShard {
  const shard = new GroupShard(groupOptionDefaults)
  for (const record of group.log) shard.replay(record)
  shard.at(group.moment).resume()
  return shard
}

describe('a commit', () => {
  test('is not seen before it is safe, and not answered', () => {
    const group = new ShardHarness()
    group.isInstant = false
    group.commit({ offset: 5 })
    expect(group.take()).toEqual(['write offset g t-0 5'])
    expect(group.offsetOf()).toBe(-1)
    group.settle()
    expect(group.take()).toEqual(['commit t-0@5: ok'])
    expect(group.offsetOf()).toBe(5)
  })

  test('of two under way, the later counts', () => {
    const group = new ShardHarness()
    group.isInstant = false
    group.commit({ offset: 5 })
    group.commit({ offset: 6 })
    group.settle()
    expect(group.offsetOf()).toBe(5)
    group.settle()
    expect(group.offsetOf()).toBe(6)
  })

  test('that could not be stored changes nothing, and leaves no group behind', () => {
    const group = new ShardHarness()
    group.isInstant = false
    group.commit({ offset: 5 })
    group.settle('KAFKA_STORAGE_ERROR')
    group.commit({ offset: 5 })
    group.settle('MESSAGE_TOO_LARGE')
    expect(group.take()).toEqual([
      'write offset g t-0 5',
      'commit t-0@5: NOT_COORDINATOR',
      'write offset g t-0 5',
      'commit t-0@5: INVALID_COMMIT_OFFSET_SIZE',
    ])
    expect(group.offsetOf()).toBe(-1)
    expect(group.shard.groupCount).toBe(0)
  })

  test('needs the membership that it claims', () => {
    const group = new ShardHarness()
    group.commit({ generationId: 3, memberId: 'x' })
    group.commit({ generationId: 3, memberId: 'x', knowsGroupIdNotFound: false })
    expect(group.take()).toEqual(['commit t-0@1: GROUP_ID_NOT_FOUND', 'commit t-0@1: ILLEGAL_GENERATION'])
    const [a] = group.stabilise('a') as [string]
    group.commit({})
    group.commit({ generationId: 1, memberId: 'x' })
    group.commit({ generationId: 2, memberId: a })
    group.commit({ generationId: 1, memberId: a })
    expect(group.take()).toEqual([
      'commit t-0@1: UNKNOWN_MEMBER_ID',
      'commit t-0@1: UNKNOWN_MEMBER_ID',
      'commit t-0@1: ILLEGAL_GENERATION',
      'write offset g t-0 1',
      'commit t-0@1: ok',
    ])
    group.join('a', { memberId: a })
    group.take()
    group.commit({ generationId: 2, memberId: a })
    expect(group.take()).toEqual(['commit t-0@1: REBALANCE_IN_PROGRESS'])
  })

  test('during the join phase is still accepted for the old generation: work that is being handed over', () => {
    const group = new ShardHarness()
    const [a] = group.stabilise('a') as [string]
    group.join('b')
    group.take()
    group.commit({ generationId: 1, memberId: a, offset: 9 })
    expect(group.take()).toEqual(['write offset g t-0 9', 'commit t-0@9: ok'])
  })

  test('keeps its metadata, and refuses too much of it alone', () => {
    const group = new ShardHarness({ offsetMetadataLengthMax: 3 })
    const offset = { topic: 't', leaderEpoch: 4, offset: 8 }
    group.commit({
      offsets: [
        { ...offset, partition: 0, metadata: 'äöü' },
        { ...offset, partition: 1, metadata: 'long' },
      ],
    })
    expect(group.take().at(-1)).toBe('commit t-0@1: ok,OFFSET_METADATA_TOO_LARGE')
    expect(group.shard.fetchOffsets({ groupId: 'g', topics: null, requireStable: true })).toEqual([
      { topic: 't', partition: 0, offset: 8, leaderEpoch: 4, metadata: 'äöü', error: null },
    ])
  })
})

describe('a fetch', () => {
  test('answers -1 where nothing is committed, in the order asked', () => {
    const group = new ShardHarness()
    group.commit({ offset: 3, partition: 1 })
    const fetched = group.shard.fetchOffsets({
      groupId: 'g',
      topics: [
        { topic: 'u', partitions: [0] },
        { topic: 't', partitions: [1, 0] },
      ],
      requireStable: false,
    })
    expect(fetched.map(({ topic, partition, offset }) => `${topic}-${partition}=${offset}`)).toEqual([
      'u-0=-1',
      't-1=3',
      't-0=-1',
    ])
    expect(group.shard.fetchOffsets({ groupId: 'nobody', topics: null, requireStable: false })).toEqual([])
  })

  test('that wants stable offsets is told of an open transaction; its end decides', () => {
    const record = (offset: number) =>
      ({
        kind: 'offset',
        groupId: 'g',
        topic: 't',
        partition: 0,
        stored: { offset, leaderEpoch: -1, metadata: '', commitTimestampMs: 1, expireTimestampMs: null },
      }) as const
    const fetch = (shard: GroupShard, requireStable: boolean) =>
      shard.fetchOffsets({ groupId: 'g', topics: [{ topic: 't', partitions: [0] }], requireStable })[0]
    const shard = new GroupShard(groupOptionDefaults)
    shard.replay(record(1))
    shard.replayTransactional(7, record(2))
    shard.replayTransactional(8, record(3))
    shard.endTransaction(8, false)
    shard.resume()
    expect(fetch(shard, false)?.offset).toBe(1)
    expect(fetch(shard, true)?.error).toBe('UNSTABLE_OFFSET_COMMIT')
    const ended = new GroupShard(groupOptionDefaults)
    ended.replay(record(1))
    ended.replayTransactional(7, record(2))
    ended.endTransaction(7, true)
    ended.resume()
    expect(fetch(ended, true)?.offset).toBe(2)
  })
})

describe('deleting', () => {
  const deleteOffset = (group: ShardHarness, topic: string, groupId = 'g'): void =>
    group.run((shard) =>
      shard.deleteOffsets(groupId, [{ topic, partition: 0 }], ({ error, errors }) =>
        group.say(`delete ${topic}: ${error ?? errors[0] ?? 'ok'}`),
      ),
    )
  const deleteGroup = (group: ShardHarness): void =>
    group.run((shard) => shard.deleteGroup('g', (error) => group.say(`delete group: ${error ?? 'ok'}`)))

  test('offsets of topics that nobody reads; those in use are refused', () => {
    const group = new ShardHarness()
    deleteOffset(group, 't')
    group.commit({ topic: 'old' })
    group.stabilise('a')
    deleteOffset(group, 't')
    deleteOffset(group, 'old')
    deleteOffset(group, 'never')
    expect(group.take()).toEqual([
      'delete t: GROUP_SUBSCRIBED_TO_TOPIC',
      'write offset g old-0 gone',
      'delete old: ok',
      'delete never: ok',
    ])
    expect(group.offsetOf('old')).toBe(-1)
  })

  test('a group takes everything with it, also what is still being written', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    deleteGroup(group)
    group.commit({ memberId: 'a-u1', generationId: 1, offset: 4 })
    group.leave('a-u1')
    group.pass(60_000)
    expect(group.state()).toBe('Empty')
    group.take()
    group.isInstant = false
    group.commit({ partition: 1, offset: 5 })
    deleteGroup(group)
    group.join('b')
    deleteGroup(group)
    expect(group.take()).toEqual([
      'write offset g t-1 5',
      'write offset g t-0 gone',
      'write offset g t-1 gone',
      'write group g gone',
      'join b: COORDINATOR_NOT_AVAILABLE id=',
      'delete group: GROUP_ID_NOT_FOUND',
    ])
    group.settle()
    group.settle()
    expect(group.take()).toEqual(['commit t-1@5: ok', 'delete group: ok'])
    expect(group.shard.groupCount).toBe(0)
    expect(replayed(group).groupCount).toBe(0)
  })

  test('a group with members is refused', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    deleteGroup(group)
    expect(group.take()).toEqual(['delete group: NON_EMPTY_GROUP'])
  })

  test('a topic takes its offsets out of every group', () => {
    const group = new ShardHarness()
    group.commit({ topic: 't' })
    group.commit({ topic: 'u' })
    group.commit({ topic: 't', groupId: 'h' })
    group.take()
    group.run((shard) => shard.forgetTopic('t'))
    expect(group.take()).toEqual(['write offset g t-0 gone', 'write offset h t-0 gone'])
    expect(group.offsetOf('u')).toBe(1)
    expect(group.shard.groupCount).toBe(1)
  })
})

describe('expiry', () => {
  test('takes a simple group some time after its last commit, and writes nothing before', () => {
    const group = new ShardHarness()
    group.commit({ partition: 0 })
    group.pass(retentionMs / 2)
    group.commit({ partition: 1 })
    group.pass(retentionMs / 2)
    group.take()
    expire(group)
    expect(group.take()).toEqual(['write offset g t-0 gone'])
    expire(group)
    expect(group.take()).toEqual([])
    group.pass(retentionMs / 2)
    expire(group)
    expect(group.take()).toEqual(['write offset g t-1 gone'])
    expect(group.shard.groupCount).toBe(0)
  })

  test('spares a group that lives, and counts from the moment when it became empty', () => {
    const group = new ShardHarness()
    const [a] = group.stabilise('a') as [string]
    group.commit({ memberId: a, generationId: 1 })
    for (let heartbeats = 0; heartbeats < 2; heartbeats++) {
      group.nowMs += retentionMs
      group.heartbeat(a, 1)
      expire(group)
    }
    group.leave(a)
    group.pass(retentionMs - 1)
    group.take()
    expire(group)
    expect(group.take()).toEqual([])
    group.pass(60_001)
    expire(group)
    expire(group)
    expect(group.take()).toEqual(['write offset g t-0 gone', 'write group g gone'])
    expect(group.shard.groupCount).toBe(0)
  })

  test('takes what a living group no longer subscribes to', () => {
    const group = new ShardHarness()
    group.commit({ topic: 'old' })
    const [a] = group.stabilise('a') as [string]
    group.commit({ memberId: a, generationId: 1, topic: 't' })
    group.nowMs += retentionMs
    group.take()
    expire(group)
    expect(group.take()).toEqual(['write offset g old-0 gone'])
  })

  test('follows a retention that came with the commit', () => {
    const group = new ShardHarness()
    group.commit({ retentionMs: 1_000 })
    group.pass(999)
    expire(group)
    group.pass(1)
    group.take()
    expire(group)
    expect(group.take()).toEqual(['write offset g t-0 gone'])
  })
})

test('a restart finds groups, members, assignments and offsets as they were, and members go on by their heartbeats', () => {
  const group = new ShardHarness()
  const [a, b] = group.stabilise('a', 'b') as [string, string]
  group.commit({ memberId: a, generationId: 1, offset: 7 })
  group.commit({ groupId: 'simple', offset: 8 })
  const shard = replayed(group)
  expect(shard.describe('g')).toEqual(group.shard.describe('g'))
  expect(shard.describe('simple')).toEqual(group.shard.describe('simple'))
  expect(shard.fetchOffsets({ groupId: 'g', topics: null, requireStable: false })[0]?.offset).toBe(7)
  const claim = { groupId: 'g', memberId: b, groupInstanceId: null, generationId: 1 }
  const now = { wallMs: group.nowMs + 9_999, monotonicMs: group.nowMs + 9_999 }
  shard.at(now).tick()
  expect(shard.heartbeat(claim)).toBeNull()
  shard.at({ ...now, monotonicMs: group.nowMs + 10_000 }).tick()
  expect(shard.heartbeat({ ...claim, memberId: a })).toBe('UNKNOWN_MEMBER_ID')
  expect(shard.heartbeat(claim)).toBe('REBALANCE_IN_PROGRESS')
})
