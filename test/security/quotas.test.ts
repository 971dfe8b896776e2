/** Quotas: who is bound by which (KIP-257), how long a pause is (Kafka's Rate), and that both doors keep to it. */
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../src/base/ports.ts'
import { PauseSwitch } from '../../src/ingest/mqtt/pause-switch.ts'
import { QuotaHold } from '../../src/ingest/mqtt/quota-hold.ts'
import { produceApi } from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import { ClientQuotas, entityOf } from '../../src/security/quotas/client-quotas.ts'
import { QuotaKeeper } from '../../src/security/quotas/quota-keeper.ts'
import { QuotaMeter } from '../../src/security/quotas/quota-meter.ts'
import { simWorld } from '../sim/world.ts'
import { openDoor } from '../ingest/kafka/door-harness.ts'

const window = { samples: 11, sampleMs: 1_000 }
const entity = (user?: string | null, clientId?: string | null) =>
  entityOf([
    ...(user === undefined ? [] : [{ entityType: 'user', entityName: user }]),
    ...(clientId === undefined ? [] : [{ entityType: 'client-id', entityName: clientId }]),
  ])

describe('a quota', () => {
  test('is the most exact one that is set: of user and client id, of the user, of their defaults, of the client id', () => {
    // From the most exact to the least, as KIP-257 lists them.
    const places = [
      entity('alice', 'pump'),
      entity('alice', null),
      entity('alice'),
      entity(null, 'pump'),
      entity(null, null),
      entity(null),
      entity(undefined, 'pump'),
      entity(undefined, null),
    ]
    const quotas = new ClientQuotas()
    places.forEach((place, index) => quotas.set(place, 'producer_byte_rate', index + 1))
    for (const [index, place] of places.entries()) {
      expect(quotas.boundOf('alice', 'pump', 'producer_byte_rate')?.bound).toBe(index + 1)
      expect(quotas.boundOf('alice', 'pump', 'consumer_byte_rate')).toBeNull()
      quotas.set(place, 'producer_byte_rate', null)
    }
    expect(quotas.boundOf('alice', 'pump', 'producer_byte_rate')).toBeNull()
    expect(quotas.size).toBe(0)
  })

  test('is shared by all client ids of its user, and a default is of each user by itself', () => {
    const quotas = new ClientQuotas()
    quotas.set(entity(null), 'producer_byte_rate', 100)
    const sharedBy = (user: string, client: string) => quotas.boundOf(user, client, 'producer_byte_rate')?.sharedBy
    expect(sharedBy('alice', 'a')).toBe(sharedBy('alice', 'b'))
    expect(sharedBy('alice', 'a')).not.toBe(sharedBy('bob', 'a'))
    // Names cannot be put together so that they are taken for others.
    quotas.set(entity(null, null), 'producer_byte_rate', 100)
    expect(sharedBy('a","b', 'c')).not.toBe(sharedBy('a', 'b","c'))
  })

  test('asks for the pause that brings the rate over its window down to the bound', () => {
    const meter = new QuotaMeter(window)
    // The first sample counts as if the ten seconds before it had been empty.
    meter.add(1_000, 0)
    expect(meter.pauseMs(100, 0)).toBe(0)
    meter.add(1_000, 500)
    // 2000 in 10.5 s are 190.5 a second: 90.5 % above 100.
    expect(meter.pauseMs(100, 500)).toBe(Math.round(((2_000 / 10.5 - 100) / 100) * 10_500))
    // After the pause the rate is the bound.
    expect(meter.pauseMs(100, 10_000 + 500)).toBeLessThanOrEqual(10_000)
    expect(meter.pauseMs(100, 11_500)).toBe(0)
  })

  test('counts nothing while none is set, and holds after a change at once', () => {
    const quotas = new ClientQuotas()
    let nowMs = 0
    const keeper = new QuotaKeeper(quotas, { monotonicMs: () => nowMs }, window)
    expect(keeper.count('alice', 'pump', 'producer_byte_rate', 1e9)).toBe(0)
    quotas.set(entity('alice'), 'producer_byte_rate', 1_000)
    expect(keeper.count('alice', 'pump', 'producer_byte_rate', 20_000)).toBe(10_000)
    expect(keeper.count('bob', 'pump', 'producer_byte_rate', 20_000)).toBe(0)
    quotas.set(entity('alice'), 'producer_byte_rate', null)
    nowMs += 10
    expect(keeper.count('alice', 'pump', 'producer_byte_rate', 20_000)).toBe(0)
  })
})

describe('the Kafka door', () => {
  test('tells a producer above its quota how long to pause, and begins nothing of it meanwhile', async () => {
    const quotas = new ClientQuotas()
    quotas.set(entity('ANONYMOUS'), 'producer_byte_rate', 1_000)
    let begun = 0
    const { world, connect } = await openDoor(
      [
        [
          0,
          () => {
            begun++
            return { responses: [] }
          },
        ],
      ],
      { quotas: new QuotaKeeper(quotas, { monotonicMs: () => world.nowMs }, window) },
    )
    const records = new Uint8Array(15_000)
    const request = (correlation: number): Buffer =>
      Buffer.concat(
        encodeRequest(produceApi, 3, correlation, 'pump', {
          acks: 1,
          timeoutMs: 1_000,
          topicData: [{ name: 'a', partitionData: [{ index: 0, records }] }],
        }),
      )
    const client = await connect()
    client.send(request(1), request(2))
    await world.run(() => client.frames.length === 1)
    // Version 3 has the pause behind an empty array of answers.
    const throttleTimeMs = client.frames[0]?.readInt32BE(8) ?? 0
    expect(throttleTimeMs).toBeGreaterThan(5_000)
    await world.runFor(throttleTimeMs - 500)
    expect(begun).toBe(1)
    const other = await connect()
    other.send(Buffer.concat([request(9)]))
    await world.run(() => client.frames.length === 2 && begun >= 2)
    expect(client.isClosed).toBe(false)
  })

  test.each([1e-3, Number.MIN_VALUE])(
    'answers a producer who is a long way above a quota of %d with the longest pause there is',
    async (bound) => {
      const quotas = new ClientQuotas()
      quotas.set(entity('ANONYMOUS'), 'producer_byte_rate', bound)
      const { world, connect } = await openDoor([[0, () => ({ responses: [] })]], {
        quotas: new QuotaKeeper(quotas, { monotonicMs: () => world.nowMs }, window),
      })
      const topicData = [{ name: 'a', partitionData: [{ index: 0, records: new Uint8Array(100_000) }] }]
      const client = await connect()
      client.send(Buffer.concat(encodeRequest(produceApi, 3, 1, 'pump', { acks: 1, timeoutMs: 1_000, topicData })))
      await world.run(() => client.isClosed || client.frames.length === 1)
      expect(client.frames[0]?.readInt32BE(8)).toBe(2 ** 31 - 1)
      expect(client.isClosed).toBe(false)
    },
  )
})

describe('an MQTT client', () => {
  test('above its quota is not read from, or not sent to, until its pause is over', async () => {
    const world = simWorld(5)
    const server = world.host('broker').boot()
    const quotas = new ClientQuotas()
    quotas.set(entity('alice'), 'producer_byte_rate', 1_000)
    quotas.set(entity('alice'), 'consumer_byte_rate', 1_000)
    const received: number[] = []
    let accepted: Connection | null = null
    await world.settle(
      server.net.listen('mqtt', { host: '0.0.0.0', port: 1883 }, (connection) => {
        accepted = connection
        connection.start({ onBytes: (bytes) => received.push(bytes.length), onClose: () => {} })
      }),
    )
    const client = await world.settle(world.host('client').boot().net.connect({ host: 'broker', port: 1883 }, 5_000))
    client.start({ onBytes: () => {}, onClose: () => {} })
    await world.run(() => accepted !== null)
    const pauses = new PauseSwitch(must<Connection>(accepted))
    let pumps = 0
    const keeper = new QuotaKeeper(quotas, server.clock, window)
    const hold = new QuotaHold(
      { clock: server.clock, quotas: keeper },
      { pauses, unpause: (reason) => pauses.remove(reason), pumpAndFlush: () => void pumps++ },
    )
    hold.published(1_000_000)
    expect(pauses.isOurs).toBe(false)
    hold.open('User:alice', 'pump')
    hold.published(1_015_000)
    // 15 kB where 1 kB a second may come, over ten seconds: five seconds.
    expect(pauses.isOurs).toBe(true)
    client.send([new Uint8Array(10)])
    await world.runFor(4_000)
    expect(received).toEqual([])
    await world.runFor(2_000)
    expect([received, pauses.isOurs]).toEqual([[10], false])
    hold.sent(15_000)
    expect(hold.isHoldingSends).toBe(true)
    await world.runFor(6_000)
    expect([hold.isHoldingSends, pumps]).toEqual([false, 1])
    hold.published(1_030_000)
    hold.close()
    expect(pauses.isOurs).toBe(true)
  })
})

function must<T>(value: T | null): T {
  if (value === null) throw new Error('missing')
  return value
}
