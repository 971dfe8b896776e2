/** Retention, compaction and kept sessions: what stays for them, and what is told when something did not. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

const kept = { clean: false }
const small = { segmentBytes: 2000, retentionBytes: 4000, fileDeleteDelayMs: 0 }
const overtaken = 'headwater_mqtt_overtaken_positions_total'

async function subscribeAndLeave(world: DoorWorld, clientId: string, filter: string): Promise<void> {
  const client = await world.subscribed([clientId, 4, kept], filter)
  client.drop()
  await world.runFor(50)
}

/** Many small commits: segments of a few batches. */
async function publish(world: DoorWorld, topics: readonly string[], from: number, to: number): Promise<void> {
  const publisher = await world.connect('p')
  for (let value = from; value <= to; value += 1) {
    publisher.publish(topics[value % topics.length] as string, `${value}`.padEnd(100, '.'), 1, value)
    await publisher.until(`puback#${value}`)
  }
  publisher.drop()
  await world.runFor(50)
}

/** Acknowledges all that comes; answers the numbers. */
async function takeAll(world: DoorWorld, client: TestClient): Promise<number[]> {
  const heard: number[] = []
  for (let quiet = 0; quiet < 20; quiet += 1) {
    for (const packet of client.packets.splice(0)) {
      if (packet.cmd !== 'publish') continue
      heard.push(Number.parseInt(String(packet.payload), 10))
      client.puback(packet.messageId ?? 0)
      quiet = 0
    }
    await world.runFor(20)
  }
  return heard
}

function sizeOf(world: DoorWorld, topic: string): number {
  return [...world.broker.partitions.values()].reduce(
    (sum, each) => sum + (each.topic === topic ? each.log.sizeInBytes : 0),
    0,
  )
}

/** Of the one partition that has records. */
function logStart(world: DoorWorld): number {
  const used = [...world.broker.partitions.values()].find(({ topic, log }) => topic === 'a' && log.logEndOffset > 0)
  return used?.log.logStartOffset ?? -1
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_each, at) => from + at)

/** A topic with one partition that holds records, `a/x` in it, and rolls often. */
async function start(options: Parameters<typeof DoorWorld.start>[0] = {}): Promise<DoorWorld> {
  const world = await DoorWorld.start(options)
  await publish(world, ['a/x'], 1, 1)
  world.configure('a', small)
  return world
}

describe('a topic that keeps for sessions', () => {
  it('has what a kept session has not had, however small its retention, and gives it up when it has', async () => {
    const world = await start({ keepForSessions: ['a'] })
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x'], 2, 200)
    await world.retain()
    expect(sizeOf(world, 'a')).toBeGreaterThan(20_000)
    expect(world.host.observer.eventsOf('log-kept-beyond-retention')).toHaveLength(1)
    const held = world.host.observer.figure('headwater_log_kept_beyond_retention_bytes', {}) ?? 0
    expect(held).toBeGreaterThan(20_000)
    expect(await takeAll(world, await world.connect('c', 4, kept))).toEqual(numbers(2, 200))
    await world.retain()
    expect(sizeOf(world, 'a')).toBeLessThan(small.retentionBytes + 2 * small.segmentBytes)
    expect(world.host.observer.figure('headwater_log_kept_beyond_retention_bytes', {})).toBe(0)
  })

  it('has what was sent and not acknowledged', async () => {
    const world = await start({ keepForSessions: ['a'] })
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await client.until('publish#99')
    await world.retain()
    expect(logStart(world)).toBeLessThanOrEqual(1)
    await takeAll(world, client)
    await world.retain()
    expect(logStart(world)).toBeGreaterThan(50)
  })

  it('has what a shared subscription waits for', async () => {
    const world = await start({ keepForSessions: ['a*'] })
    await subscribeAndLeave(world, 'member', '$share/g/a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.retain()
    expect(logStart(world)).toBeLessThanOrEqual(1)
    await takeAll(world, await world.connect('member', 4, kept))
    await world.retain()
    expect(logStart(world)).toBeGreaterThan(50)
  })

  it('keeps nothing for a session that has ended, or that does not match', async () => {
    const world = await start({ keepForSessions: ['a'], sessionExpirySecondsMax: 5 })
    await subscribeAndLeave(world, 'other', 'b/#')
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.retain()
    expect(sizeOf(world, 'a')).toBeGreaterThan(10_000)
    await world.runFor(6000)
    await subscribeAndLeave(world, 'other', 'b/#')
    await world.retain()
    expect(sizeOf(world, 'a')).toBeLessThan(small.retentionBytes + 2 * small.segmentBytes)
  })

  it('goes on so after a restart', async () => {
    const world = await start({ keepForSessions: ['a'] })
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.runFor(1500)
    await world.powerCut()
    world.configure('a', small)
    await world.retain()
    expect(await takeAll(world, await world.connect('c', 4, kept))).toEqual(numbers(2, 100))
  })
})

describe('without it', () => {
  it('retention goes on, and a session that was overtaken is counted and told once for the partition', async () => {
    const world = await start()
    await subscribeAndLeave(world, 'c', 'a/#')
    await subscribeAndLeave(world, 'd', 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.retain()
    const back = await takeAll(world, await world.connect('c', 4, kept))
    expect(back.length).toBeLessThan(60)
    expect(back.at(-1)).toBe(100)
    expect(back).toEqual(numbers(back[0] as number, 100))
    expect(world.host.observer.figure(overtaken, { reason: 'retention' })).toBe(1)
    const [told, ...more] = world.host.observer.eventsOf('mqtt-subscriber-overtaken')
    expect(told?.fields).toMatchObject({ subscriber: 'c', topic: 'a', reason: 'retention was faster', fromOffset: 1 })
    expect(more).toEqual([])
    await takeAll(world, await world.connect('d', 4, kept))
    expect(world.host.observer.figure(overtaken, { reason: 'retention' })).toBe(2)
  })

  it('tells no second time of a session that is overtaken again before it has caught up', async () => {
    const world = await start({ queuedMessagesMax: 4, sendWindowMax: 2 })
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.retain()
    const client = await world.connect('c', 4, kept)
    await client.until('publish#2')
    await publish(world, ['a/x'], 101, 200)
    await world.retain()
    const back = await takeAll(world, client)
    expect(back.at(-1)).toBe(200)
    expect(back.length).toBeLessThan(80)
    expect(world.host.observer.figure(overtaken, { reason: 'retention' })).toBe(1)
    expect(world.host.observer.eventsOf('mqtt-subscriber-overtaken')).toHaveLength(1)
  })

  it('the same is told when it happened to a place that is known from before a restart', async () => {
    const world = await start()
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x'], 2, 100)
    await world.runFor(1500)
    await world.retain()
    await world.stop()
    await world.restart()
    const back = await takeAll(world, await world.connect('c', 4, kept))
    expect(back.at(-1)).toBe(100)
    expect(back.length).toBeLessThan(60)
    expect(world.host.observer.figure(overtaken, { reason: 'retention' })).toBe(1)
  })

  it('compaction takes what newer values have replaced, which is counted and told too', async () => {
    const world = await start()
    world.configure('a', {
      cleanupPolicy: new Set(['compact'] as const),
      ...{ segmentBytes: 2000, minCleanableDirtyRatio: 0, retentionBytes: -1 },
    })
    await subscribeAndLeave(world, 'c', 'a/#')
    await publish(world, ['a/x', 'a/y'], 2, 100)
    await world.compact()
    const back = await takeAll(world, await world.connect('c', 4, kept))
    expect(back.length).toBeLessThan(90)
    expect(back).toEqual(expect.arrayContaining([99, 100]))
    expect(world.host.observer.figure(overtaken, { reason: 'compaction' })).toBeGreaterThanOrEqual(1)
    const told = world.host.observer.eventsOf('mqtt-subscriber-overtaken')
    expect(told[0]?.fields).toMatchObject({ subscriber: 'c', reason: expect.stringContaining('compaction') })
  })
})

describe('a rule that writes no headers', () => {
  const routes = [{ match: 'trace/{site}/#', topic: 'trace', headers: 'none' as const }]

  it.each([
    ['trace/1/x', '0x83'],
    ['trace/+/#', '0x83'],
    ['#', '0x83'],
    ['$share/g/trace/#', '0x83'],
    ['sensors/#', '1'],
    ['trace', '1'],
  ])('refuses a kept session that subscribes to %s where it could match: %s', async (filter, reason) => {
    const world = await DoorWorld.start({ routes })
    const client = await world.connect('c', 5, { clean: false, properties: { sessionExpiryInterval: 60 } })
    client.subscribe(1, filter)
    expect(await client.look()).toBe(`connack 0, suback#1 ${reason}`)
    const refused = world.host.observer.eventsOf('mqtt-subscription-refused')
    expect(refused.map(({ fields }) => fields['filter'])).toEqual(reason === '1' ? [] : [filter])
  })

  it('refuses it with 0x80 before 5.0, and a session that is not kept gets its messages', async () => {
    const world = await DoorWorld.start({ routes })
    const durable = await world.connect('c', 4, kept)
    durable.subscribe(1, 'trace/#')
    expect(await durable.look()).toBe('connack 0, suback#1 0x80')
    const passing = await world.subscribed(['d', 4], 'trace/#')
    durable.publish('trace/1/x', 'one', 1, 1)
    await passing.until('publish#1 trace/1/x=one')
  })
})
