import { describe, expect, test } from 'vitest'
import { ShardHarness } from './shard-harness.ts'

describe('a new group', () => {
  test('waits the initial delay, elects the first to join, and is stable when its assignment is stored', () => {
    const group = new ShardHarness()
    group.join('a')
    group.join('b')
    expect(group.take()).toEqual([])
    group.pass(3_000)
    expect(group.state()).toBe('PreparingRebalance') // b came during the delay: it was extended
    group.pass(3_000)
    expect(group.take()).toEqual([
      'join a: id=a-u1 generation=1 range leader=a-u1 members=[a-u1,b-u2]',
      'join b: id=b-u2 generation=1 range leader=a-u1 members=[]',
    ])
    expect(group.state()).toBe('CompletingRebalance')
    group.sync('b-u2', 1)
    group.heartbeat('b-u2', 1)
    group.sync('a-u1', 1, { 'a-u1': 'half', 'b-u2': 'rest' })
    expect(group.take()).toEqual([
      'heartbeat b-u2: ok',
      'write group g generation=1 [a-u1:half b-u2:rest]',
      'sync a-u1: assignment=half',
      'sync b-u2: assignment=rest',
    ])
    expect(group.state()).toBe('Stable')
    group.sync('b-u2', 1)
    expect(group.take()).toEqual(['sync b-u2: assignment=rest'])
  })

  test('gives nobody an assignment that is not safe', () => {
    const group = new ShardHarness({ initialRebalanceDelayMs: 0 })
    group.isInstant = false
    group.join('a')
    group.pass(1)
    group.take()
    group.sync('a-u1', 1, { 'a-u1': 'all' })
    expect(group.take()).toEqual(['write group g generation=1 [a-u1:all]'])
    expect(group.state()).toBe('CompletingRebalance')
    group.settle()
    expect(group.take()).toEqual(['sync a-u1: assignment=all'])
  })

  test('begins again when its assignment could not be stored', () => {
    const group = new ShardHarness({ initialRebalanceDelayMs: 0 })
    group.isInstant = false
    group.join('a')
    group.pass(1)
    group.sync('a-u1', 1, { 'a-u1': 'all' })
    group.take()
    group.settle('KAFKA_STORAGE_ERROR')
    expect(group.take()).toEqual(['sync a-u1: NOT_COORDINATOR'])
    expect(group.state()).toBe('PreparingRebalance')
  })

  test('is forgotten without a trace when its only candidate never comes back', () => {
    const group = new ShardHarness()
    group.join('a', { requiresMemberId: true })
    expect(group.take()).toEqual(['join a: MEMBER_ID_REQUIRED id=a-u1'])
    expect(group.shard.groupCount).toBe(1)
    group.pass(10_000)
    expect(group.shard.groupCount).toBe(0)
    expect(group.log).toEqual([])
  })

  test('is forgotten when its members leave before it was ever stable', () => {
    const group = new ShardHarness()
    group.join('a')
    group.leave('a-u1')
    group.pass(3_000)
    expect(group.take()).toEqual(['join a: UNKNOWN_MEMBER_ID id=', 'leave a-u1: ok'])
    expect(group.shard.groupCount).toBe(0)
    expect(group.log).toEqual([])
  })
})

describe('joining', () => {
  test('takes an id first from version 4 on, and joins with it', () => {
    const group = new ShardHarness({ initialRebalanceDelayMs: 0 })
    group.join('a', { requiresMemberId: true })
    group.join('a', { requiresMemberId: true, memberId: 'a-u1' })
    group.pass(1)
    expect(group.take()).toEqual([
      'join a: MEMBER_ID_REQUIRED id=a-u1',
      'join a: id=a-u1 generation=1 range leader=a-u1 members=[a-u1]',
    ])
  })

  test('a rebalance waits for a member that was just given its id', () => {
    const group = new ShardHarness()
    const [a] = group.stabilise('a') as [string]
    group.join('b', { requiresMemberId: true })
    group.join('a', { memberId: a })
    expect(group.state()).toBe('PreparingRebalance')
    expect(group.take()).toEqual(['join b: MEMBER_ID_REQUIRED id=b-u2'])
    group.join('b', { requiresMemberId: true, memberId: 'b-u2' })
    expect(group.take()).toEqual([
      `join a: id=${a} generation=2 range leader=${a} members=[${a},b-u2]`,
      `join b: id=b-u2 generation=2 range leader=${a} members=[]`,
    ])
  })

  test('with an id that nobody gave is refused', () => {
    const group = new ShardHarness()
    group.join('x', { memberId: 'made-up' })
    group.stabilise('a')
    group.join('x', { memberId: 'made-up' })
    expect(group.take()).toEqual(['join x: UNKNOWN_MEMBER_ID id=made-up'])
  })

  test('elects the protocol that all support and most prefer, and refuses who shares none', () => {
    const group = new ShardHarness({ initialRebalanceDelayMs: 0 })
    group.join('a', { protocols: ['sticky', 'range'] })
    group.join('b', { protocols: ['range', 'sticky', 'other'] })
    group.join('c', { protocols: ['range', 'sticky'] })
    group.join('d', { protocols: ['other'] })
    group.join('e', { protocolType: 'connect' })
    expect(group.take()).toEqual(['join d: INCONSISTENT_GROUP_PROTOCOL id=', 'join e: INCONSISTENT_GROUP_PROTOCOL id='])
    group.passJoinPhase()
    expect(group.take()[0]).toBe('join a: id=a-u1 generation=1 range leader=a-u1 members=[a-u1,b-u2,c-u3]')
  })

  test('again, unchanged, during a generation gives the generation again and disturbs nobody', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    group.join('b', { memberId: b })
    expect(group.take()).toEqual([`join b: id=${b} generation=1 range leader=${a} members=[]`])
    expect(group.state()).toBe('Stable')
  })

  test('again as the leader, or with other protocols, makes the others come back', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    group.join('a', { memberId: a })
    group.heartbeat(b, 1)
    expect(group.take()).toEqual([`heartbeat ${b}: REBALANCE_IN_PROGRESS`])
    group.join('b', { memberId: b, protocols: ['range', 'sticky'] })
    expect(group.take()).toEqual([
      `join a: id=${a} generation=2 range leader=${a} members=[${a},${b}]`,
      `join b: id=${b} generation=2 range leader=${a} members=[]`,
    ])
  })

  test('twice answers the request that was given up, too', () => {
    const group = new ShardHarness()
    const [, b] = group.stabilise('a', 'b') as [string, string]
    group.join('b', { memberId: b, protocols: ['range', 'x'] })
    group.join('b', { memberId: b, protocols: ['range', 'x'] })
    expect(group.take()).toEqual([`join b: REBALANCE_IN_PROGRESS id=${b}`])
  })

  test('and going before the answer keeps nobody waiting, if the member is new', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    const gone = group.join('c')
    group.join('a', { memberId: a })
    group.run((shard) => shard.abandonJoin('g', gone))
    group.join('b', { memberId: b })
    expect(group.take()).toEqual([
      'join c: UNKNOWN_MEMBER_ID id=',
      `join a: id=${a} generation=2 range leader=${a} members=[${a},${b}]`,
      `join b: id=${b} generation=2 range leader=${a} members=[]`,
    ])
  })

  test('and going before the answer keeps the place of a member that has its id', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    const gone = group.join('a', { memberId: a })
    group.run((shard) => shard.abandonJoin('g', gone))
    group.join('b', { memberId: b })
    expect(group.take().at(-1)).toBe(`join b: id=${b} generation=2 range leader=${a} members=[]`)
  })

  test('beyond group.max.size is refused, and so are ids for it', () => {
    const group = new ShardHarness({ groupSizeMax: 2 })
    group.stabilise('a', 'b')
    group.join('c')
    group.join('d', { requiresMemberId: true })
    expect(group.take()).toEqual(['join c: GROUP_MAX_SIZE_REACHED id=', 'join d: GROUP_MAX_SIZE_REACHED id='])
    const other = new ShardHarness({ groupSizeMax: 2 })
    for (const who of ['a', 'b', 'c']) other.join(who, { requiresMemberId: true })
    expect(other.take().at(-1)).toBe('join c: GROUP_MAX_SIZE_REACHED id=')
  })

  test('beyond the bound on groups is refused', () => {
    const group = new ShardHarness({ groupsMax: 1 })
    group.join('a')
    group.join('b', { groupId: 'other' })
    expect(group.take()).toEqual(['join b: POLICY_VIOLATION id='])
  })
})

describe('a rebalance', () => {
  test('drops the dynamic members that do not come back in time', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    group.join('a', { memberId: a })
    for (let i = 0; i < 12; i++) {
      group.pass(5_000)
      group.heartbeat(b, 1)
    }
    expect(group.take().at(-2)).toBe(`join a: id=${a} generation=2 range leader=${a} members=[${a}]`)
    group.heartbeat(b, 1)
    expect(group.take()).toEqual([`heartbeat ${b}: UNKNOWN_MEMBER_ID`])
  })

  test('sends those who wait for an assignment back to join', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    group.join('b')
    group.join('a', { memberId: 'a-u1' })
    group.take()
    group.sync('b-u2', 2)
    group.join('c')
    expect(group.take()).toEqual(['sync b-u2: REBALANCE_IN_PROGRESS'])
    group.sync('a-u1', 2, {})
    group.heartbeat('a-u1', 2)
    expect(group.take()).toEqual(['sync a-u1: REBALANCE_IN_PROGRESS', 'heartbeat a-u1: REBALANCE_IN_PROGRESS'])
  })

  test('that begins while the assignment is being stored makes that assignment history', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    group.isInstant = false
    group.join('a', { memberId: 'a-u1' })
    group.sync('a-u1', 2, { 'a-u1': 'old' })
    group.join('b')
    group.take()
    group.settle()
    expect(group.state()).toBe('PreparingRebalance')
    expect(group.take()).toEqual([])
  })

  test('drops members that took their generation and never asked for their assignment', () => {
    const group = new ShardHarness()
    group.join('a', { sessionTimeoutMs: 200_000 })
    group.join('b', { sessionTimeoutMs: 200_000 })
    group.pass(6_000)
    group.sync('a-u1', 1, { 'a-u1': 'all' })
    group.take()
    expect(group.state()).toBe('Stable')
    group.pass(60_000)
    expect(group.state()).toBe('PreparingRebalance')
    group.heartbeat('b-u2', 1)
    expect(group.take()).toEqual(['heartbeat b-u2: UNKNOWN_MEMBER_ID'])
  })
})

describe('a session', () => {
  test('that ends removes the member and starts a rebalance; heartbeats and commits keep it', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    for (let i = 0; i < 5; i++) {
      group.pass(6_000)
      group.heartbeat(a, 1)
      group.commit({ memberId: b, generationId: 1, offset: i })
    }
    expect(group.state()).toBe('Stable')
    group.take()
    group.pass(9_999)
    group.heartbeat(a, 1)
    group.pass(1)
    group.heartbeat(b, 1)
    group.heartbeat(a, 1)
    expect(group.take()).toEqual([
      `heartbeat ${a}: ok`,
      `heartbeat ${b}: UNKNOWN_MEMBER_ID`,
      `heartbeat ${a}: REBALANCE_IN_PROGRESS`,
    ])
  })

  test('does not end while the member waits for the others to join', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    group.join('a', { memberId: a })
    for (let i = 0; i < 5; i++) {
      group.pass(9_000)
      group.heartbeat(b, 1)
    }
    group.join('b', { memberId: b })
    expect(group.take().filter((line) => line.startsWith('join a'))).toEqual([
      `join a: id=${a} generation=2 range leader=${a} members=[${a},${b}]`,
    ])
  })

  test('of the last member that ends leaves an empty group, written down', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    group.pass(10_000)
    expect(group.take()).toEqual(['write group g generation=2 []'])
    expect(group.state()).toBe('Empty')
  })
})

describe('leaving', () => {
  test('makes the others rebalance at once', () => {
    const group = new ShardHarness()
    const [a, b] = group.stabilise('a', 'b') as [string, string]
    group.leave(b)
    group.heartbeat(a, 1)
    group.join('a', { memberId: a })
    expect(group.take()).toEqual([
      `leave ${b}: ok`,
      `heartbeat ${a}: REBALANCE_IN_PROGRESS`,
      `join a: id=${a} generation=2 range leader=${a} members=[${a}]`,
    ])
  })

  test('of somebody unknown is told so', () => {
    const group = new ShardHarness()
    group.leave('x')
    group.stabilise('a')
    group.leave('x')
    expect(group.take()).toEqual(['leave x: UNKNOWN_MEMBER_ID'])
  })

  test('while waiting for the assignment answers that wait', () => {
    const group = new ShardHarness()
    group.stabilise('a')
    group.join('b')
    group.join('a', { memberId: 'a-u1' })
    group.sync('b-u2', 2)
    group.take()
    group.leave('b-u2')
    expect(group.take()).toEqual(['sync b-u2: UNKNOWN_MEMBER_ID', 'leave b-u2: ok'])
  })
})

describe('a static member (KIP-345)', () => {
  const stable = (): ShardHarness => {
    const group = new ShardHarness({ initialRebalanceDelayMs: 0 })
    group.join('a', { groupInstanceId: 'one' })
    group.join('b', { groupInstanceId: 'two' })
    group.passJoinPhase()
    group.sync('two-u2', 1, {}, { groupInstanceId: 'two' })
    group.sync('one-u1', 1, { 'one-u1': 'A', 'two-u2': 'B' }, { groupInstanceId: 'one' })
    group.take()
    return group
  }

  test('that comes back takes its assignment over without a rebalance; its former self is fenced', () => {
    const group = stable()
    group.join('b', { groupInstanceId: 'two', requiresMemberId: true })
    group.sync('two-u3', 1, {}, { groupInstanceId: 'two' })
    group.heartbeat('two-u2', 1, 'two')
    group.join('b', { groupInstanceId: 'two', memberId: 'two-u2' })
    expect(group.take()).toEqual([
      'write group g generation=1 [one-u1:A two-u3:B]',
      'join b: id=two-u3 generation=1 range leader=one-u1 members=[]',
      'sync two-u3: assignment=B',
      'heartbeat two-u2: FENCED_INSTANCE_ID',
      'join b: FENCED_INSTANCE_ID id=two-u2',
    ])
    expect(group.state()).toBe('Stable')
  })

  test('that comes back as the leader skips the assignment, or does not learn that it leads', () => {
    const group = stable()
    group.join('a', { groupInstanceId: 'one' })
    expect(group.take().at(-1)).toBe('join a: id=one-u3 generation=1 range leader=one-u3 members=[two-u2,one-u3] skip')
    group.join('a', { groupInstanceId: 'one', supportsSkippingAssignment: false })
    expect(group.take().at(-1)).toBe('join a: id=one-u4 generation=1 range leader=one-u3 members=[]')
  })

  test('keeps its place when it does not come to a rebalance, until its session ends', () => {
    const group = stable()
    group.join('c')
    group.join('a', { groupInstanceId: 'one', memberId: 'one-u1' })
    for (let i = 0; i < 11; i++) {
      group.pass(5_000)
      group.heartbeat('two-u2', 1, 'two')
    }
    group.pass(5_000)
    expect(group.take().filter((line) => line.startsWith('join'))).toEqual([
      'join a: id=one-u1 generation=2 range leader=one-u1 members=[one-u1,two-u2,c-u3]',
      'join c: id=c-u3 generation=2 range leader=one-u1 members=[]',
    ])
    group.pass(5_000)
    group.heartbeat('one-u1', 2, 'one')
    group.pass(5_000)
    expect(group.state()).toBe('PreparingRebalance')
  })

  test('is removed by an administrator who knows only its instance', () => {
    const group = stable()
    group.leave('', 'two')
    group.leave('', 'three')
    group.leave('one-u1', 'two')
    expect(group.take()).toEqual(['leave : ok', 'leave : UNKNOWN_MEMBER_ID', 'leave one-u1: UNKNOWN_MEMBER_ID'])
    expect(group.state()).toBe('PreparingRebalance')
  })

  test('that comes back while the leader assigns makes everybody come again', () => {
    const group = stable()
    group.join('a', { groupInstanceId: 'one', memberId: 'one-u1' })
    group.join('b', { groupInstanceId: 'two', memberId: 'two-u2' })
    expect(group.state()).toBe('CompletingRebalance')
    group.take()
    group.join('b', { groupInstanceId: 'two' })
    expect(group.state()).toBe('PreparingRebalance')
    expect(group.take()).toEqual([])
  })

  test('whose new id could not be stored keeps the old one', () => {
    const group = stable()
    group.isInstant = false
    group.join('b', { groupInstanceId: 'two' })
    group.take()
    group.settle('NOT_ENOUGH_REPLICAS')
    group.heartbeat('two-u2', 1, 'two')
    expect(group.take()).toEqual(['join b: COORDINATOR_NOT_AVAILABLE id=', 'heartbeat two-u2: ok'])
  })
})

test('a wrong generation, group or protocol is told as Kafka tells it', () => {
  const group = new ShardHarness()
  group.sync('x', 1)
  group.heartbeat('x', 1)
  const [a] = group.stabilise('a') as [string]
  group.heartbeat(a, 7)
  group.sync(a, 7)
  group.sync(a, 1, {}, { protocolType: 'connect' })
  group.sync(a, 1, {}, { protocolType: 'consumer', protocolName: 'sticky' })
  expect(group.take()).toEqual([
    `heartbeat ${a}: ILLEGAL_GENERATION`,
    `sync ${a}: ILLEGAL_GENERATION`,
    `sync ${a}: INCONSISTENT_GROUP_PROTOCOL`,
    `sync ${a}: INCONSISTENT_GROUP_PROTOCOL`,
  ])
})
