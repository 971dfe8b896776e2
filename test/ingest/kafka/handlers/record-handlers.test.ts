/** Every version of every record API, over the door, from a client on another host. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Partition } from '../../../../src/cluster/partition/partition.ts'
import { recordHandlers } from '../../../../src/ingest/kafka/handlers/record-handlers.ts'
import {
  deleteRecordsApi,
  describeProducersApi,
  fetchApi,
  initProducerIdApi,
  listOffsetsApi,
  offsetForLeaderEpochApi,
  produceApi,
} from '../../../../src/protocol/kafka/apis.ts'
import { KafkaClientConnection } from '../../../../src/protocol/kafka/client-connection.ts'
import { compressedBatch, makeTopic, nameOf, openRecords, type RecordWorld } from '../../../broker/record-world.ts'
import { batchOf } from '../../../log/log-fixture.ts'
import { type DoorHarness, openDoor } from '../door-harness.ts'

let node: RecordWorld
let door: DoorHarness
let client: KafkaClientConnection
let topicId: string

beforeEach(async () => {
  door = await openDoor(async (ports, world) => {
    node = await openRecords({ world, host: world.host('broker') }, { ports })
    return recordHandlers(node.broker)
  })
  const [partition] = await makeTopic(node, 'readings', 2)
  topicId = partition?.topicId ?? ''
  client = await connect()
})

function connect(): Promise<KafkaClientConnection> {
  const { net, clock } = door.world.host('other').isUp ? otherPorts : bootOther()
  return door.world.settle(
    KafkaClientConnection.open({
      net,
      clock,
      address: { host: 'broker', port: 9092 },
      clientId: 'test',
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 120_000,
      frameBytesMax: 10_000_000,
    }),
  )
}

let otherPorts: ReturnType<RecordWorld['host']['boot']>

function bootOther(): typeof otherPorts {
  otherPorts = door.world.host('other').boot()
  return otherPorts
}

const settle = <T>(work: Promise<T>): Promise<T> => door.world.settle(work)

function versions({ minVersion, maxVersion }: { readonly minVersion: number; readonly maxVersion: number }): number[] {
  return Array.from({ length: maxVersion - minVersion + 1 }, (_, at) => minVersion + at)
}

function produceValue(version: number, records: Uint8Array | null, acks = -1, topic = 'readings'): object {
  const id = topic === 'readings' ? topicId : 'AAAAAAAAAAAAAAAAAAAAGQ'
  const named = version >= 13 ? { topicId: id } : { name: topic }
  return { acks, timeoutMs: 1_000, topicData: [{ ...named, partitionData: [{ index: 0, records }] }] }
}

async function write(texts: readonly string[] = ['a']): Promise<void> {
  const answer = await settle(client.send(produceApi, produceValue(12, batchOf(texts)), { version: 12 }))
  expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
}

describe('Produce', () => {
  it.each(versions(produceApi))('version %i answers good and bad batches', async (version) => {
    const answers: unknown[] = []
    const batches = [batchOf(['a', 'b']), batchOf(['c']), null]
    for (const records of batches) {
      const { responses } = await settle(client.send(produceApi, produceValue(version, records), { version }))
      const answer = responses[0]?.partitionResponses[0]
      answers.push([nameOf(answer?.errorCode), answer?.baseOffset, answer?.errorMessage === null])
    }
    const old = ['UNSUPPORTED_FOR_MESSAGE_FORMAT', -1, true]
    const good = [
      ['NONE', 0, true],
      ['NONE', 2, true],
    ]
    expect(answers).toEqual([...(version < 3 ? [old, old] : good), ['INVALID_RECORD', -1, version < 8]])
    const unknown = await settle(
      client.send(produceApi, produceValue(version, batchOf(['a']), 1, 'nowhere'), { version }),
    )
    expect(nameOf(unknown.responses[0]?.partitionResponses[0]?.errorCode)).toBe(
      version >= 13 ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION',
    )
  })

  it.each(versions(produceApi).filter((version) => version >= 3))(
    'version %i names the records that are refused, from version 8 on',
    async (version) => {
      const [partition] = await makeTopic(node, 'timely', 1, { 'message.timestamp.before.max.ms': '1000' })
      topicId = partition?.topicId ?? ''
      const value = produceValue(version, batchOf(['a', 'b'], { timestampMs: 5 }), -1, 'timely')
      const named = version >= 13 ? { topicId } : { name: 'timely' }
      const [data] = (value as { topicData: object[] }).topicData
      const { responses } = await settle(
        client.send(produceApi, { ...value, topicData: [{ ...data, ...named }] }, { version }),
      )
      const answer = responses[0]?.partitionResponses[0]
      const at = answer?.recordErrors.map(({ batchIndex }) => batchIndex)
      expect([nameOf(answer?.errorCode), at]).toEqual(['INVALID_TIMESTAMP', version < 8 ? [] : [0, 1]])
      for (const { batchIndexErrorMessage } of answer?.recordErrors ?? [])
        expect(batchIndexErrorMessage).toMatch(/message\.timestamp\.before\.max\.ms/)
    },
  )

  it('keeps the order of a connection whose batches are compressed or plain', async () => {
    const sent = [
      await compressedBatch('gzip', ['a', 'b']),
      batchOf(['c']),
      await compressedBatch('zstd', ['d']),
      batchOf(['e']),
    ]
    const answers = await settle(
      Promise.all(sent.map((batch) => client.send(produceApi, produceValue(12, batch), { version: 12 }))),
    )
    expect(answers.map(({ responses }) => responses[0]?.partitionResponses[0]?.baseOffset)).toEqual([0, 2, 3, 4])
  })

  it('without acks has no answer: the next request of the connection is answered next', async () => {
    client.sendNoResponse(produceApi, produceValue(12, batchOf(['silent']), 0), { version: 12 })
    await write(['loud'])
    expect(node.broker.partitions.get('readings', 0)?.highWatermark).toBe(2)
  })

  it('answers in the order of the requests, with what each one says', async () => {
    const sent = ['a', 'b', 'c'].map((text) =>
      client.send(produceApi, produceValue(12, batchOf([text])), { version: 12 }),
    )
    const answers = await settle(Promise.all(sent))
    expect(answers.map(({ responses }) => responses[0]?.partitionResponses[0]?.baseOffset)).toEqual([0, 1, 2])
  })

  it('stores what each of many large requests in flight has sent, though their memory is used again', async () => {
    const texts = Array.from({ length: 150 }, (_, index) =>
      `${index} `.padEnd(20_000 + (index % 7) * 30_000, `${index % 10}`),
    )
    for (let first = 0; first < texts.length; first += 5) {
      const [hasty, ...others] = texts.slice(first, first + 5)
      // Its memory is free before the disk has anything.
      client.sendNoResponse(produceApi, produceValue(12, batchOf([hasty as string]), 0), { version: 12 })
      const sent = others.map((text) => client.send(produceApi, produceValue(12, batchOf([text])), { version: 12 }))
      await settle(Promise.all(sent))
    }
    for (let offset = 0; offset < texts.length; offset++) {
      const { responses } = await settle(
        client.send(fetchApi, fetchValue(12, { maxBytes: 1 }, offset), { version: 12 }),
      )
      const records = Buffer.from(responses[0]?.partitions[0]?.records ?? [])
      expect(records.includes(texts[offset] as string)).toBe(true)
    }
  })
})

function fetchValue(version: number, fields: object = {}, fetchOffset = 0): object {
  const named = version >= 13 ? { topicId } : { topic: 'readings' }
  const partition = { partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }
  return { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, topics: [{ ...named, partitions: [partition] }], ...fields }
}

describe('Fetch', () => {
  it.each(versions(fetchApi))('version %i answers batches as they are stored, and errors', async (version) => {
    const batch = batchOf(['a', 'b'])
    await write(['a', 'b'])
    const { responses } = await settle(client.send(fetchApi, fetchValue(version), { version }))
    const answer = responses[0]?.partitions[0]
    expect([answer?.highWatermark, answer?.lastStableOffset, answer?.abortedTransactions]).toEqual([2, 2, null])
    expect(answer?.logStartOffset).toBe(version >= 5 ? 0 : -1)
    // All but the base offset, which is 0, and the leader epoch.
    expect(Buffer.from(answer?.records ?? []).subarray(16)).toEqual(Buffer.from(batch).subarray(16))
    const beyond = await settle(client.send(fetchApi, fetchValue(version, {}, 9), { version }))
    expect(nameOf(beyond.responses[0]?.partitions[0]?.errorCode)).toBe('OFFSET_OUT_OF_RANGE')
    const committed = await settle(client.send(fetchApi, fetchValue(version, { isolationLevel: 1 }), { version }))
    expect(committed.responses[0]?.partitions[0]?.abortedTransactions).toEqual([])
  })

  it.each(versions(fetchApi).filter((version) => version >= 7))('version %i has sessions', async (version) => {
    await write()
    const opened = await settle(client.send(fetchApi, fetchValue(version, { sessionEpoch: 0 }), { version }))
    const { sessionId } = opened
    expect(sessionId).toBeGreaterThan(0)
    const next = (sessionEpoch: number): object => ({ ...fetchValue(version, { sessionId, sessionEpoch }, 1) })
    const idle = await settle(client.send(fetchApi, next(1), { version }))
    expect([idle.errorCode, idle.sessionId, idle.responses]).toEqual([0, sessionId, []])
    const wrong = await settle(client.send(fetchApi, next(7), { version }))
    expect([nameOf(wrong.errorCode), wrong.sessionId]).toEqual(['INVALID_FETCH_SESSION_EPOCH', 0])
  })

  it.each(versions(fetchApi).filter((version) => version >= 12))(
    'version %i tells a diverging epoch',
    async (version) => {
      await write()
      const named = version >= 13 ? { topicId } : { topic: 'readings' }
      const partition = { partition: 0, fetchOffset: 1, lastFetchedEpoch: 0, partitionMaxBytes: 1_000 }
      const asked = { maxWaitMs: 0, minBytes: 0, topics: [{ ...named, partitions: [{ ...partition }] }] }
      const same = await settle(client.send(fetchApi, asked, { version }))
      expect(same.responses[0]?.partitions[0]?.divergingEpoch).toEqual({ epoch: -1, endOffset: -1 })
      const served = node.broker.partitions.get('readings', 0) as Partition
      served.leaderEpoch = 3
      served.log.assignLeaderEpoch(3, 1)
      await write()
      const ahead = { ...asked, topics: [{ ...named, partitions: [{ ...partition, fetchOffset: 2 }] }] }
      const parted = await settle(client.send(fetchApi, ahead, { version }))
      expect(parted.responses[0]?.partitions[0]?.divergingEpoch).toEqual({ epoch: 0, endOffset: 1 })
    },
  )

  it('ends its wait when the connection goes, and another client is served', async () => {
    const waiting = client.send(fetchApi, fetchValue(12, { maxWaitMs: 100_000 }), { version: 12 })
    const lost = expect(waiting).rejects.toThrow()
    await door.world.runFor(100)
    client.close()
    await lost
    client = await connect()
    await write()
    const answer = await settle(client.send(fetchApi, fetchValue(12), { version: 12 }))
    expect(answer.responses[0]?.partitions[0]?.highWatermark).toBe(1)
  })
})

describe('offsets', () => {
  it.each(versions(listOffsetsApi))(
    'ListOffsets %i answers the ends, a time, and an unknown topic',
    async (version) => {
      await write(['a', 'b'])
      const ask = async (name: string, timestamp: number): Promise<unknown[]> => {
        const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp }] }]
        const answer = await settle(client.send(listOffsetsApi, { replicaId: -1, topics }, { version }))
        const found = answer.topics[0]?.partitions[0]
        return [nameOf(found?.errorCode), found?.offset, found?.timestamp, found?.leaderEpoch]
      }
      const epoch = version >= 4 ? 0 : -1
      expect(await ask('readings', -1)).toEqual(['NONE', 2, -1, epoch])
      expect(await ask('readings', -2)).toEqual(['NONE', 0, -1, epoch])
      expect(await ask('readings', 500)).toEqual(['NONE', 0, 1_000, epoch])
      expect(await ask('readings', 5_000)).toEqual(['NONE', -1, -1, -1])
      expect(await ask('nowhere', -1)).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', -1, -1, -1])
    },
  )

  it.each(versions(offsetForLeaderEpochApi))('OffsetForLeaderEpoch %i answers the end of an epoch', async (version) => {
    await write(['a', 'b'])
    const partitions = [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch: 0 }]
    const topics = [
      { topic: 'readings', partitions },
      { topic: 'nowhere', partitions },
    ]
    const answer = await settle(client.send(offsetForLeaderEpochApi, { topics }, { version }))
    const facts = answer.topics.map(({ topic, partitions: [found] }) => [
      topic,
      nameOf(found?.errorCode),
      found?.leaderEpoch,
      found?.endOffset,
    ])
    expect(facts).toEqual([
      ['readings', 'NONE', 0, 2],
      ['nowhere', 'UNKNOWN_TOPIC_OR_PARTITION', -1, -1],
    ])
  })

  it.each(versions(deleteRecordsApi))(
    'DeleteRecords %i answers the new start, and an unknown topic',
    async (version) => {
      await write(['a', 'b'])
      const topics = ['readings', 'nowhere'].map((name) => ({ name, partitions: [{ partitionIndex: 0, offset: -1 }] }))
      const answer = await settle(client.send(deleteRecordsApi, { topics, timeoutMs: 1_000 }, { version }))
      const facts = answer.topics.map(({ name, partitions: [cut] }) => [
        name,
        nameOf(cut?.errorCode),
        cut?.lowWatermark,
      ])
      expect(facts).toEqual([
        ['readings', 'NONE', 2],
        ['nowhere', 'UNKNOWN_TOPIC_OR_PARTITION', -1],
      ])
    },
  )

  it.each(versions(describeProducersApi))('DescribeProducers %i answers who wrote', async (version) => {
    const batch = batchOf(['a'], { producerId: 5, producerEpoch: 0, baseSequence: 0 })
    await settle(client.send(produceApi, produceValue(12, batch), { version: 12 }))
    const topics = [{ name: 'readings', partitionIndexes: [0, 9] }]
    const answer = await settle(client.send(describeProducersApi, { topics }, { version }))
    const [known, unknown] = answer.topics[0]?.partitions ?? []
    expect([known?.activeProducers.map(({ producerId }) => producerId), nameOf(unknown?.errorCode)]).toEqual([
      [5],
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
  })
})

describe('InitProducerId', () => {
  it.each(versions(initProducerIdApi))(
    'version %i gives each producer an id of its own, and refuses transactions',
    async (version) => {
      const ask = async (value: object): Promise<unknown[]> => {
        const request = { transactionalId: null, transactionTimeoutMs: 1_000, ...value }
        const answer = await settle(client.send(initProducerIdApi, request, { version }))
        return [nameOf(answer.errorCode), answer.producerId, answer.producerEpoch]
      }
      const [, first] = await ask({})
      expect(await ask({})).toEqual(['NONE', Number(first) + 1, 0])
      expect(await ask({ transactionalId: 'tx' })).toEqual(['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', -1, -1])
      expect(await ask({ transactionalId: '' })).toEqual(['INVALID_REQUEST', -1, -1])
      if (version < 3) return
      // A producer that lost its way asks for another epoch: it is given another id (KIP-360).
      expect(await ask({ producerId: first, producerEpoch: 0 })).toEqual(['NONE', Number(first) + 2, 0])
      expect(await ask({ producerId: first, producerEpoch: -1 })).toEqual(['INVALID_REQUEST', -1, -1])
      expect(await ask({ producerId: -1, producerEpoch: 4 })).toEqual(['INVALID_REQUEST', -1, -1])
    },
  )

  it('is refused when the disk fails, and the connection stays', async () => {
    node.host.failDisk({ operation: 'sync', code: 'EIO' })
    for (let at = 0; at < 2; at++) {
      const answer = await settle(client.send(initProducerIdApi, { transactionalId: null, transactionTimeoutMs: 1 }))
      expect(nameOf(answer.errorCode)).toBe('COORDINATOR_NOT_AVAILABLE')
    }
  })
})
