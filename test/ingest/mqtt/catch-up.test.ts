/** What a session could not take waits in the log: away for long, slow, or never to be hurried. */
import { describe, expect, it } from 'vitest'
import { batchHeaderBytes, batchSizeInBytes } from '../../../src/protocol/records/record-batch.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const kept = { clean: false }

async function publish(world: DoorWorld, topics: readonly string[], from: number, to: number): Promise<void> {
  const publisher = await world.connect('p')
  for (let value = from; value <= to; value += 1) {
    publisher.publish(topics[value % topics.length] as string, String(value), 1, value)
  }
  await publisher.until(`puback#${to}`)
  publisher.drop()
  await world.runFor(20)
}

/** Acknowledges until `count` messages have come; answers `topic=payload`, in order. */
async function take(world: DoorWorld, client: TestClient, count: number): Promise<string[]> {
  const heard: string[] = []
  for (let round = 0; round < 2000 && heard.length < count; round += 1) {
    for (const packet of client.packets.splice(0)) {
      if (packet.cmd !== 'publish') continue
      heard.push(`${packet.topic}=${String(packet.payload)}`)
      client.puback(packet.messageId ?? 0)
    }
    await world.runFor(5)
  }
  return heard
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_each, index) => String(from + index))

describe('a session that was away', () => {
  it('gets thousands of messages of several partitions, each topic in order, with a small queue', async () => {
    const world = await DoorWorld.start({ queuedMessagesMax: 16, sendWindowMax: 4, tailReadBytes: 4096 })
    const client = await world.subscribed(['c', 4, kept], '#')
    client.drop()
    await world.runFor(50)
    const topics = ['a/1', 'a/2', 'b/1', 'c/1', 'c/2']
    await publish(world, topics, 1, 3000)
    const back = await world.connect('c', 4, kept)
    const heard = await take(world, back, 3000)
    expect(heard).toHaveLength(3000)
    for (const topic of topics) {
      const values = heard.filter((line) => line.startsWith(`${topic}=`)).map((line) => line.slice(topic.length + 1))
      expect(values).toEqual(numbers(1, 3000).filter((value) => topics[Number(value) % topics.length] === topic))
    }
  })

  it('goes on where it was after several interruptions, and hears what is new after what is old', async () => {
    const world = await DoorWorld.start({ queuedMessagesMax: 8, sendWindowMax: 2 })
    let client = await world.connect('c', 4, kept)
    client.subscribe(1, 'a/#')
    await client.until('suback')
    client.drop()
    await world.runFor(50)
    await publish(world, ['a/1'], 1, 60)
    const heard: string[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      client = await world.connect('c', 4, kept)
      heard.push(...(await take(world, client, 10)))
      client.drop()
      await world.runFor(50)
    }
    client = await world.connect('c', 4, kept)
    await publish(world, ['a/1'], 61, 70)
    for (const line of await take(world, client, 70)) heard.push(line)
    const firsts = [...new Set(heard)].map((line) => line.slice(4))
    expect(firsts).toEqual(numbers(1, 70))
  })

  it('does not hear what is older than its subscription, however far behind it is for another', async () => {
    const world = await DoorWorld.start({ queuedMessagesMax: 2, sendWindowMax: 1 })
    const client = await world.subscribed(['c', 4, kept], 'a/1')
    await publish(world, ['a/1', 'a/2'], 1, 20)
    client.subscribe(2, 'a/2')
    await client.until('suback#2')
    await publish(world, ['a/1', 'a/2'], 21, 30)
    const heard = await take(world, client, 20)
    expect(heard.filter((line) => line.startsWith('a/1=')).map((line) => line.slice(4))).toEqual(
      numbers(1, 30).filter((value) => Number(value) % 2 === 0),
    )
    expect(heard.filter((line) => line.startsWith('a/2=')).map((line) => line.slice(4))).toEqual(
      numbers(21, 30).filter((value) => Number(value) % 2 === 1),
    )
  })

  it('does not keep what waits for it in memory', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    client.drop()
    await world.runFor(50)
    await publish(world, ['a/1'], 1, 500)
    await world.runFor(2000)
    expect(world.host.observer.figure('headwater_mqtt_queued_bytes', {})).toBe(0)
    expect(await take(world, await world.connect('c', 4, kept), 500)).toHaveLength(500)
  })

  it('misses of a damaged log the damaged batch alone', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    client.drop()
    await world.runFor(50)
    for (let value = 1; value <= 4; value += 1) await publish(world, ['a/1'], value, value)
    await world.stop()
    const logs = [0, 1, 2, 3].map((partition) => `/data/log/a-${partition}/00000000000000000000.log`)
    const path = logs.find((each) => (world.host.fileNow(each)?.length ?? 0) > 0) as string
    const bytes = world.host.fileNow(path) as Uint8Array
    world.host.corrupt(path, batchSizeInBytes(bytes) + batchHeaderBytes + 2, 0xff)
    await world.restart()
    const back = await world.connect('c', 4, kept)
    expect(await take(world, back, 3)).toEqual(['a/1=1', 'a/1=3', 'a/1=4'])
  })

  it('goes on with the new topic when the old one was deleted under what waited', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    client.drop()
    await world.runFor(50)
    await publish(world, ['a/1'], 1, 5)
    await world.deleteTopic('a')
    await publish(world, ['a/1'], 6, 8)
    const back = await world.connect('c', 4, kept)
    expect(await take(world, back, 3)).toEqual(['a/1=6', 'a/1=7', 'a/1=8'])
  })
})
