/** Batches that a Kafka client has compressed, on their way to subscribers: how often they are unpacked, and for how long that is kept. */
import { expect, it } from 'vitest'
import { loadPiece } from '../../../src/ingest/mqtt/piece-reading.ts'
import { nodeCompute } from '../../../src/node/compute.ts'
import { setBatchBaseOffset } from '../../../src/protocol/records/record-batch.ts'
import { keyedBatch } from '../../log/compaction/compaction-fixture.ts'
import { batchOf } from '../../log/log-fixture.ts'
import { command, commandWorld, take } from './command-world.ts'
import { DoorWorld } from './door-world.ts'

const compute = nodeCompute({ inline: true })
const kept = { clean: false }

/** A thousand commands, each read by itself: five seconds of a core that has nothing else to do. */
const thousandTimeoutMs = 120_000

function gzipped(key: string, count: number, timestampMs = 1000): Promise<Uint8Array> {
  const records = Array.from({ length: count }, (_each, index) => ({ key, value: `c${index}`, timestampMs }))
  return keyedBatch(records, { codec: 'gzip' }, compute)
}

it(
  'a batch of commands of which more would wait than may is unpacked once, however often there is room for one of them',
  async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5, { properties: { receiveMaximum: 1 } }], 'other')
    world.produce('commands', 0, await gzipped('1', 1030, world.broker.clock.wallMs()))
    await world.runFor(3000)
    expect(world.host.observer.events.map(({ id }) => id)).toContain('mqtt-commands-held')
    expect(world.host.codecs.inUse).toBe(1)
    client.subscribe(2, 'pump/#')
    const heard = await take(world, client, 1030)
    expect(new Set(heard).size).toBe(1030)
    expect(heard).toHaveLength(1030)
    expect(world.host.codecs).toMatchObject({ unpacked: 1, inUse: 0 })
  },
  thousandTimeoutMs,
)

it('commands that have waited are unpacked once a batch, whoever takes them, of two partitions in turn, and once more after a start', async () => {
  const world = await commandWorld()
  const other = await world.subscribed(['other', 5], 'other')
  const wallMs = world.broker.clock.wallMs()
  for (const index of [0, 1]) world.produce('commands', index, await gzipped(`${index}`, 100, wallMs))
  await world.runFor(3000)
  const { codecs } = world.host
  const before = codecs.decompressed
  const connect = { properties: { receiveMaximum: 2, sessionExpiryInterval: 600 } }
  const clients = [
    await world.subscribed(['a', 5, connect], 'pump/#'),
    await world.subscribed(['b', 5, connect], 'pump/#'),
  ]
  const heard = await Promise.all(clients.map((client) => take(world, client, 30)))
  expect(heard.flat().length).toBeGreaterThanOrEqual(30)
  expect(codecs.decompressed - before).toBe(2)
  await world.stopAndStart()
  const started = world.host.codecs.decompressed
  const client = await world.subscribed(['c', 5, { properties: { receiveMaximum: 2 } }], 'pump/#')
  const rest = await take(world, client, 200)
  expect(new Set([...heard.flat(), ...rest]).size).toBe(100)
  expect(heard.flat().length + rest.length).toBeGreaterThanOrEqual(200)
  expect(world.host.codecs.decompressed - started).toBeLessThanOrEqual(2)
  other.drop()
})

it(
  'it is given back when the daemon stops, and goes on after the start',
  async () => {
    const world = await commandWorld()
    await world.subscribed(['c', 5], 'other')
    world.produce('commands', 0, await gzipped('1', 1030, world.broker.clock.wallMs()))
    await world.runFor(3000)
    expect(world.host.codecs.inUse).toBe(1)
    await world.stopAndStart()
    await world.runFor(100)
    expect(world.host.codecs.inUse).toBeLessThan(2)
    const client = await world.subscribed(['c', 5], 'pump/#')
    expect(await take(world, client, 1030)).toHaveLength(1030)
    command(world, '1', 'last')
    expect(await take(world, client, 1)).toEqual(['last'])
    expect(world.host.codecs.inUse).toBe(0)
  },
  thousandTimeoutMs,
)

it('what is unpacked for a replay, and for those who are behind, counts against what may be unpacked at a time until it was given', async () => {
  const world = await DoorWorld.start({ sendWindowMax: 4, queuedMessagesMax: 4 })
  await world.settle(world.broker.ensureTopic('plant'))
  const away = await world.subscribed(['away', 4, kept], 'plant/#')
  away.drop()
  await world.runFor(50)
  for (let count = 0; count < 3; count += 1) world.produce('plant', 0, await gzipped('plant/t', 20))
  await world.runFor(100)
  const { codecs } = world.host
  const before = codecs.unpacked
  const client = await world.connect('r', 5)
  client.subscribe(1, { topic: '$log/plant/0', qos: 0 }, 'unheard')
  client.send({
    cmd: 'subscribe',
    messageId: 2,
    subscriptions: [{ topic: '$log/plant/0', qos: 1 }],
    properties: { userProperties: { offset: 'earliest' } },
  })
  expect(await take(world, client, 60)).toHaveLength(60)
  expect(codecs).toMatchObject({ decompressed: 0, inUse: 0 })
  const replayed = codecs.unpacked
  expect(replayed).toBeGreaterThan(before)
  expect(await take(world, await world.connect('away', 4, kept), 60)).toHaveLength(60)
  expect(codecs.unpacked).toBeGreaterThan(replayed)
  expect(codecs).toMatchObject({ decompressed: 0, inUse: 0 })
})

it('what was read above the live end of a piece is not passed over for the compressed batch behind it', async () => {
  const plain = batchOf(['10', '11', '12', '13'])
  setBatchBaseOffset(plain, 0, 10)
  const packed = await gzipped('k', 3)
  setBatchBaseOffset(packed, 0, 14)
  const bytes = Buffer.concat([plain, packed])
  const world = await DoorWorld.start()
  const options = {
    broker: world.broker,
    clock: world.broker.clock,
    compute,
    readBytes: 1000,
    decompressedBytesMax: 1000,
  }
  const [partition] = [...world.broker.partitions.values()]
  if (partition === undefined) throw new Error('no partition')
  const loaded = await loadPiece(partition, { fromOffset: 10, liveOffset: 12 }, { bytes, at: 0 }, options)
  if ('cause' in loaded) throw new Error(loaded.cause)
  expect([loaded.piece.endOffset, loaded.rest?.fromOffset]).toEqual([12, 14])
})
