/**
 * Histories of MQTT sessions under kills and power cuts (invariant I11), each from one seed: what was promised to a client holds afterwards. Run by the
 * tests of the room over some seeds each, and by `histories-run.ts` over as many as are asked for. They throw where a promise is broken.
 */
import assert from 'node:assert/strict'
import type { Packet } from 'mqtt-packet'
import { DoorWorld, type TestClient } from './door-world.ts'

export interface SessionHistory {
  readonly name: string
  run(seed: number): Promise<void>
}

/** 60 seeds of one take ten seconds of a core that has nothing else to do. */
export const seedsTimeoutMs = 240_000

const kept = { clean: false }

/** Acknowledges what comes for `ms`; answers `topic=payload`, in order. */
export async function take(world: DoorWorld, client: TestClient, ms = 300): Promise<string[]> {
  const heard: string[] = []
  for (let passed = 0; passed < ms; passed += 10) {
    for (const packet of client.packets.splice(0)) {
      if (packet.cmd !== 'publish') continue
      heard.push(`${packet.topic}=${String(packet.payload)}`)
      if (packet.qos === 1) client.puback(packet.messageId ?? 0)
    }
    await world.runFor(10)
  }
  return heard
}

type Step = 'publish' | 'release' | 'done'

/** What a client that stores its messages does: publish until PUBREC, release until PUBCOMP. */
class CarefulPublisher {
  readonly steps = new Map<number, Step>()
  private readonly payloads = new Map<number, string>()
  private client: TestClient | null = null
  private taken = 0
  /** Not all clients set it on what they say again. */
  private readonly dup: boolean

  constructor(dup: boolean) {
    this.dup = dup
  }

  add(messageId: number, payload: string): void {
    this.steps.set(messageId, 'publish')
    this.payloads.set(messageId, payload)
    this.client?.publish(topicOf(messageId), payload, 2, messageId)
  }

  /** On a new connection everything unfinished is said again. */
  use(client: TestClient): void {
    this.client = client
    this.taken = 0
    for (const [messageId, step] of this.steps) {
      const payload = this.payloads.get(messageId) ?? ''
      if (step === 'publish') client.publish(topicOf(messageId), payload, 2, messageId, { dup: this.dup })
      if (step === 'release') client.pubrel(messageId)
    }
  }

  /** Reacts to what has come. */
  react(): void {
    const { client } = this
    if (client === null) return
    for (const packet of client.packets.slice(this.taken)) {
      const messageId = packet.messageId ?? 0
      if (packet.cmd === 'pubrec') {
        this.steps.set(messageId, 'release')
        client.pubrel(messageId)
      }
      if (packet.cmd === 'pubcomp') this.steps.set(messageId, 'done')
    }
    this.taken = client.packets.length
  }

  get isDone(): boolean {
    return [...this.steps.values()].every((step) => step === 'done')
  }
}

function topicOf(messageId: number): string {
  return `a/${messageId % 3}`
}

/** What a client does that stores the ids of what it has received (4.3.3, method B): a message is new when its id is not held. */
export class CarefulReceiver {
  readonly taken: string[] = []
  /** A message that it says nothing of. */
  silentOn: string | null = null
  private unanswered: Packet | null = null
  private readonly held = new Set<number>()

  react(client: TestClient): void {
    const packets = client.packets.splice(0)
    if (this.silentOn === null && this.unanswered !== null) packets.unshift(this.unanswered)
    if (this.silentOn === null) this.unanswered = null
    for (const packet of packets) {
      const messageId = packet.messageId ?? 0
      if (packet.cmd === 'publish') {
        if (String(packet.payload) === this.silentOn) {
          this.unanswered = packet
          continue
        }
        if (!this.held.has(messageId)) this.taken.push(String(packet.payload))
        this.held.add(messageId)
        client.send({ cmd: 'pubrec', messageId })
      }
      if (packet.cmd === 'pubrel') {
        this.held.delete(messageId)
        client.send({ cmd: 'pubcomp', messageId })
      }
    }
  }
}

export async function retainedOf(world: DoorWorld, filter: string, clientId = 'look'): Promise<string> {
  const client = await world.subscribed([clientId, 5], { topic: filter, qos: 2 })
  const heard = await client.look()
  client.drop()
  return heard
    .split(', ')
    .filter((line) => line.startsWith('publish'))
    .map((line) => line.replace(/^publish(?:#\d+)?/, ''))
    .toSorted()
    .join(',')
}

/** QoS 2 in: every message of a client that keeps its own state is stored exactly once. */
async function storesOnce(seed: number): Promise<void> {
  const world = await DoorWorld.start({}, seed)
  const publisher = new CarefulPublisher(seed % 2 === 0)
  let nextId = 0
  for (let round = 0; round < 4; round += 1) {
    publisher.use(await world.connect('careful', 4, kept))
    const chance = world.world.prng
    for (let count = chance.below(12); count > 0; count -= 1) {
      nextId += 1
      publisher.add(nextId, `m${nextId}`)
      await world.runFor(chance.below(3))
      publisher.react()
    }
    await world.runFor(chance.below(30))
    publisher.react()
    await world.runFor(chance.below(8))
    if (chance.below(2) === 0) await world.powerCut()
    else await world.restart()
  }
  publisher.use(await world.connect('careful', 4, kept))
  for (let turn = 0; turn < 50 && !publisher.isDone; turn += 1) {
    await world.runFor(50)
    publisher.react()
  }
  assert.equal(publisher.isDone, true, `seed ${seed}`)
  const expected = [...publisher.steps.keys()].map((messageId) => `m${messageId}`).toSorted()
  assert.deepEqual(
    (await world.values('a')).split(' ').filter((value) => value !== ''),
    expected,
    `seed ${seed}`,
  )
}

/** QoS 2 out: clients that keep their own state take every message of the log exactly once. */
async function deliversOnce(seed: number): Promise<void> {
  // Two kept sessions, whose places are written together or one after the other.
  const parts = { checkpointReaders: seed % 4 < 2 ? 1 : 64, finishedIdsMax: seed % 2 === 0 ? 8 : 8192 }
  const world = await DoorWorld.start({ sendWindowMax: 4, queuedMessagesMax: 6, ...parts }, seed)
  const chance = world.world.prng
  const receivers = new Map([
    ['c', new CarefulReceiver()],
    ['d', new CarefulReceiver()],
  ])
  const connected: [CarefulReceiver, TestClient][] = []
  const react = (): void => {
    for (const [receiver, client] of connected) receiver.react(client)
  }
  for (const name of receivers.keys()) (await world.subscribed([name, 4, kept], { topic: 'a/#', qos: 2 })).drop()
  let value = 0
  for (let round = 0; round < 5; round += 1) {
    connected.length = 0
    for (const [name, receiver] of receivers) connected.push([receiver, await world.connect(name, 4, kept)])
    if (round === 4) break
    const publisher = await world.connect('p')
    for (let count = chance.below(15); count > 0; count -= 1) {
      value += 1
      publisher.publish(`a/${chance.below(2)}`, `m${value}`, 2, value)
      await world.runFor(chance.below(4))
      if (chance.below(3) > 0) react()
    }
    for (let turn = chance.below(12); turn > 0; turn -= 1) {
      await world.runFor(chance.below(6))
      react()
    }
    if (chance.below(4) === 0) await world.runFor(1500)
    react()
    await world.runFor(chance.below(3))
    // Often while the places are being written.
    if (chance.below(2) === 0) {
      await world.untilSessionsAreWritten(1500, react)
      await world.runFor(chance.below(4))
    }
    if (chance.below(2) === 0) await world.powerCut()
    else await world.restart()
  }
  const stored = new Set((await world.records('a')).map((record) => record.value))
  const isComplete = (): boolean => connected.every(([{ taken }]) => taken.length >= stored.size)
  // Few ids a second where few are kept.
  for (let turn = 0; turn < 200 || (turn < 3000 && !isComplete()); turn += 1) {
    await world.runFor(10)
    react()
  }
  for (const [name, { taken }] of receivers) {
    assert.deepEqual(taken.toSorted(), [...stored].toSorted(), `seed ${seed}, ${name}`)
  }
}

/** QoS 1: a kept session hears whatever was acknowledged to its publishers. */
async function losesNothing(seed: number): Promise<void> {
  const world = await DoorWorld.start({ queuedMessagesMax: 8, sendWindowMax: 3, tailReadBytes: 2048 }, seed)
  const chance = world.world.prng
  const acknowledged: string[] = []
  const heard: string[] = []
  const first = await world.subscribed(['c', 4, kept], 'a/#')
  first.drop()
  let value = 0
  for (let round = 0; round < 4; round += 1) {
    const publisher = await world.connect('p')
    const client = chance.below(3) > 0 ? await world.connect('c', 4, kept) : null
    if (client !== null) assert.equal(client.heard[0], 'connack 0 present', `seed ${seed}`)
    const begun = value
    for (let count = chance.below(30); count > 0; count -= 1) {
      value += 1
      publisher.publish(`a/${chance.below(3)}`, String(value), 1, value)
      if (chance.below(4) === 0 && client !== null) heard.push(...(await take(world, client, 10)))
    }
    await world.runFor(chance.below(20))
    if (client !== null) heard.push(...(await take(world, client, chance.below(2) * 1200)))
    for (const packet of publisher.packets) {
      if (packet.cmd === 'puback') acknowledged.push(String(packet.messageId))
    }
    assert.ok(begun <= value, `seed ${seed}`)
    if (chance.below(2) === 0) await world.powerCut()
    else await world.restart()
  }
  heard.push(...(await take(world, await world.connect('c', 4, kept), 2000)))
  const values = new Set(heard.map((line) => line.slice(line.indexOf('=') + 1)))
  assert.deepEqual(
    acknowledged.filter((each) => !values.has(each)),
    [],
    `seed ${seed}`,
  )
}

/** A will is published once, whenever the crash comes. */
async function firesOnce(seed: number): Promise<void> {
  const will = { topic: 'will/c', payload: 'gone', qos: 1, retain: false }
  const world = await DoorWorld.start({}, seed)
  const chance = world.world.prng
  const client = await world.connect('c', 4, { ...(chance.below(2) === 0 ? kept : {}), will })
  client.drop()
  await world.runFor(chance.below(12))
  for (let cut = 0; cut < 2; cut += 1) {
    if (chance.below(2) === 0) await world.powerCut()
    else await world.restart()
    await world.runFor(chance.below(12))
  }
  await world.runFor(500)
  assert.equal(await world.values('will'), 'gone', `seed ${seed}`)
}

/** A retained message that was acknowledged survives, and the topic has what the log has last. */
async function keepsRetained(seed: number): Promise<void> {
  const retain = { retain: true }
  const world = await DoorWorld.start({}, seed)
  const chance = world.world.prng
  const said: string[] = []
  let acknowledged = -1
  for (let round = 0; round < 3; round += 1) {
    const publisher: TestClient = await world.connect('p')
    for (let count = chance.below(6); count > 0; count -= 1) {
      said.push(`m${said.length}`)
      publisher.publish('a/x', said.at(-1) ?? '', 1, said.length, retain)
      await world.runFor(chance.below(4))
    }
    await world.runFor(chance.below(10))
    for (const packet of publisher.packets) {
      if (packet.cmd === 'puback') acknowledged = Math.max(acknowledged, (packet.messageId ?? 0) - 1)
    }
    if (chance.below(2) === 0) await world.powerCut()
    else await world.restart()
    const stored = (await world.records('a')).map(({ value }) => value)
    const kept = await retainedOf(world, 'a/x')
    assert.equal(kept, stored.length === 0 ? '' : `r a/x=${stored.at(-1)}`, `seed ${seed}`)
    const last = stored.length === 0 ? -1 : said.indexOf(stored.at(-1) ?? '')
    assert.ok(last >= acknowledged, `seed ${seed}`)
  }
}

/**
 * QoS 1 to several kept sessions whose places are written one after the other: a message that comes while that goes on is given again after a power cut,
 * to those whose place was written before it came and to the others.
 */
async function keepsPlaces(seed: number): Promise<void> {
  const world = await DoorWorld.start({ checkpointReaders: 1 }, seed)
  const names = ['c1', 'c2', 'c3', 'c4', 'c5']
  const clients: TestClient[] = []
  for (const name of names) clients.push(await world.subscribed([name, 4, kept], 'a/#'))
  const publisher = await world.connect('p')
  await world.runFor(3000)
  publisher.publish('a/x', 'first', 1, 1)
  // What moves now is written a second later.
  for (let ms = 0; ms < 980 + (seed % 40); ms += 1) {
    await world.runFor(1)
    for (const client of clients) {
      for (const packet of client.packets.splice(0)) if (packet.cmd === 'publish') client.puback(packet.messageId ?? 0)
    }
  }
  publisher.publish('a/x', 'second', 1, 2)
  await publisher.until('puback#2')
  await world.runFor(10 + world.world.prng.below(300))
  await world.powerCut()
  for (const name of names) {
    const lines = await take(world, await world.connect(name, 4, kept), 300)
    assert.ok(lines.includes('a/x=second'), `seed ${seed}, ${name}`)
  }
}

/** QoS 2 by a shared subscription: its members, which keep their own state, take every message of the log once between them. */
async function sharesOnce(seed: number): Promise<void> {
  const small = { sendWindowMax: 4, queuedMessagesMax: 6, finishedIdsMax: 8 }
  const world = await DoorWorld.start(
    { ...(seed % 2 === 0 ? small : {}), checkpointReaders: seed % 4 < 2 ? 1 : 64 },
    seed,
  )
  const chance = world.world.prng
  const filter = { topic: '$share/g/a/#', qos: 2 }
  const receivers = new Map([
    ['c', new CarefulReceiver()],
    ['d', new CarefulReceiver()],
  ])
  let connected: [CarefulReceiver, TestClient][] = []
  const react = (): void => {
    for (const [receiver, client] of connected) receiver.react(client)
  }
  for (const name of receivers.keys()) (await world.subscribed([name, 4, kept], filter)).drop()
  let value = 0
  for (let round = 0; round < 5; round += 1) {
    connected = []
    for (const [name, receiver] of receivers) {
      if (round === 4 || chance.below(4) > 0) connected.push([receiver, await world.connect(name, 4, kept)])
    }
    if (round === 4) break
    const publisher = await world.connect('p')
    for (let count = chance.below(15); count > 0; count -= 1) {
      value += 1
      publisher.publish(`a/${chance.below(2)}`, `m${value}`, 2, value)
      await world.runFor(chance.below(4))
      if (chance.below(3) > 0) react()
    }
    for (let turn = chance.below(12); turn > 0; turn -= 1) {
      await world.runFor(chance.below(6))
      react()
    }
    if (chance.below(4) === 0) await world.runFor(1500)
    react()
    if (chance.below(2) === 0) await world.untilSessionsAreWritten(1500, react)
    await world.runFor(chance.below(4))
    const ends = ['powerCut', 'restart', 'stopAndStart'] as const
    await world[ends[chance.below(3)] ?? 'restart']()
  }
  const stored = (await world.records('a')).map((record) => record.value)
  const taken = (): string[] => [...receivers.values()].flatMap((receiver) => receiver.taken)
  for (let turn = 0; turn < 200 || (turn < 3000 && taken().length < stored.length); turn += 1) {
    await world.runFor(10)
    react()
  }
  assert.deepEqual(taken().toSorted(), stored.toSorted(), `seed ${seed}`)
}

/**
 * QoS 1 to a kept session that acknowledges in any order, some of it never, over orderly stops: nothing comes again that was acknowledged, and the rest
 * comes.
 */
async function repeatsNothing(seed: number): Promise<void> {
  const small = { sendWindowMax: 5, queuedMessagesMax: 6, tailReadBytes: 2048 }
  const world = await DoorWorld.start(seed % 2 === 0 ? small : {}, seed)
  const chance = world.world.prng
  const filter = seed % 3 === 0 ? '$share/g/a/#' : 'a/#'
  ;(await world.subscribed(['c', 4, kept], filter)).drop()
  const done = new Set<string>()
  let value = 0
  for (let round = 0; round < 5; round += 1) {
    const client = chance.below(5) > 0 ? await world.connect('c', 4, kept) : null
    const publisher = await world.connect('p')
    for (let count = chance.below(25); count > 0; count -= 1) {
      value += 1
      publisher.publish(`a/${chance.below(3)}`, `m${value}`, 1, value)
      await world.runFor(chance.below(3))
      for (const packet of client?.packets.splice(0) ?? []) {
        if (packet.cmd !== 'publish') continue
        const payload = String(packet.payload)
        assert.ok(!done.has(payload), `seed ${seed}: ${payload} again`)
        if (chance.below(3) === 0) continue
        client?.puback(packet.messageId ?? 0)
        done.add(payload)
      }
    }
    if (chance.below(4) === 0) await world.runFor(1500)
    await world.runFor(30)
    for (const packet of client?.packets ?? []) {
      if (packet.cmd === 'publish') assert.ok(!done.has(String(packet.payload)), `seed ${seed}`)
    }
    await world.stopAndStart()
  }
  const heard = (await take(world, await world.connect('c', 4, kept), 1000)).map((line) =>
    line.slice(line.indexOf('=') + 1),
  )
  const all = Array.from({ length: value }, (_each, index) => `m${index + 1}`)
  assert.deepEqual(heard.toSorted(), all.filter((each) => !done.has(each)).toSorted(), `seed ${seed}`)
}

/**
 * Retained messages to a kept session whose subscription was made before they could be sent: all come, over whatever ends, at QoS 2 once; what is news
 * meanwhile comes too.
 */
async function owesRetained(seed: number): Promise<void> {
  const qos = seed % 2 === 0 ? 2 : 1
  const parts = { checkpointReaders: seed % 8 < 4 ? 1 : 64, sendWindowMax: 1 + (seed % 5) }
  const world = await DoorWorld.start(parts, seed)
  const chance = world.world.prng
  let messageId = 0
  const said: string[] = []
  const publish = async (topics: readonly string[], value: string): Promise<void> => {
    const publisher = await world.connect('p')
    for (const topic of topics) {
      messageId += 1
      publisher.publish(topic, `${topic} ${value}`, qos, messageId, { retain: true })
      await publisher.until(qos === 1 ? `puback#${messageId}` : `pubrec#${messageId}`)
      said.push(`${topic} ${value}`)
    }
    publisher.drop()
  }
  const topics = Array.from({ length: 1 + chance.below(12) }, (_each, index) => `a/${index}`)
  await publish(topics, 'first')
  const receiver = new CarefulReceiver()
  const heard: string[] = []
  let client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos })
  const react = (acksMax: number): void => {
    if (qos === 2) return acksMax > 0 ? receiver.react(client) : undefined
    for (const packet of client.packets.splice(0, acksMax)) {
      if (packet.cmd !== 'publish') continue
      heard.push(String(packet.payload))
      client.puback(packet.messageId ?? 0)
    }
  }
  let hasNews = false
  for (let round = 0; round < 4; round += 1) {
    for (let turn = chance.below(12); turn > 0; turn -= 1) {
      react(chance.below(3))
      await world.runFor(chance.below(6))
    }
    if (chance.below(4) === 0) client.drop()
    if (seed % 3 === 0 && chance.below(3) === 0) {
      hasNews = true
      await publish(
        topics.filter(() => chance.below(3) === 0),
        `of round ${round}`,
      )
    }
    if (chance.below(3) === 0) await world.runFor(1500)
    if (chance.below(3) === 0) await world.untilSessionsAreWritten(1500, () => react(1))
    const end = (['powerCut', 'restart', 'stopAndStart'] as const)[chance.below(4)]
    if (end !== undefined) await world[end]()
    client = await world.connect('c', 4, kept)
  }
  const missing = (): string[] => said.filter((each) => ![...heard, ...receiver.taken].includes(each))
  for (let turn = 0; turn < 150 || (turn < 2000 && missing().length > 0); turn += 1) {
    await world.runFor(10)
    react(10)
  }
  // A value that another has replaced may never have been retained when its turn came; as news it has come.
  assert.deepEqual(missing(), hasNews ? missing().filter((each) => each.endsWith('first')) : [], `seed ${seed}`)
  if (qos === 2 && !hasNews) assert.deepEqual(receiver.taken.toSorted(), said.toSorted(), `seed ${seed}`)
}

/** All of them. */
export const sessionHistories = {
  storesOnce: { name: 'QoS 2 into the log', run: storesOnce },
  deliversOnce: { name: 'QoS 2 to a kept session', run: deliversOnce },
  losesNothing: { name: 'QoS 1 to a kept session', run: losesNothing },
  sharesOnce: { name: 'QoS 2 by a shared subscription', run: sharesOnce },
  repeatsNothing: { name: 'QoS 1 over orderly stops', run: repeatsNothing },
  keepsPlaces: { name: 'places of kept sessions', run: keepsPlaces },
  firesOnce: { name: 'wills', run: firesOnce },
  keepsRetained: { name: 'retained messages', run: keepsRetained },
  owesRetained: { name: 'retained messages to a kept session', run: owesRetained },
} as const satisfies Readonly<Record<string, SessionHistory>>
