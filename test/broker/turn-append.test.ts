import { describe, expect, it } from 'vitest'
import type { TurnAppend } from '../../src/broker/turn-append.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import type { KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { newWorld } from './admin-world.ts'
import { batchesOf, dropTopic, makeSecretTopic, makeTopic, openRecords, type RecordWorld } from './record-world.ts'

type Settled = KafkaErrorName | null

async function open(
  partitions = 2,
  configs: Readonly<Record<string, string>> = {},
): Promise<{ readonly node: RecordWorld; readonly readings: readonly Partition[] }> {
  const node = await openRecords()
  return { node, readings: await makeTopic(node, 'readings', partitions, configs) }
}

function add(turn: TurnAppend, partition: Partition | undefined, value: string): Settled {
  if (partition === undefined) throw new Error('not served')
  return turn.append(partition, 1_000, Buffer.from('k'), Buffer.from(value), null)
}

/** The settlements of a turn, in the order in which they come. */
function listen(turn: TurnAppend): Settled[] {
  const told: Settled[] = []
  turn.onSettled((error) => told.push(error))
  return told
}

describe('the turn', () => {
  it('makes one batch a partition of everything that was appended in it, in order', async () => {
    const { node, readings } = await open()
    for (const value of ['a', 'b', 'c']) add(node.broker.turn(), readings[0], value)
    add(node.broker.turn(), readings[1], 'x')
    add(node.broker.turn(), readings[0], 'd')
    const told = listen(node.broker.turn())
    await node.world.run(() => told.length > 0)
    expect(await batchesOf(node, readings[0] as Partition)).toEqual([['a', 'b', 'c', 'd']])
    expect(await batchesOf(node, readings[1] as Partition)).toEqual([['x']])
  })

  it('copies what it is given: the memory is free again at once', async () => {
    const { node, readings } = await open()
    const source = Buffer.from('..key.value..')
    const turn = node.broker.turn()
    turn.appendSlices(readings[0] as Partition, 1_000, source, 2, 3, source, 6, 5, new Uint8Array(1))
    source.fill(0)
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect(await batchesOf(node, readings[0] as Partition)).toEqual([['value']])
  })

  it('settles once, when every partition has it below the high watermark and not before', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    add(turn, readings[0], 'a')
    add(turn, readings[1], 'b')
    const watermarks: number[][] = []
    turn.onSettled(() => watermarks.push(readings.map(({ highWatermark }) => highWatermark)))
    const told = listen(turn)
    await node.world.run(() => readings[0]?.log.logEndOffset === 1)
    expect(told).toEqual([])
    await node.world.runFor(1_000)
    expect(told).toEqual([null])
    expect(watermarks).toEqual([[1, 1]])
  })

  it('counts what is pending until it is settled', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    add(turn, readings[0], 'x'.repeat(1_000))
    expect(node.broker.pendingBytes).toBeGreaterThan(1_000)
    const told = listen(turn)
    await node.world.run(() => readings[0]?.log.logEndOffset === 1)
    expect(node.broker.pendingBytes).toBeGreaterThan(1_000)
    await node.world.run(() => told.length > 0)
    expect(node.broker.pendingBytes).toBe(0)
  })

  it('settles a turn that nobody wrote to', async () => {
    const { node } = await open()
    const told = listen(node.broker.turn())
    await node.world.runFor(1)
    expect(told).toEqual([null])
  })

  it('tells a callback that comes after the end at once, with the same answer', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    add(turn, readings[0], 'a')
    await node.world.runFor(1_000)
    expect(listen(turn)).toEqual([null])
    node.host.failDisk({ operation: 'sync', code: 'EIO' })
    node.host.failDisk({ operation: 'write', code: 'EIO' })
    const failing = node.broker.turn()
    add(failing, readings[0], 'b')
    await node.world.runFor(1_000)
    expect(listen(failing)).toEqual(['KAFKA_STORAGE_ERROR'])
  })

  it('is another one in the next turn, and takes nothing when it is over', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    expect(node.broker.turn()).toBe(turn)
    add(turn, readings[0], 'a')
    await node.world.runFor(10)
    expect(node.broker.turn()).not.toBe(turn)
    expect(() => add(turn, readings[0], 'lost')).toThrow('an append to a turn that is over')
    await node.world.runFor(10)
    expect(await batchesOf(node, readings[0] as Partition)).toEqual([['a']])
  })
})

describe('bounds of the turn', () => {
  it('closes a batch before it passes half a megabyte, and puts a larger record into one of its own', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    const half = 'h'.repeat(300_000)
    const large = 'l'.repeat(700_000)
    for (const value of ['a', half, half, 'b', large, 'c', 'd']) expect(add(turn, readings[0], value)).toBe(null)
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect(await batchesOf(node, readings[0] as Partition)).toEqual([['a', half], [half, 'b'], [large], ['c', 'd']])
  })

  it('closes a batch before it passes max.message.bytes: no record is refused for what others wrote', async () => {
    const { node, readings } = await open(1, { 'max.message.bytes': '2000' })
    const turn = node.broker.turn()
    const values = Array.from({ length: 20 }, (_, at) => String(at % 10).repeat(500))
    expect(values.map((value) => add(turn, readings[0], value))).toEqual(values.map(() => null))
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect(told).toEqual([null])
    const batches = await batchesOf(node, readings[0] as Partition)
    expect(batches.flat()).toEqual(values)
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(3)
  })

  it('refuses a record that no batch of its topic can hold, and keeps the rest', async () => {
    const { node, readings } = await open(1, { 'max.message.bytes': '2000' })
    const turn = node.broker.turn()
    expect([
      add(turn, readings[0], 'a'),
      add(turn, readings[0], 'x'.repeat(2_000)),
      add(turn, readings[0], 'b'),
    ]).toEqual([null, 'MESSAGE_TOO_LARGE', null])
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect([told, await batchesOf(node, readings[0] as Partition)]).toEqual([[null], [['a', 'b']]])
  })

  it('closes a turn of 2 MiB: who asks again gets another, and both settle', async () => {
    const { node, readings } = await open()
    const value = 'v'.repeat(100_000)
    const turns = new Set<TurnAppend>()
    const told: Settled[] = []
    for (let at = 0; at < 50; at++) {
      const turn = node.broker.turn()
      if (!turns.has(turn)) turn.onSettled((error) => told.push(error))
      turns.add(turn)
      expect(turn.bytes).toBeLessThan(2_097_152)
      add(turn, readings[at % 2], value)
    }
    await node.world.run(() => told.length === turns.size)
    expect([turns.size, told]).toEqual([3, [null, null, null]])
    expect(readings.map(({ highWatermark }) => highWatermark)).toEqual([25, 25])
  })

  it('keeps a large record from making the set of another client too large for the log', async () => {
    const { node, readings } = await open(2, { 'max.message.bytes': '10000000' })
    const [secret] = await makeSecretTopic(node)
    const turn = node.broker.turn()
    add(turn, readings[0], 'message')
    add(turn, secret, 'packet id')
    add(turn, readings[1], 'x'.repeat(5_000_000))
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect(told).toEqual([null])
    expect([readings[0]?.highWatermark, secret?.highWatermark, readings[1]?.highWatermark]).toEqual([1, 1, 1])
  })

  it('never parts a record of an internal topic from the user record before it', async () => {
    const { node, readings } = await open(1, { 'max.message.bytes': '10000000' })
    const [secret] = await makeSecretTopic(node)
    const turn = node.broker.turn()
    add(turn, readings[0], 'x'.repeat(5_000_000))
    add(turn, secret, 'packet id')
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    // Together they are more than the log commits at once: neither is there.
    expect(told).toEqual(['RECORD_LIST_TOO_LARGE'])
    expect([readings[0]?.log.logEndOffset, secret?.log.logEndOffset]).toEqual([0, 0])
  })
})

describe('failures of the turn', () => {
  it('refuses a deleted topic by name, and appends the rest', async () => {
    const { node, readings } = await open()
    const [other] = await makeTopic(node, 'other')
    await dropTopic(node, 'other')
    const turn = node.broker.turn()
    expect([add(turn, other, 'a'), add(turn, readings[0], 'b')]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', null])
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect([told, readings[0]?.highWatermark]).toEqual([[null], 1])
  })

  it('refuses a partition that has failed before it can refuse the set of the others', async () => {
    const { node, readings } = await open()
    const [secret] = await makeSecretTopic(node)
    const failed = readings[0] as Partition
    failed.fail('KAFKA_STORAGE_ERROR')
    const turn = node.broker.turn()
    expect([add(turn, failed, 'a'), add(turn, readings[1], 'b'), add(turn, secret, 'c')]).toEqual([
      'KAFKA_STORAGE_ERROR',
      null,
      null,
    ])
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect([told, readings[1]?.highWatermark, secret?.highWatermark]).toEqual([[null], 1, 1])
  })

  it('settles once with the reason when a topic goes between the append and the commit', async () => {
    const { node, readings } = await open()
    const [other] = await makeTopic(node, 'other')
    const turn = node.broker.turn()
    add(turn, other, 'a')
    add(turn, readings[0], 'b')
    const told = listen(turn)
    await node.world.run(() => other?.log.logEndOffset === 1)
    other?.fail('UNKNOWN_TOPIC_OR_PARTITION')
    await node.world.runFor(1_000)
    expect(told).toEqual(['UNKNOWN_TOPIC_OR_PARTITION'])
    expect(node.broker.pendingBytes).toBe(0)
  })

  it('settles every turn once with KAFKA_STORAGE_ERROR when the disk fails, and refuses the next at once', async () => {
    const { node, readings } = await open()
    node.host.failDisk({ operation: 'sync', code: 'EIO' })
    const turns = [node.broker.turn()]
    add(turns[0] as TurnAppend, readings[0], 'a')
    const told = [listen(turns[0] as TurnAppend)]
    await node.world.run(() => readings[0]?.log.logEndOffset === 1)
    turns.push(node.broker.turn())
    add(turns[1] as TurnAppend, readings[1], 'b')
    told.push(listen(turns[1] as TurnAppend))
    await node.world.runFor(1_000)
    expect(told).toEqual([['KAFKA_STORAGE_ERROR'], ['KAFKA_STORAGE_ERROR']])
    expect(add(node.broker.turn(), readings[0], 'c')).toBe('KAFKA_STORAGE_ERROR')
    expect([readings[0]?.highWatermark, node.broker.pendingBytes]).toEqual([0, 0])
  })

  it('refuses the whole set of a turn that writes to an internal topic, and settles with the reason, not with its echo', async () => {
    const { node, readings } = await open()
    const [secret] = await makeSecretTopic(node)
    const turn = node.broker.turn()
    add(turn, readings[0], 'a')
    add(turn, secret, 'b')
    add(turn, readings[1], 'c')
    const told = listen(turn)
    const lost = readings[1] as Partition
    lost.log.isDeleted = true
    await node.world.run(() => told.length > 0)
    expect(told).toEqual(['UNKNOWN_TOPIC_OR_PARTITION'])
    expect([readings[0]?.log.logEndOffset, secret?.log.logEndOffset]).toEqual([0, 0])
  })
})

/** What one turn writes; `size` is a chance of so many bytes. */
type Writing = (
  turn: TurnAppend,
  topics: Readonly<Record<'readings' | 'secret', readonly Partition[]>>,
  id: number,
  size: () => number,
) => void

/** After power cuts of 25 seeds: how many of the four records of each turn are there. */
async function copiesAfterPowerCuts(
  write: Writing,
): Promise<{ readonly settled: number[]; readonly others: number[] }> {
  const found = { settled: [] as number[], others: [] as number[] }
  for (let seed = 1; seed <= 25; seed++) {
    const place = newWorld(seed)
    const node = await openRecords(place)
    const readings = await makeTopic(node, 'readings', 4)
    const secret = await makeSecretTopic(node)
    const chance = place.world.prng
    const settled = new Set<number>()
    const written = 12
    for (let id = 0; id < written; id++) {
      const turn = node.broker.turn()
      // Of different sizes, so that some commits go by the journal and some by the files.
      write(turn, { readings, secret }, id, () => chance.below(20_000))
      turn.onSettled((error) => {
        if (error === null) settled.add(id)
      })
      await place.world.runFor(chance.below(4))
    }
    place.host.powerCut()
    const again = await openRecords(place)
    const seen = new Map<number, number>()
    for (const topic of ['readings', '__headwater_secret']) {
      for (const partition of again.broker.partitions.ofTopic(topic) ?? []) {
        for (const value of (await batchesOf(again, partition)).flat()) {
          const id = Number.parseInt(value, 10)
          seen.set(id, (seen.get(id) ?? 0) + 1)
        }
      }
    }
    for (let id = 0; id < written; id++) (settled.has(id) ? found.settled : found.others).push(seen.get(id) ?? 0)
    place.host.kill()
  }
  return found
}

/** All or nothing; both ends were seen, or the test shows nothing. */
function expectWhole({ settled, others }: { readonly settled: number[]; readonly others: number[] }): void {
  expect([...new Set(settled)]).toEqual([4])
  expect(others).toContain(0)
  expect(others.filter((copies) => copies !== 0 && copies !== 4)).toEqual([])
  const whole = settled.length + others.filter((copies) => copies === 4).length
  expect([whole > 20, others.length > 20]).toEqual([true, true])
}

describe('records that a codec would make too large', () => {
  it.each(['gzip', 'zstd', 'lz4', 'snappy'])('are stored as they are: %s', async (codec) => {
    const bytesMax = 400_000
    const { node, readings } = await open(1, { 'compression.type': codec, 'max.message.bytes': `${bytesMax}` })
    const turn = node.broker.turn()
    const value = node.ports.entropy.bytes(bytesMax - 61 - 33)
    expect(turn.append(readings[0] as Partition, 1_000, Buffer.from('k'), value, null)).toBeNull()
    const told = listen(turn)
    await node.world.run(() => told.length > 0)
    expect([told, readings[0]?.log.logEndOffset]).toEqual([[null], 1])
    expect(readings[0]?.log.sizeInBytes).toBeLessThanOrEqual(bytesMax)
  })
})

describe('after a power cut', () => {
  it('a turn that writes to an internal topic is in the log whole or not at all, and whole when it was settled', async () => {
    const copies = await copiesAfterPowerCuts((turn, { readings, secret }, id, size) => {
      for (const partition of readings.slice(0, 3)) add(turn, partition, `${id} ${'x'.repeat(size())}`)
      add(turn, secret[id % secret.length], `${id}`)
    })
    expectWhole(copies)
  })

  it('records that are to be kept together are there all or none, whatever their topics', async () => {
    const copies = await copiesAfterPowerCuts((turn, { readings }, id, size) => {
      expect(turn.keepTogether(90_000)).toBe(true)
      for (const partition of readings) add(turn, partition, `${id} ${'x'.repeat(size())}`)
    })
    expectWhole(copies)
  })
})

describe('records that are to be kept together', () => {
  it('are refused together', async () => {
    const { node, readings } = await open()
    const turn = node.broker.turn()
    turn.keepTogether(1_000)
    add(turn, readings[0], 'a')
    add(turn, readings[1], 'b')
    const told = listen(turn)
    const lost = readings[1] as Partition
    lost.log.isDeleted = true
    await node.world.run(() => told.length > 0)
    expect([told, readings[0]?.log.logEndOffset]).toEqual([['UNKNOWN_TOPIC_OR_PARTITION'], 0])
  })

  it('do not begin in one set and end in the next', async () => {
    const { node, readings } = await open(2, { 'max.message.bytes': '10000000' })
    const turn = node.broker.turn()
    const mebibyte = 'x'.repeat(1_048_576)
    add(turn, readings[0], mebibyte)
    add(turn, readings[0], 'x'.repeat(900_000))
    expect(turn.keepTogether(2_200_000)).toBe(true)
    add(turn, readings[0], mebibyte)
    add(turn, readings[1], mebibyte)
    const lost = readings[1] as Partition
    const told = listen(turn)
    lost.log.isDeleted = true
    await node.world.run(() => told.length > 0)
    // What was in the turn before them is a set of its own.
    expect([told, readings[0]?.log.logEndOffset]).toEqual([['UNKNOWN_TOPIC_OR_PARTITION'], 2])
  })

  it('are no more than a set takes', async () => {
    const { node } = await open()
    expect(node.broker.turn().keepTogether(3_145_729)).toBe(false)
  })
})
