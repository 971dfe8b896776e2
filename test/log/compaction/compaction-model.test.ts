import { describe, expect, test } from 'vitest'
import type { CompressionCodec, Ports } from '../../../src/base/ports.ts'
import type { LogConfig } from '../../../src/log/log-config.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import { encodeControlRecordKey, encodeEndTransactionValue } from '../../../src/protocol/records/control-record.ts'
import { recordsOf } from '../../../src/protocol/records/record.ts'
import {
  batchBaseOffset,
  batchIsControl,
  batchLastOffset,
  batchLastSequence,
  batchProducerId,
} from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import type { SimHost } from '../../sim/host.ts'
import type { Prng } from '../../sim/prng.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { createSmall, openSmall, readAll } from '../log-fixture.ts'
import { append, eagerConfig, followHighWatermark, keyedBatch, type KeyedRecord, textOf } from './compaction-fixture.ts'

const dayMs = 86_400_000
const codecs: readonly CompressionCodec[] = ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd']

interface ModelRecord extends KeyedRecord {
  readonly offset: number
  readonly batch: number
  readonly timestampMs: number
  /** How its transaction ended; `none` = it was in none, `open` = not yet. */
  outcome: 'none' | 'open' | 'commit' | 'abort'
}

/** What is appended, and what a log compacted by the rules holds of it: the slow and simple way. */
class Model {
  records: ModelRecord[] = []
  /** By batch: from when on its tombstones go. */
  readonly #horizons = new Map<number, number>()

  /** A pass over everything below `endOffset` at a time. */
  compact(endOffset: number, nowMs: number): void {
    const decided = this.records.filter((record) => record.offset < endOffset && record.outcome !== 'abort')
    const last = new Map(decided.map((record) => [record.key, record.offset]))
    this.records = this.records.filter((record) => {
      if (record.offset >= endOffset) return true
      if (record.outcome === 'abort' || record.key === null || last.get(record.key) !== record.offset) return false
      return record.value !== null || nowMs < (this.#horizons.get(record.batch) ?? Number.POSITIVE_INFINITY)
    })
    for (const { offset, value, batch } of this.records)
      if (offset < endOffset && value === null && !this.#horizons.has(batch)) this.#horizons.set(batch, nowMs + dayMs)
  }

  get texts(): string[] {
    const bytes = (text: string | null): Uint8Array | null => (text === null ? null : Buffer.from(text))
    return this.records.map(({ offset, key, value }) => textOf({ offset, key: bytes(key), value: bytes(value) }))
  }
}

class Run {
  readonly #world: SimWorld
  readonly #host: SimHost
  readonly #prng: Prng
  readonly #model = new Model()
  readonly #lastSequences = new Map<number, number>()
  readonly #withTransactions: boolean
  #ports: Ports
  #directory!: LogDirectory
  #log!: UnifiedLog
  #batches = 0
  #payload = 0

  readonly #mutant: Partial<LogConfig>

  /** `mutant`: settings that the log goes by and the model does not. */
  constructor(seed: number, mutant: Partial<LogConfig> = {}) {
    this.#mutant = mutant
    this.#world = simWorld(seed)
    this.#host = this.#world.host('edge')
    this.#prng = this.#world.prng.fork('compaction')
    this.#withTransactions = this.#prng.chance(0.5)
    this.#ports = this.#host.boot()
  }

  async rounds(count: number): Promise<void> {
    await this.#open()
    for (let round = 0; round < count; round++) {
      await this.#appendSome()
      await this.#world.settle(this.#directory.compactor.compact())
      const endOffset = this.#directory.compactor.firstDirtyOffset(this.#log)
      if (!this.#withTransactions) expect(endOffset).toBe(this.#log.activeSegment.baseOffset)
      this.#model.compact(endOffset, this.#ports.clock.wallMs())
      await this.#world.settle(this.#check())
      if (this.#prng.chance(0.4)) await this.#world.runFor(2 * dayMs)
      if (this.#prng.chance(0.4)) await this.#reopen()
    }
  }

  async #open(): Promise<void> {
    const compaction = {
      backoffMs: 1e11,
      mapBytesMax: this.#prng.chance(0.4) ? 24 * 7 : 1_000_000,
      bytesPerSecond: 1e9,
    }
    const options = {
      compaction,
      producerExpirationMs: Number.POSITIVE_INFINITY,
      tailCacheBytes: this.#prng.chance(0.5) ? 0 : 8192,
    }
    this.#directory = await this.#world.settle(openSmall(this.#ports, options))
    this.#log = await this.#world.settle(
      createSmall(this.#directory, 'a', { ...eagerConfig, deleteRetentionMs: dayMs, ...this.#mutant }),
    )
    followHighWatermark(this.#log)
  }

  async #reopen(): Promise<void> {
    await this.#world.settle(this.#directory.close())
    this.#host.kill()
    this.#ports = this.#host.boot()
    await this.#open()
    await this.#world.settle(this.#check())
  }

  async #appendSome(): Promise<void> {
    const batches = 10 + this.#prng.below(40)
    for (let index = 0; index < batches; index++) {
      if (this.#withTransactions && this.#prng.chance(0.2)) await this.#transaction()
      else await this.#append({ producerId: this.#prng.chance(0.3) ? 100 + this.#prng.below(3) : -1 })
      if (this.#prng.chance(0.5)) await this.#world.runFor(20)
    }
    await this.#world.runFor(200)
  }

  async #append(producer: { readonly producerId: number; readonly isTransactional?: boolean }): Promise<void> {
    const records = Array.from({ length: 1 + this.#prng.below(6) }, () => this.#record())
    const { producerId } = producer
    const baseSequence = producerId < 0 ? -1 : (this.#lastSequences.get(producerId) ?? -1) + 1
    if (producerId >= 0) this.#lastSequences.set(producerId, baseSequence + records.length - 1)
    const fields = { ...producer, producerEpoch: producerId < 0 ? -1 : 0, baseSequence, codec: this.#prng.pick(codecs) }
    const baseOffset = append(this.#directory, this.#log, await keyedBatch(records, fields, this.#ports.compute))
    const batch = this.#batches++
    const outcome = producer.isTransactional === true ? 'open' : 'none'
    records.forEach((record, index) =>
      this.#model.records.push({ ...record, offset: baseOffset + index, batch, outcome }),
    )
  }

  #record(): KeyedRecord & { readonly timestampMs: number } {
    const timestampMs = 1_000_000 + this.#prng.below(500)
    // Some keys come often, some so rarely that their tombstones see several passes.
    const name = this.#prng.chance(0.7) ? `k${this.#prng.below(12)}` : `r${this.#prng.below(200)}`
    const key = this.#prng.chance(0.05) ? null : name
    const value = this.#prng.chance(0.2) ? null : `${this.#payload++}`.padEnd(this.#prng.below(200), 'v')
    return { key, value, timestampMs }
  }

  /** Some batches of one producer between others', and a marker. */
  async #transaction(): Promise<void> {
    const producerId = 500 + this.#prng.below(2)
    const first = this.#model.records.at(-1)?.offset ?? -1
    for (let index = this.#prng.below(4); index >= 0; index--) {
      await this.#append({ producerId, isTransactional: true })
      if (this.#prng.chance(0.5)) await this.#append({ producerId: -1 })
    }
    const type = this.#prng.chance(0.5) ? 'ABORT' : 'COMMIT'
    const builder = new RecordBatchBuilder()
    builder.append(1000, encodeControlRecordKey(type), encodeEndTransactionValue(1), null)
    const marker = builder.build({ producerId, producerEpoch: 0, isControl: true, isTransactional: true })
    append(this.#directory, this.#log, marker)
    for (const record of this.#model.records)
      if (record.offset > first && record.outcome === 'open') record.outcome = type === 'ABORT' ? 'abort' : 'commit'
  }

  async #check(): Promise<void> {
    const log = this.#log
    const batches = await readAll(log, log.durableEndOffset, 700)
    const texts: string[] = []
    const sequences = new Map<number, number>()
    for (const batch of batches) {
      if (batchIsControl(batch)) continue
      sequences.set(batchProducerId(batch), batchLastSequence(batch))
      for (const record of await recordsOf(batch, this.#ports.compute, 1_048_576)) texts.push(textOf(record))
    }
    expect(texts).toEqual(this.#model.texts)
    for (const [producerId, sequence] of this.#lastSequences)
      expect(
        sequences.get(producerId),
        `producer ${producerId} ${JSON.stringify(this.#log.producers.get(producerId))}`,
      ).toBe(sequence)
    await this.#checkPlaces(batches)
    await this.#checkTimes()
  }

  /** Whatever offset a reader asks for, it gets the batch that holds it or the next one. */
  async #checkPlaces(batches: readonly Uint8Array[]): Promise<void> {
    const { logStartOffset, durableEndOffset } = this.#log
    for (let probe = 0; probe < 20; probe++) {
      const fromOffset = logStartOffset + this.#prng.below(durableEndOffset - logStartOffset)
      const expected = batches.find((batch) => batchLastOffset(batch) >= fromOffset) as Uint8Array
      const request = { fromOffset, endOffset: durableEndOffset, bytesMax: 1, minOneBatch: true }
      const hot = this.#log.readHot(request)
      const read =
        hot === null || (hot.kind === 'batches' && hot.bytes.length === 0) ? await this.#log.read(request) : hot
      expect(read.kind).toBe('batches')
      if (read.kind !== 'batches') continue
      const places = `asked ${fromOffset}, hot ${hot !== null}, expected ${batchBaseOffset(expected)}-${batchLastOffset(expected)}`
      expect(
        Buffer.from(read.bytes).equals(expected),
        `${places}, got ${read.bytes.length && batchBaseOffset(read.bytes)}+${read.bytes.length} of ${expected.length}`,
      ).toBe(true)
    }
  }

  async #checkTimes(): Promise<void> {
    const control = (await readAll(this.#log))
      .filter((batch) => batchIsControl(batch))
      .map((batch) => batchLastOffset(batch))
    const { records } = this.#model
    for (let probe = 0; probe < 5; probe++) {
      const timestampMs = 1_000_000 + this.#prng.below(520)
      const found = await this.#log.offsetForTimestamp(timestampMs)
      const expected = records.find((record) => record.timestampMs >= timestampMs)
      if (found !== null && control.includes(found.offset)) continue
      expect(found?.offset).toBe(expected?.offset)
    }
    const greatest = await this.#log.offsetOfMaxTimestamp()
    const expected = Math.max(...records.map((record) => record.timestampMs))
    expect(greatest?.timestampMs).toBe(expected)
  }
}

describe('a compacted log', () => {
  test('holds what a naive model holds: records, sequences, places, times (40 seeds)', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      try {
        await new Run(seed).rounds(5)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
  })

  test('is told from one whose tombstones go early, or late, or that leaves young records alone', async () => {
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
    for (const mutant of [
      { deleteRetentionMs: 0 },
      { deleteRetentionMs: 5 * dayMs },
      { minCompactionLagMs: Number.MAX_SAFE_INTEGER },
    ]) {
      const rounds = async (): Promise<void> => {
        for (const seed of seeds) await new Run(seed, mutant).rounds(5)
      }
      await expect(rounds(), JSON.stringify(mutant)).rejects.toThrow()
    }
  })
})
