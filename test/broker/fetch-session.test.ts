import { describe, expect, it } from 'vitest'
import type { Entropy } from '../../src/base/ports.ts'
import { type FetchContext, FetchSessionCache } from '../../src/broker/fetch-session.ts'
import {
  type Asked,
  Caller,
  type FetchOptions,
  fetched,
  fetchRequest,
  makeTopic,
  nameOf,
  openRecords,
  produceRequest,
  type RecordWorld,
  clientOf,
} from './record-world.ts'
import { batchOf } from '../log/log-fixture.ts'

const partitionsOf = (count: number, first = 0): Asked[] =>
  Array.from({ length: count }, (_, at) => ({ index: first + at }))

/** Numbers from 1 on. */
function counting(): Entropy {
  let next = 0
  return { uint32: () => ++next, below: () => ++next, bytes: (length) => new Uint8Array(length) }
}

function cacheOf(slotsMax = 2): {
  readonly cache: FetchSessionCache
  readonly ask: (
    asked: readonly Asked[],
    options?: FetchOptions,
    nowMs?: number,
    usesTopicIds?: boolean,
  ) => FetchContext
} {
  const cache = new FetchSessionCache(counting(), () => slotsMax)
  return {
    cache,
    ask: (asked, options = {}, nowMs = 0, usesTopicIds = false) =>
      cache.contextOf(fetchRequest(asked, options), usesTopicIds, nowMs),
  }
}

/** `kind`, the session and the partitions of a context, or the error. */
function told(context: FetchContext): string {
  if (context.kind === 'refused') return context.error
  const session = context.kind === 'sessionless' ? '' : ` ${context.session.id}`
  return `${context.kind}${session}: ${context.partitions.map(({ partition }) => partition).join(' ')}`
}

describe('a session', () => {
  it('is opened by epoch 0, goes on by rising epochs, and remembers what the client does not repeat', () => {
    const { ask } = cacheOf()
    expect(told(ask(partitionsOf(3), { sessionEpoch: 0 }))).toBe('full 1: 0 1 2')
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1 }))).toBe('incremental 1: 0 1 2')
    expect(told(ask([{ index: 7 }, { index: 0, offset: 5 }], { sessionId: 1, sessionEpoch: 2 }))).toBe(
      'incremental 1: 0 1 2 7',
    )
    const context = ask([], { sessionId: 1, sessionEpoch: 3 })
    expect(context.kind === 'refused' ? [] : context.partitions.map(({ fetchOffset }) => fetchOffset)).toEqual([
      5, 0, 0, 0,
    ])
  })

  it('forgets what it is told to, also what the same request adds', () => {
    const { ask } = cacheOf()
    ask(partitionsOf(3), { sessionEpoch: 0 })
    const forgotten = [
      ['readings', 1],
      ['readings', 9],
      ['other', 0],
    ] as const
    expect(told(ask([{ index: 9 }], { sessionId: 1, sessionEpoch: 1, forgotten }))).toBe('incremental 1: 0 2')
  })

  it('is refused under an id that is not known and at an epoch that is not the next', () => {
    const { ask } = cacheOf()
    ask(partitionsOf(1), { sessionEpoch: 0 })
    expect(told(ask([], { sessionId: 99, sessionEpoch: 1 }))).toBe('FETCH_SESSION_ID_NOT_FOUND')
    expect(told(ask([], { sessionId: 0, sessionEpoch: 1 }))).toBe('FETCH_SESSION_ID_NOT_FOUND')
    for (const sessionEpoch of [2, 3, -2]) {
      expect(told(ask([], { sessionId: 1, sessionEpoch }))).toBe('INVALID_FETCH_SESSION_EPOCH')
    }
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1 }))).toBe('incremental 1: 0')
    // A repeated request.
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1 }))).toBe('INVALID_FETCH_SESSION_EPOCH')
  })

  it('begins its epochs at 1 again after the greatest', () => {
    const { ask } = cacheOf()
    const context = ask(partitionsOf(1), { sessionEpoch: 0 })
    if (context.kind !== 'full') throw new Error(context.kind)
    context.session.nextEpoch = 0x7fff_ffff
    expect(told(ask([], { sessionId: 1, sessionEpoch: 0x7fff_ffff }))).toBe('incremental 1: 0')
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1 }))).toBe('incremental 1: 0')
  })

  it('is closed by epoch -1, and replaced by another epoch 0', () => {
    const { cache, ask } = cacheOf()
    ask(partitionsOf(1), { sessionEpoch: 0 })
    expect(told(ask(partitionsOf(1), { sessionId: 1, sessionEpoch: 0 }))).toBe('full 2: 0')
    expect(told(ask([], { sessionId: 2, sessionEpoch: -1 }))).toBe('sessionless: ')
    expect(cache.size).toBe(0)
  })

  it('ends when it has forgotten everything', () => {
    const { cache, ask } = cacheOf()
    ask(partitionsOf(1), { sessionEpoch: 0 })
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1, forgotten: [['readings', 0]] }))).toBe('sessionless: ')
    expect(cache.size).toBe(0)
  })

  it('names its topics one way: a client that changes between names and ids is told (KIP-516)', () => {
    const { ask } = cacheOf()
    ask(partitionsOf(1), { sessionEpoch: 0 })
    expect(told(ask([], { sessionId: 1, sessionEpoch: 1 }, 0, true))).toBe('FETCH_SESSION_TOPIC_ID_ERROR')
    const topicIds = { readings: 'AAAAAAAAAAAAAAAAAAAAGQ', other: 'AAAAAAAAAAAAAAAAAAAAGg' }
    ask([{ topic: 'readings' }, { topic: 'other' }], { sessionEpoch: 0, topicIds }, 0, true)
    expect(told(ask([], { sessionId: 2, sessionEpoch: 1, topicIds, forgotten: [['other', 0]] }, 0, true))).toBe(
      'incremental 2: 0',
    )
    expect(told(ask([], { sessionId: 2, sessionEpoch: 2 }, 0, false))).toBe('FETCH_SESSION_TOPIC_ID_ERROR')
  })
})

describe('the cache of sessions', () => {
  it('answers a new client without a session while it is full of sessions that are in use', () => {
    const { cache, ask } = cacheOf(2)
    for (let at = 0; at < 2; at++) ask(partitionsOf(1), { sessionEpoch: 0 })
    expect(told(ask(partitionsOf(2), { sessionEpoch: 0 }, 119_999))).toBe('sessionless: 0 1')
    expect(cache.size).toBe(2)
  })

  it('gives the place of the session that was idle longest, after two minutes, whose client then hears of it', () => {
    const { ask } = cacheOf(2)
    for (let at = 0; at < 2; at++) ask(partitionsOf(1), { sessionEpoch: 0 })
    ask([], { sessionId: 1, sessionEpoch: 1 }, 60_000)
    expect(told(ask(partitionsOf(1), { sessionEpoch: 0 }, 120_000))).toBe('full 3: 0')
    expect(told(ask([], { sessionId: 2, sessionEpoch: 1 }, 120_000))).toBe('FETCH_SESSION_ID_NOT_FOUND')
    expect(told(ask([], { sessionId: 1, sessionEpoch: 2 }, 120_000))).toBe('incremental 1: 0')
  })

  it('bounds the partitions of one session and of all: beyond, everything is answered without one', () => {
    const { cache, ask } = cacheOf(1_000)
    expect(told(ask(partitionsOf(10_001), { sessionEpoch: 0 })).split(':')[0]).toBe('sessionless')
    for (let at = 0; at < 10; at++) expect(ask(partitionsOf(10_000), { sessionEpoch: 0 }).kind).toBe('full')
    expect(ask(partitionsOf(1), { sessionEpoch: 0 }).kind).toBe('sessionless')
    const grown = ask([{ index: 10_000 }], { sessionId: 1, sessionEpoch: 1 })
    expect([grown.kind, grown.kind === 'refused' ? 0 : grown.partitions.length, cache.size]).toEqual([
      'sessionless',
      10_001,
      9,
    ])
    // Its partitions are free again.
    expect(ask(partitionsOf(10_000), { sessionEpoch: 0 }).kind).toBe('full')
  })
})

/** A client with a session over a real broker. */
class SessionClient {
  readonly node: RecordWorld
  readonly caller: Caller
  #id = 0
  #epoch = 0
  topicIds: Readonly<Record<string, string>> = {}

  constructor(node: RecordWorld, version = 12) {
    this.node = node
    this.caller = new Caller(version)
  }

  async ask(asked: readonly Asked[], options: FetchOptions = {}): Promise<readonly string[]> {
    const session = { sessionId: this.#id, sessionEpoch: this.#epoch, topicIds: this.topicIds }
    const response = await this.node.settle(
      this.node.broker.fetch(fetchRequest(asked, { ...session, ...options }), this.caller),
    )
    if ((response.errorCode ?? 0) !== 0) return [nameOf(response.errorCode)]
    this.#id = response.sessionId ?? 0
    this.#epoch = this.#id === 0 ? 0 : this.#epoch + 1
    return fetched(response)
  }
}

async function write(node: RecordWorld, text: string, index = 0): Promise<void> {
  await node.settle(node.broker.produce(produceRequest([['readings', index, batchOf([text])]]), clientOf(12)))
}

describe('a fetch in a session', () => {
  it('answers everything once, then only what is new', async () => {
    const node = await openRecords()
    const [first] = await makeTopic(node, 'readings', 3)
    await write(node, 'a', 1)
    const client = new SessionClient(node)
    expect(await client.ask(partitionsOf(3))).toEqual(['readings-0: empty', 'readings-1: 0..0', 'readings-2: empty'])
    expect(await client.ask([{ index: 1, offset: 1 }])).toEqual([])
    await write(node, 'b', 2)
    expect(await client.ask([])).toEqual(['readings-2: 0..0'])
    // What the client does not take it is answered again.
    expect(await client.ask([])).toEqual(['readings-2: 0..0'])
    expect(await client.ask([{ index: 2, offset: 1 }])).toEqual([])
    for (const text of ['c', 'd']) await write(node, text)
    expect(await client.ask([{ index: 0, offset: 2 }])).toEqual(['readings-0: empty'])
    expect(await client.ask([])).toEqual([])
    await node.settle(first?.log.deleteRecordsBefore(1) ?? 0)
    expect(await client.ask([])).toEqual(['readings-0: empty'])
    expect(await client.ask([])).toEqual([])
  })

  it('answers an error each time, and the end of the error once', async () => {
    const node = await openRecords()
    await makeTopic(node, 'readings', 2)
    const client = new SessionClient(node)
    expect(await client.ask([{ index: 0 }, { topic: 'late' }])).toEqual([
      'readings-0: empty',
      'late-0: UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect(await client.ask([])).toEqual(['late-0: UNKNOWN_TOPIC_OR_PARTITION'])
    await makeTopic(node, 'late')
    expect(await client.ask([])).toEqual(['late-0: empty'])
    expect(await client.ask([])).toEqual([])
  })

  it('lets partitions with records take turns, so that none starves behind a full answer', async () => {
    const node = await openRecords()
    await makeTopic(node, 'readings', 3)
    const big = 'x'.repeat(10_000)
    for (const index of [0, 1, 2]) for (let at = 0; at < 4; at++) await write(node, big, index)
    const client = new SessionClient(node)
    const offsets = [0, 0, 0]
    const order: string[] = []
    let changed: Asked[] = partitionsOf(3)
    for (let at = 0; at < 6; at++) {
      const answer = await client.ask(changed, { maxBytes: 15_000 })
      const served = answer.filter((line) => !line.endsWith('empty'))
      const index = Number(served[0]?.split(/[-:]/)[1])
      offsets[index] = (offsets[index] ?? 0) + 1
      changed = [{ index, offset: offsets[index] ?? 0 }]
      order.push(served.join())
    }
    expect(order).toEqual([0, 0, 0, 1, 1, 1].map((offset, at) => `readings-${at % 3}: ${offset}..${offset}`))
  })

  it('waits over all its partitions, and is woken by one that the request did not name', async () => {
    const node = await openRecords()
    await makeTopic(node, 'readings', 3)
    const client = new SessionClient(node)
    await client.ask(partitionsOf(3))
    const waiting = client.ask([], { maxWaitMs: 60_000 })
    const startMs = node.world.nowMs
    await write(node, 'a', 2)
    expect([await waiting, node.world.nowMs - startMs < 1_000]).toEqual([['readings-2: 0..0'], true])
  })

  it('finds a deleted and recreated topic by its name, and by its id tells that it is another one', async () => {
    const node = await openRecords()
    const [partition] = await makeTopic(node, 'readings')
    const byName = new SessionClient(node)
    const byId = new SessionClient(node, 13)
    byId.topicIds = { readings: partition?.topicId ?? '' }
    await byName.ask([{}])
    expect(await byId.ask([{}])).toEqual(['readings-0: empty'])
    const name = 'readings'
    await node.settle(node.topics.delete({ name, topicId: null }, 60_000))
    await makeTopic(node, name)
    await write(node, 'new')
    expect(await byName.ask([])).toEqual(['readings-0: 0..0'])
    expect(await byId.ask([])).toEqual(['readings-0: UNKNOWN_TOPIC_ID'])
  })
})
