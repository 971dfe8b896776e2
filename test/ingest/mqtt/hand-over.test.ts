/**
 * Clients that take their session over from themselves, with another version and another Receive Maximum each time, that stop reading and go in the
 * middle of everything: sessions of their own at QoS 1 and 2, and members of a shared subscription.
 */
import type { IPublishPacket, Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../sim/prng.ts'
import { DoorWorld, type TestClient } from './door-world.ts'
import { seedsTimeoutMs } from './session-histories.ts'

type End = 'none' | 'stop' | 'crash'

const ownFilters = [
  { topic: 'a/#', qos: 2 },
  { topic: 'b/#', qos: 2 },
  { topic: 'a/1', qos: 1 },
]
const sharedFilters = [{ topic: '$share/g/a/#', qos: 1 }]
const topics = ['a/1', 'a/2', 'a/3', 'b/1', 'b/2']

/** Keeps what it has taken, and the ids that it holds, over its connections. */
class Client {
  readonly clientId: string
  readonly filters: readonly Record<string, unknown>[]
  /** `topic payload`, each once, in the order in which it came first. */
  readonly taken: string[] = []
  readonly faults: string[] = []
  /** What was acknowledged at QoS 1 may come again. */
  mayRepeat = false
  connection: TestClient | null = null
  private readonly known = new Set<string>()
  private readonly held = new Set<number>()
  private readonly aliases = new Map<number, string>()
  private waiting: Packet[] = []

  constructor(clientId: string, filters: readonly Record<string, unknown>[]) {
    this.clientId = clientId
    this.filters = filters
  }

  /** Comes on a new connection; one that is still there is taken over. */
  async come(world: DoorWorld, prng: Prng): Promise<void> {
    const level = prng.pick([4, 5] as const)
    const receiveMaximum = prng.pick([1, 2, 5, 60])
    const properties = { sessionExpiryInterval: 3600, receiveMaximum, topicAliasMaximum: prng.pick([0, 1, 3]) }
    this.connection = await world.open(level)
    this.waiting = []
    this.aliases.clear()
    this.connection.sendConnect(this.clientId, { clean: false, ...(level === 5 ? { properties } : {}) })
    await world.runFor(prng.below(30))
  }

  drop(): void {
    this.connection?.drop()
    this.connection = null
  }

  /** Takes and answers at most so many packets of what has come. */
  take(packetsMax = 1000): void {
    const { connection } = this
    if (connection === null || !connection.reads) return
    this.waiting.push(...connection.packets.splice(0))
    for (const packet of this.waiting.splice(0, packetsMax)) {
      const messageId = packet.messageId ?? 0
      if (packet.cmd === 'publish') this.takeMessage(connection, packet, messageId)
      if (packet.cmd !== 'pubrel') continue
      this.held.delete(messageId)
      connection.send({ cmd: 'pubcomp', messageId })
    }
  }

  private takeMessage(connection: TestClient, packet: IPublishPacket, messageId: number): void {
    const text = `${this.topicOf(packet)} ${String(packet.payload)}`
    const isHeld = packet.qos === 2 && this.held.has(messageId)
    const isAgain = this.known.has(text) && !isHeld
    if (isAgain && (packet.qos === 2 || !this.mayRepeat)) this.faults.push(`${text} again at QoS ${packet.qos}`)
    if (!this.known.has(text)) this.taken.push(text)
    this.known.add(text)
    if (packet.qos === 2) this.held.add(messageId)
    connection.send({ cmd: packet.qos === 2 ? 'pubrec' : 'puback', messageId })
  }

  private topicOf({ topic, properties }: IPublishPacket): string {
    const alias = properties?.topicAlias
    if (alias === undefined) return topic
    if (topic !== '') this.aliases.set(alias, topic)
    return this.aliases.get(alias) ?? 'unknown'
  }
}

class Publisher {
  private readonly world: DoorWorld
  private readonly prng: Prng
  private connection: TestClient | null = null
  private count = 0

  constructor(world: DoorWorld, prng: Prng) {
    this.world = world
    this.prng = prng
  }

  lose(): void {
    this.connection = null
  }

  release(): void {
    for (const { cmd, messageId = 0 } of this.connection?.packets.splice(0) ?? []) {
      if (cmd === 'pubrec') this.connection?.pubrel(messageId)
    }
  }

  async publish(messages: number): Promise<void> {
    const { world, prng } = this
    this.connection ??= await world.connect('p')
    for (let left = messages; left > 0; left -= 1) {
      this.count += 1
      this.connection.publish(prng.pick(topics), `m${this.count}`, prng.pick([1, 2] as const), this.count)
      if (prng.chance(0.3)) await world.runFor(prng.below(4))
    }
    await world.runFor(prng.below(30))
    this.release()
  }
}

async function act(world: DoorWorld, prng: Prng, clients: readonly Client[]): Promise<void> {
  const client = prng.pick(clients)
  const { connection } = client
  switch (prng.below(7)) {
    case 0: {
      client.drop()
      await world.runFor(prng.below(10))
      return client.come(world, prng)
    }
    case 1: {
      return client.come(world, prng)
    }
    case 2: {
      return client.drop()
    }
    case 3: {
      return connection?.reads === true ? connection.stopReading() : connection?.goOnReading()
    }
    case 4: {
      if (connection === null || prng.chance(0.7)) return
      connection.send({ cmd: 'disconnect' })
      client.connection = null
      return world.runFor(prng.below(5))
    }
    default: {
      for (const each of clients) {
        each.take(prng.below(9))
        if (prng.chance(0.3)) await world.runFor(prng.below(5))
      }
      return world.runFor(prng.below(40))
    }
  }
}

async function endAndStart(world: DoorWorld, prng: Prng, end: End): Promise<void> {
  if (end === 'stop') return world.stopAndStart()
  return prng.chance(0.5) ? world.powerCut() : world.restart()
}

interface Stored {
  readonly topic: string
  readonly text: string
  readonly qos: 1 | 2
}

async function storedIn(world: DoorWorld): Promise<Stored[]> {
  const kafkaTopics = ['all', 'a', 'b'].filter((name) => world.broker.topicPartitions(name) !== undefined)
  const found: Stored[] = []
  for (const name of kafkaTopics) {
    for (const { key, value, headers } of await world.records(name)) {
      found.push({ topic: key, text: `${key} ${value}`, qos: headers.includes('mqtt.qos=2') ? 2 : 1 })
    }
  }
  return found
}

/** Everything once to each session of its own, in the order of each topic and quality; everything to some member of the shared subscription. */
function check(own: readonly Client[], members: readonly Client[], stored: readonly Stored[], seed: string): void {
  for (const client of own) {
    expect(client.faults, seed).toEqual([])
    expect(client.taken.toSorted(), seed).toEqual(stored.map(({ text }) => text).toSorted())
    for (const topic of topics) {
      for (const qos of [1, 2]) {
        const those = stored.filter((each) => each.topic === topic && each.qos === qos).map(({ text }) => text)
        const asked = new Set(those)
        expect(
          client.taken.filter((text) => asked.has(text)),
          seed,
        ).toEqual(those)
      }
    }
  }
  const shared = members.flatMap(({ taken }) => taken)
  const wanted = stored.filter(({ topic }) => topic.startsWith('a/')).map(({ text }) => text)
  expect([...new Set(shared)].toSorted(), seed).toEqual(wanted.toSorted())
  if (members.every(({ mayRepeat }) => !mayRepeat)) expect(shared, seed).toHaveLength(wanted.length)
}

async function run(seed: number, end: End): Promise<void> {
  const prng = new Prng(seed, 'hand-over')
  const bounds = {
    queuedMessagesMax: prng.pick([1, 3, 40]),
    sendWindowMax: prng.pick([1, 4, 30]),
    tailReadBytes: prng.pick([300, 2000, 20_000]),
    finishedIdsMax: prng.pick([64, 8192]),
    checkpointReaders: prng.pick([1, 64]),
    queuedBytesTotalMax: prng.pick([600, 100_000]),
    routes: prng.chance(0.5) ? [{ match: '#', topic: 'all' }] : [],
  }
  const world = await DoorWorld.start(bounds, seed + 1)
  const own = ['c', 'd'].map((clientId) => new Client(clientId, ownFilters))
  const members = ['m1', 'm2', 'm3'].map((clientId) => new Client(clientId, sharedFilters))
  const clients = [...own, ...members]
  const publisher = new Publisher(world, prng)
  for (const client of clients) {
    await client.come(world, prng)
    client.connection?.subscribe(1, ...client.filters)
    await client.connection?.until('suback')
  }
  for (let step = 0; step < 60; step += 1) {
    if (prng.chance(0.25)) await publisher.publish(prng.between(1, 25))
    else await act(world, prng, clients)
    if (end === 'none' || !prng.chance(0.05)) continue
    await world.runFor(prng.pick([0, 100, 2500]))
    await endAndStart(world, prng, end)
    publisher.lose()
    for (const client of clients) {
      client.connection = null
      client.mayRepeat = true
    }
  }
  for (const client of clients) {
    client.drop()
    await client.come(world, prng)
  }
  const stored = await storedIn(world)
  const isDone = (): boolean => own.every(({ taken }) => taken.length >= stored.length)
  for (let turn = 0; turn < 100 || (turn < 4000 && !isDone()); turn += 1) {
    for (const client of clients) client.take()
    await world.runFor(10)
  }
  check(own, members, stored, `seed ${seed}`)
}

describe('clients that take their sessions over', () => {
  it.each(['none', 'stop', 'crash'] as const)(
    'lose nothing and get nothing twice that they have acknowledged (ends of the daemon: %s; 12 seeds)',
    async (end) => {
      for (let seed = 1; seed <= 12; seed += 1) await run(seed, end)
    },
    seedsTimeoutMs,
  )
})
