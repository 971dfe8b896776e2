import { describe, expect, it } from 'vitest'
import { fetchApi, heartbeatApi, metadataApi, offsetDeleteApi, produceApi } from '../../../src/protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import { simWorld, type SimWorld } from '../../sim/world.ts'
import { openClient, scriptedBroker, type SeenRequest } from './scripted-broker.ts'

/** ApiVersions v3 as Apache Kafka sends it: Produce 3-9, Heartbeat 0-2, Fetch 20-30, ApiVersions 0-3; features metadata.version 1-29, at 25. */
const offers =
  '0000 05 0000 0003 0009 00 000c 0000 0002 00 0001 0014 001e 00 0012 0000 0003 00 00000000' +
  '03 00 17 02 11 6d657461646174612e76657273696f6e 0001 001d 00' +
  '01 08 0000000000000007' +
  '02 17 02 11 6d657461646174612e76657273696f6e 0019 0019 00'

/** The same in version 0. */
const offersOfOld = '0000 00000003 0000 0000 0002 000c 0000 0000 0012 0000 0001'

interface Pair {
  readonly world: SimWorld
  readonly client: KafkaClientConnection
  readonly seen: SeenRequest[]
}

async function connected(seed: number, requestTimeoutMs?: number): Promise<Pair> {
  const world = simWorld(seed)
  const seen: SeenRequest[] = []
  await scriptedBroker(world, (request) => {
    if (request.apiKey === 18) request.answer(offers)
    else seen.push(request)
  })
  return { world, seen, client: await openClient(world, requestTimeoutMs) }
}

describe('opening a connection', () => {
  it('negotiates the highest version that both sides know', async () => {
    const { client } = await connected(1)
    expect(client.versionOf(produceApi)).toBe(9)
    expect(client.versionOf(heartbeatApi)).toBe(2)
    expect(() => client.versionOf(metadataApi)).toThrow('Metadata: the broker offers none')
    expect(() => client.versionOf(fetchApi)).toThrow('Fetch: the broker offers versions 20 to 30, we speak')
  })

  it('learns the features of the cluster', async () => {
    const { client } = await connected(2)
    expect(client.apiVersions).toMatchObject({
      finalizedFeaturesEpoch: 7,
      supportedFeatures: [{ name: 'metadata.version', minVersion: 1, maxVersion: 29 }],
      finalizedFeatures: [{ name: 'metadata.version', maxVersionLevel: 25, minVersionLevel: 25 }],
    })
  })

  it('asks again in a lower version when the broker refuses ours', async () => {
    const world = simWorld(3)
    const versions: number[] = []
    await scriptedBroker(world, ({ apiVersion, answer }) => {
      versions.push(apiVersion)
      answer(apiVersion > 1 ? '0023 00000001 0012 0000 0001' : `${offersOfOld} 00000000`)
    })
    const client = await openClient(world)
    expect(versions).toEqual([4, 1])
    expect(client.versionOf(produceApi)).toBe(2)
  })

  it('falls back to version 0 for a broker that says nothing about itself', async () => {
    const world = simWorld(4)
    const versions: number[] = []
    await scriptedBroker(world, ({ apiVersion, answer }) => {
      versions.push(apiVersion)
      answer(apiVersion > 0 ? '0023 00000000' : offersOfOld)
    })
    await openClient(world)
    expect(versions).toEqual([4, 0])
  })

  it.each([
    ['answers with another error', '0031 01 00000000 00', 'answered with error 49'],
    ['answers with rubbish', 'ffffffff', 'a varint ends early'],
    ['answers with nothing', '', 'ends early'],
  ])('fails when the broker %s', async (_what, body, said) => {
    const world = simWorld(5)
    await scriptedBroker(world, ({ answer }) => answer(body))
    await expect(openClient(world)).rejects.toThrow(said)
  })

  it('fails when nobody listens, and when the broker says nothing at all', async () => {
    const silent = simWorld(6)
    silent.host('central').boot()
    await expect(openClient(silent)).rejects.toThrow('ECONNREFUSED')
    const mute = simWorld(7)
    await scriptedBroker(mute, () => undefined)
    await expect(openClient(mute, 1000)).rejects.toThrow('no answer within 1000 ms')
  })
})

describe('an open connection', () => {
  it('sends requests without waiting and gives each its own answer', async () => {
    const { world, client, seen } = await connected(10)
    const first = client.send(heartbeatApi, { groupId: 'a' })
    const second = client.send(produceApi, { acks: 1 })
    await world.run(() => seen.length === 2)
    expect(seen.map(({ apiKey, apiVersion }) => [apiKey, apiVersion])).toEqual([
      [12, 2],
      [0, 9],
    ])
    seen[0]?.answer('00000003 001b')
    seen[1]?.answer('00 01 00000009 00')
    expect(await world.settle(first)).toEqual({ throttleTimeMs: 3, errorCode: 27 })
    expect(await world.settle(second)).toMatchObject({ responses: [], throttleTimeMs: 9 })
    expect(client.pendingCount).toBe(0)
  })

  it('sends in the version it is told to', async () => {
    const { world, client, seen } = await connected(11)
    const answer = client.send(heartbeatApi, {}, { version: 0 })
    await world.run(() => seen.length === 1)
    seen[0]?.answer('0000')
    expect(await world.settle(answer)).toEqual({ throttleTimeMs: 0, errorCode: 0 })
  })

  it('does not await an answer where none is given', async () => {
    const { world, client, seen } = await connected(12)
    client.sendNoResponse(produceApi, { acks: 0 })
    const beat = client.send(heartbeatApi, {})
    await world.run(() => seen.length === 2)
    seen[1]?.answer('00000000 0000')
    expect(await world.settle(beat)).toMatchObject({ errorCode: 0 })
  })

  it('gives a large answer in one piece', async () => {
    const world = simWorld(13)
    await scriptedBroker(world, ({ apiKey, answer }) => {
      if (apiKey === 18) answer(offers)
      else answer(`00000001 000161 00001388 ${`00000000 0003 ${'00'.repeat(7)}07`.repeat(5000)}`)
    })
    const client = await openClient(world)
    const answer = await world.settle(client.send(produceApi, {}, { version: 0 }))
    expect(answer.responses[0]?.partitionResponses).toHaveLength(5000)
    expect(answer.responses[0]?.partitionResponses[4999]).toMatchObject({ index: 0, errorCode: 3, baseOffset: 7 })
  })

  it('rejects what cannot be written or is not offered, and goes on', async () => {
    const { world, client, seen } = await connected(14)
    await expect(client.send(produceApi, { acks: 1e6 })).rejects.toThrow('out of range')
    await expect(client.send(offsetDeleteApi, {})).rejects.toThrow('the broker offers none')
    const beat = client.send(heartbeatApi, {})
    await world.run(() => seen.length === 1)
    seen[0]?.answer('00000000 0000')
    expect(await world.settle(beat)).toMatchObject({ errorCode: 0 })
  })
})

describe('a connection ends', () => {
  it('when an answer is late, with every request that is under way', async () => {
    const { world, client, seen } = await connected(20, 1000)
    const answered = client.send(heartbeatApi, {})
    await world.run(() => seen.length === 1)
    await world.runFor(600)
    const late = client.send(heartbeatApi, {})
    const later = client.send(heartbeatApi, {})
    seen[0]?.answer('00000000 0000')
    await world.settle(answered)
    const from = world.nowMs
    const outcomes = await world.settle(Promise.allSettled([late, later]))
    const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason) : 'answered'))
    expect(reasons).toEqual(Array(2).fill(expect.stringContaining('no answer within 1000 ms')))
    expect(world.nowMs - from).toBeGreaterThan(900)
    expect(world.nowMs - from).toBeLessThan(1100)
    expect(client.isClosed).toBe(true)
  })

  it.each([
    ['an answer comes that nobody asked for', ({ raw }: SeenRequest) => raw('00000004 0000002a 00000004 0000002b')],
    ['an answer comes out of turn', ({ raw }: SeenRequest) => raw('00000006 0000ffff 0000')],
    ['an answer cannot be read', ({ answer }: SeenRequest) => answer('00')],
    ['an answer is larger than accepted', ({ raw }: SeenRequest) => raw('7fffffff')],
    ['the broker closes', ({ connection }: SeenRequest) => connection.end()],
    ['the connection is reset', ({ connection }: SeenRequest) => connection.destroy()],
  ])('when %s', async (_what, act) => {
    const { world, client, seen } = await connected(21)
    const closed: Error[] = []
    client.onClose((error) => closed.push(error))
    const beat = client.send(heartbeatApi, {})
    await world.run(() => seen.length === 1)
    act(seen[0] as SeenRequest)
    await expect(world.settle(beat)).rejects.toThrow()
    await world.run(() => client.isClosed)
    expect(closed).toHaveLength(1)
    await expect(client.send(heartbeatApi, {})).rejects.toThrow('connection to central:9092')
    client.onClose((error) => closed.push(error))
    expect(closed).toHaveLength(2)
  })

  it('when we close it, once, with the requests under way rejected', async () => {
    const { client } = await connected(22)
    let closes = 0
    client.onClose(() => closes++)
    const beat = client.send(heartbeatApi, {})
    client.close()
    client.close()
    await expect(beat).rejects.toThrow('closed by us')
    await expect(client.drained()).rejects.toThrow('closed by us')
    expect(closes).toBe(1)
  })

  it('with the link cut for good, when the answer is late', async () => {
    const { world, client } = await connected(23, 2000)
    world.network.cut('edge', 'central')
    await expect(world.settle(client.send(heartbeatApi, {}))).rejects.toThrow('no answer within 2000 ms')
  })
})
