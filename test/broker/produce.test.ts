import { describe, expect, it } from 'vitest'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import type { ProduceRequest, ProduceResponseInput } from '../../src/protocol/kafka/messages/produce.ts'
import {
  attributesAt,
  controlBit,
  magicAt,
  transactionalBit,
  updateBatchCrc,
} from '../../src/protocol/records/record-batch.ts'
import { batchOf } from '../log/log-fixture.ts'
import { newWorld } from './admin-world.ts'
import {
  batchesOf,
  compressedBatch,
  dropTopic,
  makeSecretTopic,
  makeTopic,
  nameOf,
  openRecords,
  produced,
  produceRequest,
  type RecordWorld,
  clientOf,
} from './record-world.ts'

async function open(): Promise<{ readonly node: RecordWorld; readonly partition: Partition }> {
  const node = await openRecords()
  const [partition] = await makeTopic(node, 'readings', 3)
  return { node, partition: partition as Partition }
}

/** Starts a request; what came of it, once there is something. */
function start(node: RecordWorld, request: ProduceRequest, version = 12): { answer: ProduceResponseInput | null } {
  const state: { answer: ProduceResponseInput | null } = { answer: null }
  void Promise.resolve(node.broker.produce(request, clientOf(version))).then((answer) => {
    state.answer = answer
  })
  return state
}

async function send(node: RecordWorld, request: ProduceRequest, version = 12): Promise<readonly string[]> {
  return produced(await node.settle(node.broker.produce(request, clientOf(version))))
}

/** A batch that was changed after it was made, with a CRC that fits. */
function changed(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = batchOf(['x'])
  change(bytes)
  updateBatchCrc(bytes)
  return bytes
}

function withAttributes(bits: number): Uint8Array {
  return changed((bytes) => {
    bytes[attributesAt + 1] = (bytes[attributesAt + 1] as number) | bits
  })
}

const sequenced = (baseSequence: number, texts = ['x']): Uint8Array =>
  batchOf(texts, { producerId: 7, producerEpoch: 0, baseSequence })

describe('acks', () => {
  it.each([-1, 1])('%i is answered when the record survives a power cut, and not before', async (acks) => {
    for (let seed = 1; seed <= 10; seed++) {
      const place = newWorld(seed)
      const node = await openRecords(place)
      const [partition] = await makeTopic(node, 'readings')
      const state = start(node, produceRequest([['readings', 0, batchOf(['kept'])]], { acks }))
      expect(partition?.log.logEndOffset).toBe(1)
      await place.world.run(() => state.answer !== null)
      expect(produced(state.answer)).toEqual(['readings-0: 0'])
      expect(partition?.log.durableEndOffset).toBe(1)
      place.host.powerCut()
      const again = await openRecords(place)
      const [survivor] = again.broker.partitions.ofTopic('readings') ?? []
      expect(await batchesOf(again, survivor as Partition), `seed ${seed}`).toEqual([['kept']])
    }
  })

  it('0 is never answered, the records are in the log all the same, and what is refused is told to the door', async () => {
    const { node, partition } = await open()
    expect(node.broker.produce(produceRequest([['readings', 0, batchOf(['a'])]], { acks: 0 }), clientOf(12))).toBe(null)
    expect(node.broker.produce(produceRequest([['nowhere', 0, batchOf(['a'])]], { acks: 0 }), clientOf(12))).toEqual({
      refusal: 'UNKNOWN_TOPIC_OR_PARTITION',
      responses: [],
    })
    await node.world.runFor(1_000)
    expect(await batchesOf(node, partition)).toEqual([['a']])
  })

  it.each([-2, 2, 100])('%i is refused for every partition, and nothing is appended', async (acks) => {
    const { node, partition } = await open()
    const request = produceRequest(
      [
        ['readings', 0, batchOf(['a'])],
        ['nowhere', 0, batchOf(['a'])],
      ],
      { acks },
    )
    expect(await send(node, request)).toEqual(['readings-0: INVALID_REQUIRED_ACKS', 'nowhere-0: INVALID_REQUIRED_ACKS'])
    expect(partition.log.logEndOffset).toBe(0)
  })
})

describe('the timeout', () => {
  it('is answered REQUEST_TIMED_OUT at its time while the record stays, becomes readable, and is answered no second time', async () => {
    const { node, partition } = await open()
    node.host.stallDisk(10_000)
    const startMs = node.world.nowMs
    const state = start(node, produceRequest([['readings', 0, batchOf(['slow'])]], { timeoutMs: 6_000 }))
    await node.world.run(() => state.answer !== null)
    const answer = state.answer
    expect([produced(answer), Math.round(node.world.nowMs - startMs)]).toEqual([
      ['readings-0: REQUEST_TIMED_OUT'],
      6_000,
    ])
    expect([partition.log.logEndOffset, partition.highWatermark]).toEqual([1, 0])
    await node.world.run(() => partition.highWatermark === 1)
    expect(await batchesOf(node, partition)).toEqual([['slow']])
    expect([state.answer, produced(answer)]).toEqual([answer, ['readings-0: REQUEST_TIMED_OUT']])
  })

  it('of no or negative length still answers what fails at once', async () => {
    const { node } = await open()
    for (const timeoutMs of [0, -1]) {
      expect(await send(node, produceRequest([['nowhere', 0, batchOf(['a'])]], { timeoutMs }))).toEqual([
        'nowhere-0: UNKNOWN_TOPIC_OR_PARTITION',
      ])
    }
  })

  it('answers with the offsets of those that made it', async () => {
    const { node } = await open()
    await makeTopic(node, 'quick')
    expect(await send(node, produceRequest([['quick', 0, sequenced(0)]]))).toEqual(['quick-0: 0'])
    node.host.stallDisk(10_000)
    // The repeated batch is durable already; the new one waits for the disk.
    const request = produceRequest(
      [
        ['quick', 0, sequenced(0)],
        ['readings', 1, batchOf(['b'])],
      ],
      { timeoutMs: 200 },
    )
    expect(await send(node, request)).toEqual(['quick-0: 0', 'readings-1: REQUEST_TIMED_OUT'])
  })

  it.each([-1, 1])(
    'of a moment is that of followers: with acks=%i a flush of three seconds is waited for',
    async (acks) => {
      const { node } = await open()
      node.host.stallDisk(3_000)
      const request = produceRequest([['readings', 0, batchOf(['once'])]], { acks, timeoutMs: 100 })
      expect(await send(node, request)).toEqual(['readings-0: 0'])
    },
  )
})

describe('a duplicate', () => {
  it('is answered with the first offset, and only once the first is durable', async () => {
    const { node, partition } = await open()
    await send(node, produceRequest([['readings', 0, batchOf(['before', 'it'])]]))
    node.host.stallDisk(3_000)
    const first = start(node, produceRequest([['readings', 0, sequenced(0, ['a', 'b'])]]))
    const second = start(node, produceRequest([['readings', 0, sequenced(0, ['a', 'b'])]]))
    await node.world.runFor(2_000)
    expect([first.answer, second.answer]).toEqual([null, null])
    await node.world.run(() => second.answer !== null)
    expect([produced(first.answer), produced(second.answer)]).toEqual([['readings-0: 2'], ['readings-0: 2']])
    expect(partition.log.durableEndOffset).toBe(4)
    expect(await batchesOf(node, partition)).toEqual([
      ['before', 'it'],
      ['a', 'b'],
    ])
  })

  it('is known after a power cut', async () => {
    const place = newWorld(3)
    const node = await openRecords(place)
    await makeTopic(node, 'readings')
    for (let at = 0; at < 3; at++) await send(node, produceRequest([['readings', 0, sequenced(at)]]))
    place.host.powerCut()
    const again = await openRecords(place)
    expect(await send(again, produceRequest([['readings', 0, sequenced(1)]]))).toEqual(['readings-0: 1'])
    expect(await send(again, produceRequest([['readings', 0, sequenced(3)]]))).toEqual(['readings-0: 3'])
    expect(await send(again, produceRequest([['readings', 0, sequenced(9)]]))).toEqual([
      'readings-0: OUT_OF_ORDER_SEQUENCE_NUMBER',
    ])
  })
})

describe('one request', () => {
  it('answers errors of some partitions beside the offsets of others', async () => {
    const { node, partition } = await open()
    await makeSecretTopic(node)
    const broken = batchOf(['a'])
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 0xff
    const request = produceRequest([
      ['readings', 0, batchOf(['a', 'b'])],
      ['readings', 1, broken],
      ['readings', 2, null],
      ['readings', 2, new Uint8Array(0)],
      ['readings', 3, batchOf(['a'])],
      ['readings', -1, batchOf(['a'])],
      ['nowhere', 0, batchOf(['a'])],
      ['__headwater_secret', 0, batchOf(['a'])],
      ['readings', 0, batchOf(['c'])],
    ])
    expect(await send(node, request)).toEqual([
      'readings-0: 0',
      'readings-1: CORRUPT_MESSAGE',
      'readings-2: INVALID_RECORD',
      'readings-2: INVALID_RECORD',
      'readings-3: UNKNOWN_TOPIC_OR_PARTITION',
      'readings--1: UNKNOWN_TOPIC_OR_PARTITION',
      'nowhere-0: UNKNOWN_TOPIC_OR_PARTITION',
      '__headwater_secret-0: INVALID_TOPIC_EXCEPTION',
      'readings-0: 2',
    ])
    expect(await batchesOf(node, partition)).toEqual([['a', 'b'], ['c']])
  })

  it('is appended in the order of the requests, whichever is durable first', async () => {
    const { node, partition } = await open()
    const states = ['a', 'b', 'c'].map((text) => start(node, produceRequest([['readings', 0, batchOf([text])]])))
    await node.world.run(() => states.every(({ answer }) => answer !== null))
    expect(states.map(({ answer }) => produced(answer))).toEqual([
      ['readings-0: 0'],
      ['readings-0: 1'],
      ['readings-0: 2'],
    ])
    expect((await batchesOf(node, partition)).flat()).toEqual(['a', 'b', 'c'])
  })

  it('names topics by their id from version 13 on', async () => {
    const { node, partition } = await open()
    const other = 'AAAAAAAAAAAAAAAAAAAAGQ'
    const request = produceRequest(
      [
        ['readings', 0, batchOf(['a'])],
        ['readings', 9, batchOf(['a'])],
        ['stranger', 0, batchOf(['a'])],
        ['nobody', 0, batchOf(['a'])],
      ],
      { topicIds: { readings: partition.topicId, stranger: other } },
    )
    expect(await send(node, request, 13)).toEqual([
      'readings-0: 0',
      'readings-9: UNKNOWN_TOPIC_OR_PARTITION',
      'stranger-0: UNKNOWN_TOPIC_ID',
      'nobody-0: UNKNOWN_TOPIC_ID',
    ])
  })

  it('tells the time of the append where the topic stamps it, and the first offset that is left', async () => {
    const { node } = await open()
    await makeTopic(node, 'stamped', 1, { 'message.timestamp.type': 'LogAppendTime' })
    const request = produceRequest([
      ['stamped', 0, batchOf(['a'])],
      ['readings', 0, batchOf(['a'])],
    ])
    const answer = await node.settle(node.broker.produce(request, clientOf(12)))
    const facts = (answer?.responses ?? []).map(({ partitionResponses }) => partitionResponses?.[0])
    expect(facts.map((each) => [(each?.logAppendTimeMs ?? 0) > 1_700_000_000_000, each?.logStartOffset])).toEqual([
      [true, 0],
      [false, 0],
    ])
    expect(facts[1]?.logAppendTimeMs).toBe(-1)
  })
})

describe('what a client may not write', () => {
  it('is anything under a transactional id', async () => {
    const { node, partition } = await open()
    const request = produceRequest([['readings', 0, batchOf(['a'])]], { transactionalId: 'tx' })
    const answer = await node.settle(node.broker.produce(request, clientOf(12)))
    const refused = answer?.responses?.[0]?.partitionResponses?.[0]
    expect([nameOf(refused?.errorCode), refused?.errorMessage]).toEqual([
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
      'this broker does not serve transactions',
    ])
    expect(partition.log.logEndOffset).toBe(0)
  })

  it('is a transactional batch: nobody could end it, and readers of committed records would wait for ever', async () => {
    const { node, partition } = await open()
    const batch = batchOf(['a'], { isTransactional: true, producerId: 7, producerEpoch: 0, baseSequence: 0 })
    expect(await send(node, produceRequest([['readings', 0, batch]]))).toEqual([
      'readings-0: TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    ])
    expect(await send(node, produceRequest([['readings', 0, batchOf(['b'])]]))).toEqual(['readings-0: 0'])
    expect(partition.log.lastStableOffset).toBe(1)
    expect(await send(node, produceRequest([['readings', 0, withAttributes(transactionalBit)]]))).toEqual([
      'readings-0: TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    ])
  })

  it('is a control batch, or two batches at once', async () => {
    const { node } = await open()
    const two = Buffer.concat([batchOf(['a']), batchOf(['b'])])
    expect(await send(node, produceRequest([['readings', 0, withAttributes(controlBit)]]))).toEqual([
      'readings-0: INVALID_RECORD',
    ])
    expect(await send(node, produceRequest([['readings', 0, two]]))).toEqual(['readings-0: INVALID_RECORD'])
  })

  it.each([0, 1])('is message format %i', async (magic) => {
    const { node } = await open()
    const old = changed((bytes) => {
      bytes[magicAt] = magic
    })
    expect(await send(node, produceRequest([['readings', 0, old]], {}), 3)).toEqual([
      'readings-0: UNSUPPORTED_FOR_MESSAGE_FORMAT',
    ])
  })

  it.each([0, 1, 2])('is anything by version %i, which knows only the old formats', async (version) => {
    const { node } = await open()
    expect(await send(node, produceRequest([['readings', 0, batchOf(['a'])]]), version)).toEqual([
      'readings-0: UNSUPPORTED_FOR_MESSAGE_FORMAT',
    ])
  })

  it.each([
    [3, 'UNSUPPORTED_COMPRESSION_TYPE'],
    [6, 'UNSUPPORTED_COMPRESSION_TYPE'],
    [7, '0'],
    [12, '0'],
  ])('zstd by version %i: %s', async (version, outcome) => {
    const { node } = await open()
    const batch = await compressedBatch('zstd', ['a'])
    expect(await send(node, produceRequest([['readings', 0, batch]]), version)).toEqual([`readings-0: ${outcome}`])
  })
})

describe('a wait that cannot end well', () => {
  it('is answered when the topic goes', async () => {
    const { node } = await open()
    const gone = dropTopic(node, 'readings')
    const states: { answer: ProduceResponseInput | null }[] = []
    while (node.broker.partitions.get('readings', 0) !== undefined) {
      states.push(start(node, produceRequest([['readings', 0, batchOf(['a'])]])))
      await node.world.runFor(0.02)
    }
    await gone
    const answers = states.map(({ answer }) => produced(answer)[0] ?? 'none')
    expect(new Set(answers.map((answer) => answer.replace(/\d+$/, 'n')))).toEqual(
      new Set(['readings-0: n', 'readings-0: UNKNOWN_TOPIC_OR_PARTITION']),
    )
  })

  it.each([-1, 1])(
    'is answered KAFKA_STORAGE_ERROR when the disk fails (acks %i), and so is the next request',
    async (acks) => {
      const { node } = await open()
      node.host.failDisk({ operation: 'sync', code: 'EIO' })
      const request = (): ProduceRequest => produceRequest([['readings', 0, batchOf(['a'])]], { acks })
      expect(await send(node, request())).toEqual(['readings-0: KAFKA_STORAGE_ERROR'])
      expect(await send(node, request())).toEqual(['readings-0: KAFKA_STORAGE_ERROR'])
    },
  )
})
