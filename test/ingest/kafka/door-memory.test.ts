import { describe, expect, test } from 'vitest'
import type { HandlerEntry } from '../../../src/ingest/kafka/handler.ts'
import { type DoorHarness, frame, heartbeatBody, openDoor } from './door-harness.ts'

const fetchKey = 1
const heartbeatKey = 12

const requestBytes = 900_000
const bounds = { requestBytesMax: 1_000_000, requestMemoryBytesMax: 3_000_000 }
/** Fetch, version 4, of no topic. */
const fetchBody = Buffer.concat([Buffer.alloc(4, 0xff), Buffer.alloc(17)])
/** The same with as much behind it as makes it large. */
const largeFetchBody = Buffer.concat([fetchBody, Buffer.alloc(requestBytes)])
const largeHeartbeat = frame(heartbeatKey, 0, 7, Buffer.concat([heartbeatBody('large'), Buffer.alloc(requestBytes)]))

/** What the frames of all clients have of the memory of requests, as the door says. */
function requestMemoryOf({ world, door }: DoorHarness): number {
  door.refreshGauges()
  return world.host('broker').observer.figure('headwater_kafka_request_memory_bytes')
}

describe('memory of requests', () => {
  test('a large frame that waits for its turn has its memory, and gives way to others when its client has been still', async () => {
    const forever: HandlerEntry = [fetchKey, () => new Promise(() => {})]
    const answerAtOnce: HandlerEntry = [heartbeatKey, () => ({ errorCode: 0 })]
    const harness = await openDoor([forever, answerAtOnce], bounds)
    const { world, connect } = harness
    for (let at = 0; at < 8; at++) {
      const client = await connect()
      // Two of them run at a time.
      client.send(frame(fetchKey, 4, 1, fetchBody), frame(fetchKey, 4, 2, fetchBody))
      client.send(frame(fetchKey, 4, 3, largeFetchBody))
    }
    await world.runFor(1_000)
    expect(requestMemoryOf(harness)).toBeGreaterThan(2 * requestBytes)
    expect(world.host('broker').observer.figure('headwater_kafka_received_bytes_total')).toBeLessThan(4_000_000)
    const honest = await connect()
    honest.send(largeHeartbeat)
    await world.run(() => honest.frames.length === 1, 60_000)
    expect(honest.correlations).toEqual([7])
  })

  test('a request whose client has gone has its memory until its handler is done', async () => {
    const begun: (() => void)[] = []
    const slow: HandlerEntry = [
      heartbeatKey,
      () =>
        new Promise((resolve) => {
          begun.push(() => resolve({ errorCode: 0 }))
        }),
    ]
    const harness = await openDoor([slow], bounds)
    const { world, connect, door } = harness
    for (let at = 0; at < 8; at++) {
      const client = await connect()
      client.send(largeHeartbeat)
      await world.runFor(100)
      client.connection.destroy()
      await world.run(() => door.connectionCount === 0)
    }
    expect(begun).toHaveLength(3)
    for (const end of begun) end()
    const client = await connect()
    client.send(largeHeartbeat)
    await world.run(() => begun.length === 4)
    begun[3]?.()
    await world.run(() => client.frames.length === 1)
    expect(requestMemoryOf(harness)).toBe(0)
  })

  test('a frame begins once, though the memory that its answer frees lets its own client go on', async () => {
    const ends: (() => void)[] = []
    let begun = 0
    const handler: HandlerEntry = [
      heartbeatKey,
      (request: { readonly memberId: string }) => {
        if (request.memberId === 'counted') begun++
        if (request.memberId === 'counted') return { errorCode: 0 }
        return new Promise((resolve) => {
          ends.push(() => resolve({ errorCode: 0 }))
        })
      },
    ] as HandlerEntry
    const { world, connect } = await openDoor([handler], {
      requestBytesMax: 1_000_000,
      requestMemoryBytesMax: 1_000_000,
    })
    const other = await connect()
    other.send(frame(heartbeatKey, 0, 1, Buffer.concat([heartbeatBody('slow'), Buffer.alloc(990_000 - 40)])))
    await world.run(() => ends.length === 1)
    const client = await connect()
    const small = (id: number, memberId: string): Buffer =>
      frame(heartbeatKey, 0, id, Buffer.concat([heartbeatBody(memberId), Buffer.alloc(20_000)]))
    client.send(small(1, 'slow'), small(2, 'counted'), small(3, 'counted'))
    await world.run(() => ends.length === 2)
    ends[1]?.()
    await world.run(() => client.frames.length >= 3)
    expect(client.correlations).toEqual([1, 2, 3])
    expect(begun).toBe(2)
  })
})

describe('memory of answers', () => {
  const recordBytes = 400_000
  /** Answers each Fetch with records of its own, and keeps them. */
  const keeping = (records: Uint8Array[]): HandlerEntry => [
    fetchKey,
    () => {
      const own = new Uint8Array(recordBytes).fill(records.length + 1)
      records.push(own)
      return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, records: own }] }] }
    },
  ]
  const fetchFrame = (id: number): Buffer => frame(fetchKey, 4, id, fetchBody)
  const freeOf = (records: readonly Uint8Array[]): number =>
    records.filter(({ buffer }) => buffer.byteLength === 0).length

  test('goes back to the system when the kernel has the records, and not before', async () => {
    const records: Uint8Array[] = []
    const { world, connect } = await openDoor([keeping(records)])
    const client = await connect()
    client.connection.pause()
    client.send(fetchFrame(1), fetchFrame(2), fetchFrame(3))
    await world.runFor(1_000)
    expect(records.length).toBeGreaterThan(0)
    expect(freeOf(records)).toBe(0)
    client.connection.resume()
    await world.run(() => client.frames.length === 3)
    await world.run(() => freeOf(records) === 3)
    for (const [at, answer] of client.frames.entries()) {
      const end = answer.lastIndexOf(at + 1) + 1
      expect(answer.subarray(end - recordBytes, end).every((byte) => byte === at + 1)).toBe(true)
    }
  })

  test('goes back to the system when the client has gone: what is on its way, what is to follow, and what comes after', async () => {
    const records: Uint8Array[] = []
    const waiting: (() => void)[] = []
    const [key, answer] = keeping(records)
    const late = (...words: Parameters<typeof answer>): unknown =>
      records.length < 2
        ? answer(...words)
        : new Promise((resolve) => {
            waiting.push(() => resolve(answer(...words)))
          })
    const { world, connect, door } = await openDoor([[key, late] as HandlerEntry], { unsentBytesMax: 10_000_000 })
    const client = await connect()
    client.connection.pause()
    client.send(fetchFrame(1), fetchFrame(2), fetchFrame(3))
    await world.run(() => waiting.length === 1)
    expect(freeOf(records)).toBe(0)
    client.connection.destroy()
    await world.run(() => door.connectionCount === 0)
    expect(freeOf(records)).toBe(2)
    waiting[0]?.()
    await world.run(() => freeOf(records) === 3)
  })
})
