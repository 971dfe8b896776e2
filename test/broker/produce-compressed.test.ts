/** Produce of what needs a codec first: the answers, and the order of appends. */
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { CompressionCodec, Compute } from '../../src/base/ports.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import { errorName } from '../../src/protocol/kafka/error-codes.ts'
import type { ProduceResponseInput } from '../../src/protocol/kafka/messages/produce.ts'
import { batchCodec } from '../../src/protocol/records/record-batch.ts'
import { recordsOf } from '../../src/protocol/records/record.ts'
import { batchOf as handMade } from '../attack/batch-bytes.ts'
import { batchOf } from '../log/log-fixture.ts'
import { newWorld } from './admin-world.ts'
import {
  batchesOf,
  clientOf,
  compressedBatch,
  dropTopic,
  makeTopic,
  openRecords,
  produced,
  produceRequest,
  type ProduceOptions,
  type RecordWorld,
} from './record-world.ts'

/** A Compute port whose codecs wait until they are let go, in any order. */
class HeldCompute implements Compute {
  readonly waiting: (() => void)[] = []
  readonly #real: Compute

  constructor(real: Compute) {
    this.#real = real
  }

  async compress(...job: Parameters<Compute['compress']>): Promise<Uint8Array> {
    await this.#held()
    return this.#real.compress(...job)
  }

  async decompress(...job: Parameters<Compute['decompress']>): Promise<Uint8Array> {
    await this.#held()
    return this.#real.decompress(...job)
  }

  async unpack<T>(
    codec: CompressionCodec,
    bytes: Uint8Array,
    bytesMax: number,
    use: (output: Uint8Array) => T | Promise<T>,
  ): Promise<T> {
    await this.#held()
    return this.#real.unpack(codec, bytes, bytesMax, use)
  }

  deriveKey(...job: Parameters<Compute['deriveKey']>): Promise<Uint8Array> {
    return this.#real.deriveKey(...job)
  }

  gssAcceptor(...job: Parameters<Compute['gssAcceptor']>): ReturnType<Compute['gssAcceptor']> {
    return this.#real.gssAcceptor(...job)
  }

  gssInitiator(...job: Parameters<Compute['gssInitiator']>): ReturnType<Compute['gssInitiator']> {
    return this.#real.gssInitiator(...job)
  }

  tokenKeys(...job: Parameters<Compute['tokenKeys']>): ReturnType<Compute['tokenKeys']> {
    return this.#real.tokenKeys(...job)
  }

  #held(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }
}

interface World {
  readonly node: RecordWorld
  readonly readings: readonly Partition[]
  readonly compute: HeldCompute
}

async function open(configs: Readonly<Record<string, string>> = {}): Promise<World> {
  const place = newWorld()
  const ports = place.host.boot()
  const compute = new HeldCompute(ports.compute)
  const node = await openRecords(place, { ports: { ...ports, compute } })
  return { node, readings: await makeTopic(node, 'readings', 2, configs), compute }
}

interface State {
  answer: ProduceResponseInput | null | undefined
}

function send(
  { node }: World,
  batches: Parameters<typeof produceRequest>[0],
  options: ProduceOptions & { readonly connectionId?: number } = {},
): State {
  const state: State = { answer: undefined }
  const request = produceRequest(batches, options)
  void Promise.resolve(node.broker.produce(request, clientOf(12, options.connectionId))).then((answer) => {
    state.answer = answer
  })
  return state
}

/** What every partition's log holds, whether it is durable or not. */
async function answers({ node }: World, ...states: readonly State[]): Promise<readonly (readonly string[])[]> {
  await node.world.run(() => states.every(({ answer }) => answer !== undefined))
  return states.map(({ answer }) => produced(answer ?? null))
}

async function letGo({ node, compute }: World, ...places: readonly number[]): Promise<void> {
  for (const place of places) compute.waiting[place]?.()
  await node.world.runFor(50)
}

describe('requests of one connection', () => {
  it('are appended in their order while a batch of the first is being unpacked, and its later ones too', async () => {
    const world = await open()
    const first = send(world, [['readings', 0, await compressedBatch('gzip', ['first'])]])
    const second = send(world, [['readings', 0, batchOf(['second'])]])
    const third = send(world, [['readings', 0, await compressedBatch('zstd', ['third'])]])
    const fourth = send(world, [['readings', 1, batchOf(['fourth'])]])
    await world.node.world.runFor(50)
    expect(world.readings.map(({ log }) => log.logEndOffset)).toEqual([0, 0])
    await letGo(world, 1)
    expect(world.readings.map(({ log }) => log.logEndOffset)).toEqual([0, 0])
    await letGo(world, 0)
    expect(await answers(world, first, second, third, fourth)).toEqual([
      ['readings-0: 0'],
      ['readings-0: 1'],
      ['readings-0: 2'],
      ['readings-1: 0'],
    ])
  })

  it('are appended at once again when nothing is being unpacked', async () => {
    const world = await open()
    const first = send(world, [['readings', 0, await compressedBatch('gzip', ['first'])]])
    await letGo(world, 0)
    await answers(world, first)
    send(world, [['readings', 0, batchOf(['second'])]])
    expect(world.readings[0]?.log.logEndOffset).toBe(2)
  })

  it('do not hold those of another', async () => {
    const world = await open()
    const slow = send(world, [['readings', 0, await compressedBatch('gzip', ['slow'])]], { connectionId: 1 })
    const quick = send(world, [['readings', 0, batchOf(['quick'])]], { connectionId: 2 })
    expect(await answers(world, quick)).toEqual([['readings-0: 0']])
    await letGo(world, 0)
    expect(await answers(world, slow)).toEqual([['readings-0: 1']])
  })

  it('wait for a refused one no longer than it takes to refuse it', async () => {
    const world = await open()
    const lies = await compressedBatch('gzip', ['lies'])
    lies[lies.length - 1] = (lies.at(-1) as number) ^ 1
    const broken = send(world, [['readings', 0, lies]])
    const good = send(world, [['readings', 0, batchOf(['good'])]])
    expect(await answers(world, broken, good)).toEqual([['readings-0: CORRUPT_MESSAGE'], ['readings-0: 0']])
  })

  it('keep the sequences of an idempotent producer', async () => {
    const world = await open()
    const sequenced = (baseSequence: number, text: string): Uint8Array =>
      batchOf([text], { producerId: 7, producerEpoch: 0, baseSequence })
    const first = send(world, [
      ['readings', 0, sequenced(0, 'a')],
      ['readings', 1, await compressedBatch('lz4', ['beside'])],
    ])
    const second = send(world, [['readings', 0, sequenced(1, 'b')]])
    await letGo(world, 0)
    expect(await answers(world, first, second)).toEqual([['readings-0: 0', 'readings-1: 0'], ['readings-0: 1']])
  })

  it('with acks=0 are not answered before they are appended, so that their memory stays counted', async () => {
    const world = await open()
    const state = send(world, [['readings', 0, await compressedBatch('gzip', ['a'])]], { acks: 0 })
    await world.node.world.runFor(50)
    expect(state.answer).toBeUndefined()
    await letGo(world, 0)
    expect([state.answer, world.readings[0]?.log.logEndOffset]).toEqual([null, 1])
  })

  it('are answered when their topic goes meanwhile', async () => {
    const world = await open()
    const state = send(world, [['readings', 0, await compressedBatch('gzip', ['a'])]])
    await dropTopic(world.node, 'readings')
    await letGo(world, 0)
    expect(await answers(world, state)).toEqual([['readings-0: UNKNOWN_TOPIC_OR_PARTITION']])
  })
})

describe('the answer', () => {
  it('names the records that are at fault, and appends none of the batch', async () => {
    const node = await openRecords()
    const [partition] = await makeTopic(node, 'readings', 1, { 'message.timestamp.before.max.ms': '1000' })
    const nowMs = node.ports.clock.wallMs()
    for (const batch of [
      batchOf(['old'], { timestampMs: nowMs - 5_000 }),
      await compressedBatch('zstd', ['old', 'too'], { timestampMs: nowMs - 5_000 }),
    ]) {
      const answer = await node.settle(node.broker.produce(produceRequest([['readings', 0, batch]]), clientOf()))
      const [told] = answer?.responses?.[0]?.partitionResponses ?? []
      expect([errorName(told?.errorCode ?? 0), told?.baseOffset]).toEqual(['INVALID_TIMESTAMP', -1])
      expect(told?.recordErrors?.[0]?.batchIndex).toBe(0)
      expect(told?.recordErrors?.[0]?.batchIndexErrorMessage).toMatch(/message\.timestamp\.before\.max\.ms/)
      expect(told?.errorMessage).toMatch(/records are refused/)
    }
    expect(partition?.log.logEndOffset).toBe(0)
  })

  it('of one partition is not spoilt by the batch of another', async () => {
    const node = await openRecords()
    await makeTopic(node, 'readings', 2)
    const noRecords = handMade([], { attributes: 1, body: gzipSync('no records'), count: 2, lastOffsetDelta: 1 })
    const request = produceRequest([
      ['readings', 0, noRecords],
      ['readings', 1, await compressedBatch('snappy', ['good'])],
    ])
    expect(produced(await node.settle(node.broker.produce(request, clientOf())))).toEqual([
      'readings-0: INVALID_RECORD',
      'readings-1: 0',
    ])
  })
})

/** Codec and values of each batch of a log, in order. */
async function stored(node: RecordWorld, partition: Partition): Promise<readonly string[]> {
  const found: string[] = []
  for (let at = 0; at < partition.highWatermark; ) {
    const read = await node.settle(node.broker.readTailCold(partition, at, 1))
    if (read.kind !== 'batches') throw new Error(read.kind)
    const records = await recordsOf(read.bytes, node.ports.compute, 1_000_000)
    found.push(
      `${batchCodec(read.bytes)}: ${records.map(({ value }) => Buffer.from(value ?? []).toString()).join(' ')}`,
    )
    at = (records.at(-1)?.offset ?? at) + 1
  }
  return found
}

describe('compression.type', () => {
  it.each(['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'])(
    '%s says how batches of Kafka clients and of MQTT are stored',
    async (type) => {
      const node = await openRecords()
      const [partition] = await makeTopic(node, 'readings', 1, { 'compression.type': type })
      for (const batch of [batchOf(['plain']), await compressedBatch('gzip', ['packed', 'too'])])
        await node.settle(node.broker.produce(produceRequest([['readings', 0, batch]]), clientOf()))
      const turn = node.broker.turn()
      for (const value of ['from', 'MQTT']) turn.append(partition as Partition, 1_000, null, Buffer.from(value), null)
      await node.settle(new Promise<void>((resolve) => turn.onSettled(() => resolve())))
      const codec = type === 'uncompressed' ? 'none' : type
      const [plain, packed, own] = type === 'producer' ? ['none', 'gzip', 'none'] : [codec, codec, codec]
      expect(await stored(node, partition as Partition)).toEqual([
        `${plain}: plain`,
        `${packed}: packed too`,
        `${own}: from MQTT`,
      ])
    },
  )

  it('keeps the order of turns, and settles each when it is durable', async () => {
    const world = await open({ 'compression.type': 'zstd' })
    const [plain] = await makeTopic(world.node, 'plain')
    const settled: string[] = []
    for (const [partition, name] of [
      [world.readings[0], 'first'],
      [world.readings[0], 'second'],
      [plain, 'third'],
    ] as const) {
      const turn = world.node.broker.turn()
      turn.append(partition as Partition, 1_000, null, Buffer.from(name), null)
      turn.onSettled((error) => settled.push(`${name} ${error}`))
      await world.node.world.runFor(50)
    }
    expect(world.node.broker.pendingBytes).toBeGreaterThan(0)
    await letGo(world, 1)
    expect([settled, world.readings[0]?.log.logEndOffset, plain?.log.logEndOffset]).toEqual([[], 0, 0])
    await letGo(world, 0)
    expect(settled).toEqual(['first null', 'second null', 'third null'])
    expect(world.node.broker.pendingBytes).toBe(0)
    expect(await batchesOf(world.node, plain as Partition)).toEqual([['third']])
  })

  it('changes for the batches that come after, by the broker’s default too', async () => {
    const node = await openRecords(undefined, {
      settings: { 'compression.type': 'lz4', 'compression.zstd.level': '1' },
    })
    const [partition] = await makeTopic(node, 'readings')
    await node.settle(node.broker.produce(produceRequest([['readings', 0, batchOf(['a'])]]), clientOf()))
    expect(await stored(node, partition as Partition)).toEqual(['lz4: a'])
    expect(partition?.log.config.compressionLevels).toEqual({ gzip: -1, zstd: 1 })
  })
})
