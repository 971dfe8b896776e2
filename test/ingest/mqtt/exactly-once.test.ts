/** Power cuts under a QoS 2 publisher that keeps its own state: every message is in the log once, and acknowledged ones are there. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

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

async function runSeed(seed: number): Promise<void> {
  const world = await DoorWorld.start({}, seed)
  const publisher = new CarefulPublisher(seed % 2 === 0)
  const kept = { clean: false }
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
  expect(publisher.isDone, `seed ${seed}`).toBe(true)
  const expected = [...publisher.steps.keys()].map((messageId) => `m${messageId}`).toSorted()
  expect(
    (await world.values('a')).split(' ').filter((value) => value !== ''),
    `seed ${seed}`,
  ).toEqual(expected)
}

describe('QoS 2 under kills and power cuts', () => {
  it('stores every message of a client that keeps its own state exactly once (60 seeds)', async () => {
    for (let seed = 1; seed <= 60; seed += 1) await runSeed(seed)
  })
})

describe('a QoS 2 packet id', () => {
  const kept = { clean: false }

  it.each([
    [4, true],
    [5, true],
    [4, false],
    [5, false],
  ] as const)(
    'from before a restart is held by the same message only (level %i: kept, gone; DUP: %s)',
    async (level, dup) => {
      const world = await DoorWorld.start()
      const before = await world.connect('careful', level, kept)
      before.publish('a/0', 'one', 2, 7)
      await before.until('pubrec#7')
      await world.restart()
      const client = await world.connect('careful', level, kept)
      client.publish('a/0', 'one', 2, 7, { dup })
      await client.until('pubrec#7')
      expect(await world.values('a')).toBe('one')
      await world.restart()
      const later = await world.connect('careful', level, kept)
      later.publish('a/0', 'two', 2, 7, { dup })
      await later.until('pubrec#7')
      expect(await world.values('a')).toBe('one two')
    },
  )

  it('is given back when its release is durable, however often that is asked for', async () => {
    const world = await DoorWorld.start()
    const before = await world.connect('careful', 4, kept)
    before.publish('a/0', 'one', 2, 7)
    await before.until('pubrec#7')
    world.host.stallDisk(500)
    before.pubrel(7)
    await world.runFor(5)
    before.drop()
    const client = await world.connect('careful', 4, kept)
    client.pubrel(7)
    expect(await client.look(100)).toBe('connack 0 present, pubcomp#7')
  })

  it('that is repeated on another connection before the commit is acknowledged once it is there', async () => {
    const world = await DoorWorld.start()
    const before = await world.connect('careful', 4, kept)
    before.publish('a/0', 'zero', 2, 6)
    await before.until('pubrec#6')
    world.host.stallDisk(500)
    before.publish('a/0', 'one', 2, 7)
    await world.runFor(5)
    before.drop()
    const client = await world.connect('careful', 4, kept)
    client.publish('a/0', 'one', 2, 7, { dup: true })
    expect(await client.look(100)).toBe('connack 0 present, pubrec#7')
    expect(await world.values('a')).toBe('one zero')
  })
})
