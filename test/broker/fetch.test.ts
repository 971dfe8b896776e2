import { describe, expect, it } from 'vitest'
import { MemoryBudget } from '../../src/ingest/kafka/memory-budget.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import type { FetchRequest, FetchResponseInput } from '../../src/protocol/kafka/messages/fetch.ts'
import { batchOf } from '../log/log-fixture.ts'
import type { DiskTimes } from '../sim/sim-disk.ts'
import { newWorld } from './admin-world.ts'
import {
  type Asked,
  Caller,
  compressedBatch,
  dropTopic,
  fetched,
  fetchRequest,
  makeSecretTopic,
  makeTopic,
  nameOf,
  openRecords,
  produceRequest,
  type RecordWorld,
  clientOf,
} from './record-world.ts'

interface Fetching {
  readonly node: RecordWorld
  readonly partitions: readonly Partition[]
}

/** A topic of three partitions. */
async function open(): Promise<Fetching> {
  const node = await openRecords()
  return { node, partitions: await makeTopic(node, 'readings', 3) }
}

/** Appends one batch of these texts and waits until it is committed. */
async function write(node: RecordWorld, texts: readonly string[], index = 0): Promise<void> {
  const answer = await node.settle(
    node.broker.produce(produceRequest([['readings', index, batchOf(texts)]]), clientOf(12)),
  )
  expect(answer?.responses?.[0]?.partitionResponses?.[0]?.errorCode).toBe(0)
}

async function ask(node: RecordWorld, request: FetchRequest, version = 12): Promise<readonly string[]> {
  return fetched(await node.settle(node.broker.fetch(request, new Caller(version))))
}

/** A fetch that may wait: what came of it, and when. */
interface Waiting {
  readonly caller: Caller
  response: FetchResponseInput | null
  tookMs: number
}

function begin(node: RecordWorld, request: FetchRequest, caller = new Caller()): Waiting {
  const startMs = node.world.nowMs
  const waiting: Waiting = { caller, response: null, tookMs: -1 }
  void node.broker.fetch(request, waiting.caller).then((response) => {
    waiting.response = response
    waiting.tookMs = node.world.nowMs - startMs
  })
  return waiting
}

const big = 'x'.repeat(10_000)

/** The next life of a node whose memory holds nothing of its files. */
async function coldLife(node: RecordWorld, times: Partial<DiskTimes> = {}): Promise<RecordWorld> {
  node.host.kill()
  node.host.diskTimes = { ...node.host.diskTimes, hotChance: 0, ...times }
  return openRecords(node, { directory: { tailCacheBytes: 1 } })
}

describe('what is read', () => {
  it('is the whole batch that holds an offset in its middle, and those behind it', async () => {
    const { node } = await open()
    await write(node, ['a', 'b', 'c'])
    await write(node, ['d'])
    expect(await ask(node, fetchRequest([{ offset: 1 }]))).toEqual(['readings-0: 0..3'])
    expect(await ask(node, fetchRequest([{ offset: 3 }]))).toEqual(['readings-0: 3..3'])
  })

  it('is never beyond the high watermark', async () => {
    const { node, partitions } = await open()
    await write(node, ['a'])
    node.host.stallDisk(5_000)
    void node.broker.produce(produceRequest([['readings', 0, batchOf(['b'])]]), clientOf(12))
    expect([partitions[0]?.log.logEndOffset, partitions[0]?.highWatermark]).toEqual([2, 1])
    expect(await ask(node, fetchRequest([{ offset: 0 }]))).toEqual(['readings-0: 0..0'])
    expect(await ask(node, fetchRequest([{ offset: 2 }]))).toEqual(['readings-0: empty'])
  })

  it.each([{ maxBytes: 1 }, { partitionMaxBytes: 1 }, { maxBytes: 0 }, { maxBytes: -1, partitionMaxBytes: -1 }])(
    'is at least one batch, whatever the bounds say: %o',
    async ({ maxBytes = 1_000_000, partitionMaxBytes = 1_000_000 }) => {
      const { node } = await open()
      await write(node, [big])
      await write(node, [big])
      expect(await ask(node, fetchRequest([{ partitionMaxBytes }], { maxBytes }))).toEqual(['readings-0: 0..0'])
    },
  )

  it('shares one budget among the partitions, in the order of the request; later ones still tell their errors', async () => {
    const { node } = await open()
    for (const index of [0, 1, 2]) for (let at = 0; at < 3; at++) await write(node, [big], index)
    const asked: Asked[] = [{ index: 2 }, { index: 0 }, { index: 1 }, { index: 0, offset: 99 }]
    expect(await ask(node, fetchRequest(asked, { maxBytes: 35_000 }))).toEqual([
      'readings-2: 0..2',
      'readings-0: empty',
      'readings-1: empty',
      'readings-0: OFFSET_OUT_OF_RANGE',
    ])
    expect(await ask(node, fetchRequest(asked.slice(0, 3), { maxBytes: 45_000 }))).toEqual([
      'readings-2: 0..2',
      'readings-0: 0..0',
      'readings-1: empty',
    ])
    const small = asked.slice(0, 3).map((each) => ({ ...each, partitionMaxBytes: 1 }))
    // Only the first partition with records goes beyond its bound.
    expect(await ask(node, fetchRequest(small))).toEqual(['readings-2: 0..0', 'readings-0: empty', 'readings-1: empty'])
  })

  it('is bounded by fetch.max.bytes of the broker', async () => {
    const node = await openRecords(newWorld(), { settings: { 'fetch.max.bytes': '25000' } })
    await makeTopic(node, 'readings')
    for (let at = 0; at < 5; at++) await write(node, [big])
    expect(await ask(node, fetchRequest([{}]))).toEqual(['readings-0: 0..1'])
  })

  it('comes from the disk when memory no longer has it, the other partitions beside it', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings', 2)
    for (let at = 0; at < 20; at++) await write(node, [big, big], at % 2)
    const again = await coldLife(node)
    const asked: Asked[] = [{ index: 0, offset: 7 }, { index: 1 }, { index: 0, offset: 99 }]
    expect(await ask(again, fetchRequest(asked, { maxBytes: 150_000 }))).toEqual([
      'readings-0: 6..19',
      'readings-1: empty',
      'readings-0: OFFSET_OUT_OF_RANGE',
    ])
  })

  it('answers a disk that cannot read with KAFKA_STORAGE_ERROR, the other partitions beside it', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings', 2)
    for (const index of [0, 1]) for (let at = 0; at < 3; at++) await write(node, [big], index)
    const again = await coldLife(node)
    again.host.failDisk({ operation: 'read', path: /readings-0/, code: 'EIO' })
    expect(await ask(again, fetchRequest([{ index: 0 }, { index: 1 }]))).toEqual([
      'readings-0: KAFKA_STORAGE_ERROR',
      'readings-1: 0..2',
    ])
  })

  it('gives batches of zstd to old versions too, as Apache Kafka does: clients of Fetch 4 may read them', async () => {
    const { node } = await open()
    const batch = await compressedBatch('zstd', ['a'])
    await node.settle(node.broker.produce(produceRequest([['readings', 0, batch]]), clientOf(12)))
    const request = fetchRequest([{}])
    for (const version of [4, 9, 10]) expect(await ask(node, request, version)).toEqual(['readings-0: 0..0'])
  })

  it('to readers of committed records ends at the last stable offset', async () => {
    const { node, partitions } = await open()
    await write(node, ['a'])
    const partition = partitions[0] as Partition
    // Only another broker's files can hold an open transaction: clients are refused.
    const batch = batchOf(['t'], { isTransactional: true, producerId: 9, producerEpoch: 0, baseSequence: 0 })
    node.broker.partitions.appendSet([{ partition, batch, origin: 'internal' }])
    await write(node, ['b'])
    expect(await ask(node, fetchRequest([{}]))).toEqual(['readings-0: 0..2'])
    const committed = await node.settle(node.broker.fetch(fetchRequest([{}], { isolationLevel: 1 }), new Caller()))
    const answer = committed.responses?.[0]?.partitions?.[0]
    expect(fetched(committed)).toEqual(['readings-0: 0..0'])
    expect([answer?.highWatermark, answer?.lastStableOffset, answer?.abortedTransactions]).toEqual([3, 1, []])
    const waiting = begin(node, fetchRequest([{ offset: 1 }], { isolationLevel: 1, maxWaitMs: 300 }))
    await write(node, ['c'])
    await node.world.run(() => waiting.response !== null)
    expect([Math.round(waiting.tookMs), fetched(waiting.response ?? {})]).toEqual([300, ['readings-0: empty']])
  })
})

describe('what is refused', () => {
  it('is an offset below the start of the log or beyond its end, and never its end itself', async () => {
    const { node, partitions } = await open()
    for (const text of ['a', 'b', 'c']) await write(node, [text])
    await node.settle((partitions[0] as Partition).log.deleteRecordsBefore(2))
    const offsets = [-1, 0, 1, 2, 3, 4]
    const answers = await ask(node, fetchRequest(offsets.map((offset) => ({ offset }))))
    expect(answers.map((answer) => answer.slice('readings-0: '.length))).toEqual([
      'OFFSET_OUT_OF_RANGE',
      'OFFSET_OUT_OF_RANGE',
      'OFFSET_OUT_OF_RANGE',
      '2..2',
      'empty',
      'OFFSET_OUT_OF_RANGE',
    ])
  })

  it('is an unknown topic, partition or id, and a topic that clients may not read, at once and beside the others', async () => {
    const { node, partitions } = await open()
    await makeSecretTopic(node)
    await write(node, ['a'])
    const asked: Asked[] = [{}, { index: 7 }, { topic: 'nowhere' }, { topic: '__headwater_secret' }]
    expect(await ask(node, fetchRequest(asked, { maxWaitMs: 60_000, minBytes: 1_000_000 }))).toEqual([
      'readings-0: 0..0',
      'readings-7: UNKNOWN_TOPIC_OR_PARTITION',
      'nowhere-0: UNKNOWN_TOPIC_OR_PARTITION',
      '__headwater_secret-0: TOPIC_AUTHORIZATION_FAILED',
    ])
    const topicIds = { readings: partitions[0]?.topicId ?? '', nowhere: 'AAAAAAAAAAAAAAAAAAAAGQ' }
    expect(
      await ask(node, fetchRequest([{}, { index: 7 }, { topic: 'nowhere' }, { topic: 'zero' }], { topicIds }), 13),
    ).toEqual([
      'readings-0: 0..0',
      'readings-7: UNKNOWN_TOPIC_OR_PARTITION',
      'nowhere-0: UNKNOWN_TOPIC_ID',
      'zero-0: UNKNOWN_TOPIC_ID',
    ])
  })

  it('is a leader epoch that is older or newer than ours (KIP-320)', async () => {
    const place = newWorld(4)
    const node = await openRecords(place)
    await makeTopic(node, 'readings')
    await write(node, ['a'])
    place.host.powerCut()
    const again = await openRecords(place)
    const epoch = again.broker.partitions.get('readings', 0)?.leaderEpoch ?? 0
    expect(epoch).toBeGreaterThan(0)
    const asked = [-1, epoch - 1, epoch, epoch + 1].map((currentLeaderEpoch) => ({ currentLeaderEpoch }))
    expect(await ask(again, fetchRequest(asked))).toEqual([
      'readings-0: 0..0',
      'readings-0: FENCED_LEADER_EPOCH',
      'readings-0: 0..0',
      'readings-0: UNKNOWN_LEADER_EPOCH',
    ])
  })

  it('is a reader whose log parted from ours: it is told where, at once (KIP-595)', async () => {
    const place = newWorld(4)
    const node = await openRecords(place)
    await makeTopic(node, 'readings')
    await write(node, ['a', 'b'])
    place.host.powerCut()
    const again = await openRecords(place)
    await write(again, ['c'])
    const epoch = again.broker.partitions.get('readings', 0)?.leaderEpoch ?? 0
    const old = epoch - 1
    const diverging = async (asked: Asked): Promise<unknown> => {
      const waiting = begin(again, fetchRequest([asked], { maxWaitMs: 9_000 }))
      await again.world.runFor(0)
      const response = waiting.response ?? {}
      const answer = response.responses?.[0]?.partitions?.[0]
      return answer?.divergingEpoch ?? fetched(response)[0]
    }
    // It holds a third record of the old epoch, which the cut took from us.
    expect(await diverging({ offset: 3, lastFetchedEpoch: old })).toEqual({ epoch: old, endOffset: 2 })
    expect(await diverging({ offset: 2, lastFetchedEpoch: old })).toBe('readings-0: 2..2')
    expect(await diverging({ offset: 2, lastFetchedEpoch: epoch + 5 })).toBe('readings-0: OFFSET_OUT_OF_RANGE')
  })
})

describe('a wait', () => {
  it('ends with the deadline, empty, for who is at the end of the log', async () => {
    const { node } = await open()
    await write(node, ['a'])
    const waiting = begin(node, fetchRequest([{ offset: 1 }], { maxWaitMs: 500 }))
    await node.world.run(() => waiting.response !== null)
    expect([Math.round(waiting.tookMs), fetched(waiting.response ?? {})]).toEqual([500, ['readings-0: empty']])
  })

  it('does not begin without max wait, without partitions, or when no bytes are asked for', async () => {
    const { node } = await open()
    const waits = [
      begin(node, fetchRequest([{}], { maxWaitMs: 0 })),
      begin(node, fetchRequest([], { maxWaitMs: 9_000 })),
      begin(node, fetchRequest([{}], { maxWaitMs: 9_000, minBytes: 0 })),
      begin(node, fetchRequest([{}], { maxWaitMs: -5 })),
    ]
    await node.world.runFor(0)
    expect(waits.map(({ response }) => fetched(response ?? {}))).toEqual([
      ['readings-0: empty'],
      [],
      ['readings-0: empty'],
      ['readings-0: empty'],
    ])
  })

  it('ends when an append is committed, and not when it is only appended', async () => {
    const { node, partitions } = await open()
    const waiting = begin(node, fetchRequest([{ index: 0 }, { index: 1 }], { maxWaitMs: 60_000 }))
    await node.world.runFor(100)
    node.host.stallDisk(1_000)
    void node.broker.produce(produceRequest([['readings', 1, batchOf(['a'])]]), clientOf(12))
    await node.world.runFor(900)
    expect([partitions[1]?.log.logEndOffset, waiting.response]).toEqual([1, null])
    await node.world.run(() => waiting.response !== null)
    expect(fetched(waiting.response ?? {})).toEqual(['readings-0: empty', 'readings-1: 0..0'])
  })

  it('ends when there are min bytes over all partitions, with all that came until then', async () => {
    const { node } = await open()
    await write(node, [big], 2)
    const asked: Asked[] = [{ index: 0 }, { index: 1 }, { index: 2 }]
    const waiting = begin(node, fetchRequest(asked, { maxWaitMs: 60_000, minBytes: 35_000 }))
    await write(node, [big], 0)
    await write(node, [big], 0)
    await node.world.runFor(1_000)
    expect(waiting.response).toBe(null)
    await write(node, [big], 1)
    expect(fetched(waiting.response ?? {})).toEqual(['readings-0: 0..1', 'readings-1: 0..0', 'readings-2: 0..0'])
  })

  it('keeps to the budget while it gathers, and ends when there is more than it may hold', async () => {
    const { node } = await open()
    await write(node, [big], 0)
    const asked: Asked[] = [{ index: 0 }, { index: 1 }]
    const waiting = begin(node, fetchRequest(asked, { maxWaitMs: 60_000, minBytes: 22_000, maxBytes: 25_000 }))
    const batches = [0, 1].flatMap((index) =>
      ['y'.repeat(8_000), big].map((text) => ['readings', index, batchOf([text])] as const),
    )
    await node.settle(node.broker.produce(produceRequest(batches), clientOf(12)))
    await node.world.runFor(0)
    expect(fetched(waiting.response ?? {})).toEqual(['readings-0: 0..1', 'readings-1: empty'])
  })

  it('is for no more than max bytes', async () => {
    const { node } = await open()
    const waiting = begin(node, fetchRequest([{}], { maxWaitMs: 60_000, minBytes: 1_000_000, maxBytes: 20_000 }))
    await write(node, ['y'.repeat(9_000)])
    expect(waiting.response).toBe(null)
    await write(node, ['y'.repeat(9_000)])
    expect(waiting.response).toBe(null)
    await write(node, ['y'.repeat(9_000)])
    await node.world.runFor(0)
    expect(fetched(waiting.response ?? {})).toEqual(['readings-0: 0..1'])
  })

  it('is not for what a first read has left behind: the end of a segment, half-cold memory', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const place = newWorld(seed)
      const node = await openRecords(place, { directory: { tailCacheBytes: 1 } })
      await makeTopic(node, 'readings', 1, { 'segment.bytes': '1048576' })
      for (let at = 0; at < 12; at++) await write(node, ['x'.repeat(100_000)])
      const waiting = begin(node, fetchRequest([{}], { maxWaitMs: 60_000, minBytes: 1_150_000, maxBytes: 2_000_000 }))
      await place.world.run(() => waiting.response !== null, 1_000)
      expect(fetched(waiting.response ?? {})[0], `seed ${seed}`).toMatch(/^readings-0: 0\.\.\d/)
      place.host.kill()
    }
  })

  it('ends with the answer so far at the deadline when min bytes did not come', async () => {
    const { node } = await open()
    const waiting = begin(node, fetchRequest([{}], { maxWaitMs: 500, minBytes: 1_000_000 }))
    await write(node, ['a'])
    await node.world.run(() => waiting.response !== null)
    expect([Math.round(waiting.tookMs), fetched(waiting.response ?? {})]).toEqual([500, ['readings-0: 0..0']])
  })

  it('ends when the client closes, before it began too', async () => {
    const { node } = await open()
    const waiting = begin(node, fetchRequest([{}], { maxWaitMs: 2_000_000_000 }))
    await node.world.runFor(100)
    waiting.caller.close()
    await node.world.runFor(0)
    expect(waiting.response).not.toBe(null)
    const early = begin(node, fetchRequest([{}], { maxWaitMs: 2_000_000_000 }))
    early.caller.close()
    await node.world.runFor(0)
    expect(early.response).not.toBe(null)
  })

  it('ends when the client closes while the first read is with the disk', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings')
    await write(node, [big])
    await write(node, [big])
    const again = await coldLife(node)
    const waiting = begin(again, fetchRequest([{}], { maxWaitMs: 2_000_000_000, minBytes: 10_000_000 }))
    waiting.caller.close()
    await again.world.run(() => waiting.response !== null, 1_000)
  })

  it('ends when a topic of it is deleted', async () => {
    const { node } = await open()
    await makeTopic(node, 'other')
    const waiting = begin(node, fetchRequest([{ topic: 'other' }, {}], { maxWaitMs: 60_000 }))
    await dropTopic(node, 'other')
    expect(fetched(waiting.response ?? {})).toEqual(['other-0: UNKNOWN_TOPIC_OR_PARTITION', 'readings-0: empty'])
  })

  it('ends when the disk fails', async () => {
    const { node } = await open()
    const waiting = begin(node, fetchRequest([{}, { index: 1 }], { maxWaitMs: 60_000 }))
    node.host.failDisk({ operation: 'sync', code: 'EIO' })
    void node.broker.produce(produceRequest([['readings', 1, batchOf(['a'])]]), clientOf(12))
    await node.world.runFor(100)
    expect(fetched(waiting.response ?? {})).toEqual([
      'readings-0: KAFKA_STORAGE_ERROR',
      'readings-1: KAFKA_STORAGE_ERROR',
    ])
  })

  it('hears what is committed while its first read is with the disk', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings', 2)
    await write(node, [big])
    await write(node, [big])
    // Reads take as long as the steps of a commit.
    const again = await coldLife(node, { operationMs: [3, 3], syncMs: [3, 3] })
    for (let delayMs = 0; delayMs < 15; delayMs++) {
      const end = again.broker.partitions.get('readings', 1)?.highWatermark ?? 0
      const asked: Asked[] = [{ index: 1, offset: end }, { index: 0 }]
      void again.broker.produce(produceRequest([['readings', 1, batchOf(['y'.repeat(100)])]]), clientOf(12))
      await again.world.runFor(delayMs)
      const waiting = begin(again, fetchRequest(asked, { maxWaitMs: 60_000, minBytes: 20_200 }))
      await again.world.run(() => waiting.response !== null, 1_000)
      expect(fetched(waiting.response ?? {})).toEqual([`readings-1: ${end}..${end}`, 'readings-0: 0..1'])
      await again.world.runFor(100)
    }
  })

  it('reads only the partitions that moved', async () => {
    const { node, partitions } = await open()
    await write(node, [big], 0)
    const waiting = begin(node, fetchRequest([{ index: 0 }, { index: 1 }], { maxWaitMs: 60_000, minBytes: 50_000 }))
    const idle = partitions[0] as Partition
    const readHot = idle.log.readHot.bind(idle.log)
    let reads = 0
    idle.log.readHot = (request) => {
      reads++
      return readHot(request)
    }
    for (let at = 0; at < 3; at++) await write(node, [big], 1)
    expect([reads, waiting.response]).toEqual([0, null])
    await write(node, [big], 1)
    await node.world.run(() => waiting.response !== null)
    expect([reads, fetched(waiting.response ?? {})]).toEqual([0, ['readings-0: 0..0', 'readings-1: 0..3']])
  })
})

describe('the memory of answers', () => {
  const batch = batchOf(['x'.repeat(1_000)])
  /** Three partitions of four batches each, and room for two and a half. */
  async function openShort() {
    const opened = await open()
    for (const index of [0, 1, 2]) {
      for (let count = 0; count < 4; count++) await write(opened.node, ['x'.repeat(1_000)], index)
    }
    const answers = new MemoryBudget(Math.floor(batch.length * 2.5), () => {})
    return { ...opened, answers, all: fetchRequest([{}, { index: 1 }, { index: 2 }], { maxWaitMs: 1_000 }) }
  }

  it('is shared by all that are put together: an answer ends where there is none left, and the next waits for its first batch', async () => {
    const { node, answers, all } = await openShort()
    const first = begin(node, all, new Caller(12, answers))
    await node.world.run(() => first.response !== null)
    expect(fetched(first.response ?? { responses: [] })).toEqual([
      'readings-0: 0..1',
      'readings-1: empty',
      'readings-2: empty',
    ])
    const second = begin(node, all, new Caller(12, answers))
    await node.world.run(() => second.response !== null)
    expect(fetched(second.response ?? { responses: [] })[0]).toBe('readings-0: 0..0')
    expect(answers.usedBytes).toBe(batch.length * 3)
    const waiting = [1, 2, 3].map(() => begin(node, all, new Caller(12, answers)))
    await node.world.runFor(60_000)
    expect(waiting.map(({ response }) => response)).toEqual([null, null, null])
    first.caller.answerMemory.release()
    await node.world.run(() => waiting[0]?.response !== null)
    expect(answers.usedBytes).toBeLessThanOrEqual(batch.length * 3.5)
    for (const { caller } of [second, ...waiting]) caller.answerMemory.release()
    await node.world.run(() => waiting.every(({ response }) => response !== null))
    for (const { caller } of waiting) caller.answerMemory.release()
    expect(answers.usedBytes).toBe(0)
  })

  it('is not waited for by who has nothing to read, or has gone', async () => {
    const { node, answers, all } = await openShort()
    answers.add(answers.bytesMax)
    const atEnd = begin(node, fetchRequest([{ offset: 4 }], { maxWaitMs: 1_000 }), new Caller(12, answers))
    await node.world.run(() => atEnd.response !== null)
    const gone = begin(node, all, new Caller(12, answers))
    await node.world.runFor(2_000)
    expect(gone.response).toBeNull()
    gone.caller.close()
    await node.world.run(() => gone.response !== null)
    expect([answers.hasWaiting, answers.usedBytes]).toEqual([false, answers.bytesMax])
  })

  it('is held by a read that is with the disk, and given back when the disk fails', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings', 2)
    for (const index of [0, 1]) await write(node, [big], index)
    const again = await coldLife(node)
    again.host.failDisk({ operation: 'read', path: /readings-0/, code: 'EIO' })
    const answers = new MemoryBudget(10_000_000, () => {})
    const reading = begin(again, fetchRequest([{ index: 0 }, { index: 1 }]), new Caller(12, answers))
    expect(answers.usedBytes).toBe(1_048_576)
    await again.world.run(() => reading.response !== null)
    expect(fetched(reading.response ?? { responses: [] })).toEqual([
      'readings-0: KAFKA_STORAGE_ERROR',
      'readings-1: 0..0',
    ])
    expect(answers.usedBytes).toBe(batchOf([big]).length)
  })
})

it('a fetch tells the high watermark, the last stable offset and the start of the log', async () => {
  const { node, partitions } = await open()
  for (const text of ['a', 'b', 'c']) await write(node, [text])
  await node.settle((partitions[0] as Partition).log.deleteRecordsBefore(1))
  const response = await node.settle(node.broker.fetch(fetchRequest([{ offset: 1 }, { offset: 9 }]), new Caller()))
  const [good, bad] = (response.responses?.[0]?.partitions ?? []).map((answer) => [
    nameOf(answer.errorCode),
    answer.highWatermark,
    answer.lastStableOffset,
    answer.logStartOffset,
    answer.abortedTransactions,
  ])
  expect(good).toEqual(['NONE', 3, 3, 1, null])
  expect(bad).toEqual(['OFFSET_OUT_OF_RANGE', -1, undefined, undefined, null])
})
