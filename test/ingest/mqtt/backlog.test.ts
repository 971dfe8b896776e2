/** Many sessions behind in the log at once: what each of them gets, and how often the log is read for all of them. */
import { describe, expect, it } from 'vitest'
import { nodeCompute } from '../../../src/node/compute.ts'
import { filterMatches } from '../../../src/protocol/mqtt/topic-filter.ts'
import { Prng } from '../../sim/prng.ts'
import { keyedBatch } from '../../log/compaction/compaction-fixture.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const compute = nodeCompute({ inline: true })
const figures = {
  read: 'headwater_mqtt_backlog_read_bytes_total',
  passed: 'headwater_mqtt_backlog_passed_offsets_total',
}

/** A client that comes and goes, and what it has been given. */
class Wanderer {
  readonly clientId: string
  readonly filters: readonly string[]
  /** `topic payload`, each once, in the order in which it came first. */
  readonly heard: string[] = []
  readonly faults: string[] = []
  private readonly receiveMaximum: number
  readonly qos: 1 | 2
  private readonly world: DoorWorld
  private readonly acknowledged = new Set<string>()
  private readonly seen = new Set<string>()
  /** Ids of QoS 2 messages that are not released. */
  private readonly held = new Set<number>()
  private client: TestClient | null = null

  constructor(
    world: DoorWorld,
    clientId: string,
    filters: readonly string[],
    { receiveMaximum = 65_535, qos = 1 }: { receiveMaximum?: number; qos?: 1 | 2 } = {},
  ) {
    this.world = world
    this.qos = qos
    this.clientId = clientId
    this.filters = filters
    this.receiveMaximum = receiveMaximum
  }

  async come(): Promise<void> {
    if (this.client !== null) return
    const { receiveMaximum } = this
    const properties = { sessionExpiryInterval: 3600, receiveMaximum }
    this.client = await this.world.connect(this.clientId, 5, { clean: false, properties })
  }

  /** All at once. */
  static async comeTogether(world: DoorWorld, sessions: readonly Wanderer[]): Promise<void> {
    for (const session of sessions) session.client = await world.open(5)
    for (const { client, clientId } of sessions)
      client?.sendConnect(clientId, { clean: false, properties: { sessionExpiryInterval: 3600 } })
  }

  async subscribe(): Promise<void> {
    await this.come()
    this.client?.subscribe(1, ...this.filters.map((topic) => ({ topic, qos: this.qos })))
    await this.client?.until('suback')
  }

  /** Goes without a word, its acknowledgements behind it. */
  async go(): Promise<void> {
    if (this.client === null) return
    await this.world.runFor(30)
    this.client.drop()
    this.client = null
    await this.world.runFor(30)
  }

  /** The server has gone; after a crash what was acknowledged may come again. */
  lose(isCrash = false): void {
    this.client = null
    if (isCrash) this.acknowledged.clear()
  }

  /** Takes what has come, and acknowledges at most so many of it. */
  take(acknowledgeMax = Number.POSITIVE_INFINITY): number {
    let left = acknowledgeMax
    const { client } = this
    if (client === null) return 0
    const kept = client.packets.splice(0)
    while (kept.length > 0 && left > 0) {
      const packet = kept.shift()
      const messageId = packet?.messageId ?? 0
      if (packet?.cmd === 'pubrel') {
        this.held.delete(messageId)
        client.send({ cmd: 'pubcomp', messageId })
      }
      if (packet?.cmd !== 'publish') continue
      left -= 1
      if (packet.qos === 2) client.send({ cmd: 'pubrec', messageId })
      else client.puback(messageId)
      // The same message under the id that the client still holds is none (4.3.3).
      if (packet.qos === 2 && this.held.has(messageId)) continue
      if (packet.qos === 2) this.held.add(messageId)
      const text = `${packet.topic} ${String(packet.payload)}`
      const isFault = packet.qos === 2 ? this.seen.has(text) : this.acknowledged.has(text)
      if (isFault) this.faults.push(`${text} again at QoS ${packet.qos}`)
      if (!this.seen.has(text)) this.heard.push(text)
      this.seen.add(text)
      this.acknowledged.add(text)
    }
    client.packets.unshift(...kept)
    return acknowledgeMax - left
  }

  wants(topic: string): boolean {
    return this.filters.some((filter) => filterMatches(filter, topic))
  }
}

interface Published {
  readonly topic: string
  readonly payload: string
  readonly qos: 1 | 2
}

class Field {
  readonly world: DoorWorld
  /** In the order of each partition. */
  private readonly ofKafkaClients: Published[] = []
  private count = 0
  private publisher: TestClient | null = null

  constructor(world: DoorWorld) {
    this.world = world
  }

  async publish(topics: readonly string[], size = 0, qos: 1 | 2 = 1): Promise<void> {
    this.publisher ??= await this.world.connect('p')
    const { publisher } = this
    const ids = topics.map((topic) => {
      this.count += 1
      const id = (this.count % 60_000) + 1
      publisher.publish(topic, `${this.count}${'.'.repeat(size)}`, qos, id)
      return id
    })
    const last = ids.at(-1) ?? 0
    await publisher.until(`${qos === 2 ? 'pubrec' : 'puback'}#${last}`)
    if (qos === 2) {
      for (const id of ids) publisher.pubrel(id)
      await publisher.until(`pubcomp#${last}`)
    }
    publisher.heard.splice(0)
    publisher.packets.splice(0)
    await this.world.runFor(20)
  }

  /** The server was restarted. */
  lose(): void {
    this.publisher = null
  }

  /** A compressed batch as a Kafka client sends it, to a topic that an MQTT message has made. */
  async produce(topics: readonly string[]): Promise<void> {
    const records = topics.map((key) => {
      this.count += 1
      return { key, value: String(this.count) }
    })
    this.ofKafkaClients.push(...records.map(({ key, value }) => ({ topic: key, payload: value, qos: 1 as const })))
    this.world.produce('k', 0, await keyedBatch(records, { codec: 'gzip' }, compute))
    await this.world.runFor(20)
  }

  /** What the log holds, partition by partition. */
  async log(kafkaTopics: readonly string[]): Promise<Published[][]> {
    const found: Published[][] = [this.ofKafkaClients]
    for (const topic of kafkaTopics) {
      for (let index = 0; index < (this.world.broker.topicPartitions(topic) ?? 0); index += 1) {
        const records = await this.world.records(topic, index)
        found.push(
          records.map(({ key, value, headers }) => {
            return { topic: key, payload: value, qos: headers.includes('mqtt.qos=2') ? 2 : 1 }
          }),
        )
      }
    }
    return found
  }
}

async function untilDone(world: DoorWorld, sessions: readonly Wanderer[], count: (each: Wanderer) => number) {
  for (let round = 0; round < 4000; round += 1) {
    for (const session of sessions) session.take()
    if (sessions.every((session) => session.heard.length >= count(session))) break
    await world.runFor(10)
  }
  await world.runFor(500)
  for (const session of sessions) session.take()
}

const topics = ['a/1/x', 'a/1/y', 'a/2/x', 'a/3', 'b/1/x', 'b/2/y', 'b/3']
const keys = ['k/1/x', 'k/2/y', 'k/3']
const filters = ['#', 'a/#', 'a/+/x', 'a/1/y', 'b/+/+', '+/1/#', '+/+/y', 'b/3', 'k/#', 'k/2/y', 'c/#', 'a/9/x']

/** `ends`: how the daemon ends now and then. */
async function wander(seed: number, ends: 'stop' | 'kill' | 'power' | null): Promise<void> {
  const prng = new Prng(seed, 'backlog')
  const world = await DoorWorld.start(
    {
      checkpointReaders: seed % 2 === 0 ? 1 : 64,
      queuedMessagesMax: prng.pick([2, 8, 40]),
      sendWindowMax: prng.pick([1, 4, 30]),
      tailReadBytes: prng.pick([400, 2000, 20_000]),
      summaryStretchBytes: prng.pick([800, 5000]),
      summaryBytesMax: prng.pick([0, 4000, 1_000_000]),
    },
    seed + 1,
  )
  const field = new Field(world)
  await field.publish(['a/0', 'b/0', 'k/0'])
  const sessions = Array.from({ length: prng.between(2, 7) }, (_each, index) => {
    const wanted = Array.from({ length: prng.between(1, 3) }, () => prng.pick(filters))
    return new Wanderer(world, `c${index}`, wanted, {
      receiveMaximum: prng.pick([1, 3, 65_535]),
      qos: prng.pick([1, 2]),
    })
  })
  for (const session of sessions) await session.subscribe()
  for (let action = 0; action < 60; action += 1) {
    const session = prng.pick(sessions)
    if (ends !== null && prng.chance(0.06)) {
      if (ends === 'stop') await world.stop()
      if (ends === 'power') await world.powerCut()
      else await world.restart()
      field.lose()
      for (const each of sessions) each.lose(ends !== 'stop')
    }
    switch (prng.below(6)) {
      case 0: {
        await session.come()
        break
      }
      case 1: {
        await session.go()
        break
      }
      case 2: {
        await field.produce(Array.from({ length: prng.between(1, 20) }, () => prng.pick(keys)))
        break
      }
      case 3: {
        for (const each of sessions) each.take(prng.between(1, 20))
        await world.runFor(prng.between(1, 300))
        break
      }
      default:
        await field.publish(
          Array.from({ length: prng.between(1, 40) }, () => prng.pick(topics)),
          0,
          prng.pick([1, 2]),
        )
    }
  }
  for (const session of sessions) await session.come()
  const log = (await field.log(['a', 'b'])).map((each) => each.filter(({ topic }) => !topic.endsWith('/0')))
  // Order is kept among messages of one quality (4.6): those of QoS 2 wait until their ids are in the log.
  const wanted = (session: Wanderer): string[][] =>
    log.flatMap((each) =>
      [1, 2].map((qos) =>
        each
          .filter((one) => session.wants(one.topic) && Math.min(one.qos, session.qos) === qos)
          .map((one) => `${one.topic} ${one.payload}`),
      ),
    )
  await untilDone(world, sessions, (session) => wanted(session).flat().length)
  for (const session of sessions) {
    const expected = wanted(session)
    const heard = expected.map((ofPartition) => {
      const those = new Set(ofPartition)
      return session.heard.filter((line) => those.has(line))
    })
    expect(heard, `seed ${seed}: ${session.clientId} ${session.filters.join(' ')}`).toEqual(expected)
    expect(session.heard).toHaveLength(expected.flat().length)
    expect(session.faults).toEqual([])
  }
}

describe('sessions that are behind', () => {
  it('each get what matches their filters, in the order of each partition and quality, once (12 seeds)', async () => {
    for (let seed = 0; seed < 12; seed += 1) await wander(seed, null)
  }, 60_000)

  it('do so over clean stops too, nothing twice (6 seeds)', async () => {
    for (let seed = 100; seed < 106; seed += 1) await wander(seed, 'stop')
  }, 60_000)

  it('miss nothing and have it in order over kills and power cuts, which repeat something at QoS 1 and nothing at QoS 2 (10 seeds)', async () => {
    for (let seed = 200; seed < 210; seed += 1) await wander(seed, seed % 2 === 0 ? 'kill' : 'power')
  }, 60_000)

  it('are served together: two hundred of them cost little more than one read of the log', async () => {
    const world = await DoorWorld.start({ tailReadBytes: 8192, queuedMessagesMax: 32, summaryBytesMax: 0 })
    const field = new Field(world)
    const sessions = Array.from({ length: 200 }, (_each, index) => new Wanderer(world, `c${index}`, [`a/${index}/#`]))
    for (const session of sessions) await session.subscribe()
    for (const session of sessions) await session.go()
    for (let round = 0; round < 10; round += 1)
      await field.publish(
        sessions.map((_each, index) => `a/${index}/x`),
        100,
      )
    const readBefore = world.host.observer.figure(figures.read, {}) ?? 0
    expect(readBefore).toBe(0)
    await Wanderer.comeTogether(world, sessions)
    await untilDone(world, sessions, () => 10)
    expect(sessions.map(({ heard }) => heard.length)).toEqual(sessions.map(() => 10))
    const logBytes = [0, 1].reduce((sum, index) => sum + sizeOf(world, 'a', index), 0)
    expect(world.host.observer.figure(figures.read, {}) ?? 0).toBeLessThanOrEqual(2 * logBytes)
  })

  it('and far behind wait a moment for others that come with them: one sweep serves all', async () => {
    const world = await DoorWorld.start({ summaryBytesMax: 0 })
    const field = new Field(world)
    await field.publish(['k/0'])
    const sessions = Array.from({ length: 8 }, (_each, index) => new Wanderer(world, `c${index}`, [`k/${index + 1}`]))
    for (const session of sessions) await session.subscribe()
    for (const session of sessions) await session.go()
    const wanted = sessions.map((_each, index) => `k/${index + 1}`)
    await field.produce(wanted)
    const value = 'x'.repeat(40_000)
    const batch = await keyedBatch(
      Array.from({ length: 16 }, (_each, index) => ({ key: `k/other/${index}`, value })),
      {},
      compute,
    )
    for (let count = 0; count < 28; count += 1) world.produce('k', 0, batch.slice())
    await field.produce(wanted)
    await world.runFor(500)
    const logBytes = sizeOf(world, 'k', 0)
    expect(logBytes).toBeGreaterThan(16_777_216)
    for (const session of sessions) await session.come()
    await untilDone(world, sessions, () => 2)
    const read = world.host.observer.figure(figures.read, {}) ?? 0
    expect(read).toBeGreaterThan(0.9 * logBytes)
    expect(read).toBeLessThan(1.1 * logBytes)
  }, 20_000)

  it('are not held by one that takes nothing, and that one misses nothing', async () => {
    const world = await DoorWorld.start({ tailReadBytes: 4096, queuedMessagesMax: 4, sendWindowMax: 2 })
    const field = new Field(world)
    const stuck = new Wanderer(world, 'stuck', ['a/#'])
    const others = Array.from({ length: 5 }, (_each, index) => new Wanderer(world, `c${index}`, ['a/#']))
    const all = [stuck, ...others]
    for (const session of all) await session.subscribe()
    for (const session of all) await session.go()
    await field.publish(
      Array.from({ length: 400 }, (_each, index) => `a/${index % 5}`),
      50,
    )
    for (const session of all) await session.come()
    await untilDone(world, others, () => 400)
    expect(others.map(({ heard }) => heard.length)).toEqual([400, 400, 400, 400, 400])
    expect(stuck.heard).toEqual([])
    await untilDone(world, [stuck], () => 400)
    expect(stuck.heard.toSorted()).toEqual((others[0] as Wanderer).heard.toSorted())
  })

  it('that come while others read are served too', async () => {
    const world = await DoorWorld.start({ tailReadBytes: 2048, queuedMessagesMax: 4, sendWindowMax: 2 })
    const field = new Field(world)
    const sessions = Array.from({ length: 6 }, (_each, index) => new Wanderer(world, `c${index}`, ['a/#']))
    for (const session of sessions) await session.subscribe()
    for (const session of sessions) await session.go()
    await field.publish(
      Array.from({ length: 300 }, () => 'a/1'),
      20,
    )
    for (const session of sessions) {
      await session.come()
      for (let round = 0; round < 4; round += 1) {
        for (const each of sessions) each.take()
        await world.runFor(10)
      }
    }
    await untilDone(world, sessions, () => 300)
    for (const { heard } of sessions) expect(heard).toEqual((sessions[0] as Wanderer).heard)
    expect((sessions[0] as Wanderer).heard).toHaveLength(300)
  })

  it('pass over what holds nothing for them, and read it again after a restart, when nothing is remembered', async () => {
    const world = await DoorWorld.start({ tailReadBytes: 2048, summaryStretchBytes: 4096 })
    const field = new Field(world)
    const rare = new Wanderer(world, 'rare', ['a/alarm'])
    await rare.subscribe()
    await rare.go()
    const burst = Array.from({ length: 50 }, () => 'a/1')
    for (let round = 0; round < 10; round += 1) await field.publish(burst, 20)
    await field.publish(['a/alarm'], 20)
    for (let round = 0; round < 10; round += 1) await field.publish(burst, 20)
    const logBytes = [0, 1].reduce((sum, index) => sum + sizeOf(world, 'a', index), 0)
    await rare.come()
    await untilDone(world, [rare], () => 1)
    expect(rare.heard).toEqual([`a/alarm 501${'.'.repeat(20)}`])
    const read = world.host.observer.figure(figures.read, {}) ?? 0
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(logBytes / 3)
    expect(world.host.observer.figure(figures.passed, {}) ?? 0).toBeGreaterThan(300)
    await rare.go()
    await field.publish([...burst, 'a/alarm'], 20)
    await world.stop()
    await world.restart()
    rare.lose()
    await rare.come()
    await untilDone(world, [rare], () => 2)
    expect(rare.heard).toEqual([`a/alarm 501${'.'.repeat(20)}`, `a/alarm 1052${'.'.repeat(20)}`])
  })
})

function sizeOf(world: DoorWorld, topic: string, index: number): number {
  const log = world.broker.partitions.get(topic, index)?.log
  return log?.segments.reduce((sum, { sizeInBytes }) => sum + sizeInBytes, 0) ?? 0
}
