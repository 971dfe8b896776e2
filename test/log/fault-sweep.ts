/**
 * A scripted history of one directory (appends by journal and direct, rolls, retention, DeleteRecords, compaction, checkpoints, scrub, logs that
 * come and go, stops and starts, clean and not), in which one operation of the disk fails, whichever it is, with whatever code; and what
 * must be true whatever that does.
 */
import { expect } from 'vitest'
import type { LogConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { batchSizeInBytes } from '../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../src/protocol/records/record.ts'
import { type FaultyOperation, refusalCodes } from '../sim/disk-faults.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { followHighWatermark } from './compaction/compaction-fixture.ts'
import { batchOf, openSmall, smallConfig } from './log-fixture.ts'

export const faultCodes = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO', 'EACCES', 'EMFILE'] as const
export type FaultCode = (typeof faultCodes)[number]

const spaceCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
/** What takes room: it goes on failing while there is none. */
const growing: ReadonlySet<string> = new Set(['write', 'copy', 'writeFile', 'rename', 'makeDirectory', 'reserve'])
const options = {
  ...{ checkpointEveryBytes: 5000, filesSyncedAlone: 2 },
  // Where more than one file is dirty the journal keeps the bytes of the others.
  ...{ filesWrittenAtOnce: 1, heldBytesPerLog: 2000, heldBytesMax: 20_000 },
  scrub: { bytesPerSecond: 1_000_000, everyMs: 86_400_000 },
}

/** What was answered as appended and as durable, of all lives so far. */
interface Told {
  readonly batches: Map<number, Uint8Array>
  durableEnd: number
  /** Where retention and DeleteRecords had moved the start, at most. */
  start: number
  /** Its deletion was asked for: it may be there or not, or be another one. */
  isDoomed: boolean
}

export interface SweepOutcome {
  /** `kind file`, in the order in which they were run. */
  readonly operations: readonly string[]
  readonly wasHit: boolean
}

export interface SweepFault {
  readonly index: number
  readonly code: FaultCode
  /** The process dies with the fault, and the next one finds a disk without a free byte. */
  readonly thenFull?: boolean
  /** What breaks the engine on purpose. */
  readonly mutant?: (directory: LogDirectory) => void
}

/** Runs the history with one fault, or none; throws when a promise is broken. */
export function sweep(fault: SweepFault | null): Promise<SweepOutcome> {
  return new Sweep(fault).run()
}

class Sweep {
  readonly #fault: SweepFault | null
  readonly #world: SimWorld = simWorld(77)
  readonly #host: SimHost = this.#world.host('edge')
  readonly #told = new Map<string, Told>()
  readonly #operations: string[] = []
  #isArmed = true
  #wasHit = false
  #hitAtMs = Number.POSITIVE_INFINITY
  #hitPath = ''
  #count = 0
  #life = 0

  constructor(fault: SweepFault | null) {
    this.#fault = fault
    const { faults } = this.#host
    faults.codeFor = (operation, path) => this.#codeFor(operation, path)
  }

  async run(): Promise<SweepOutcome> {
    await this.#live(async (directory) => {
      await this.#work(directory, 14)
      await this.#settle(directory.close())
    })
    await this.#live((directory) => this.#work(directory, 7))
    await this.#live(async (directory) => {
      await this.#work(directory, 5)
      await this.#settle(directory.close())
    })
    await this.#last()
    return { operations: this.#operations, wasHit: this.#wasHit }
  }

  #codeFor(operation: FaultyOperation, path: string): string | null {
    // A folder that is there is answered without a look at the room or the mount.
    const isThere = operation === 'makeDirectory' && this.#host.image.find(path) !== null
    if (operation === 'read' || operation === 'readFile' || isThere) return null
    if (operation === 'access') return this.#isRefused(path) ? (this.#fault?.code ?? null) : null
    const index = this.#count++
    if (this.#isArmed) this.#operations.push(`${operation} ${nameOf(path)}`)
    const fault = this.#fault
    if (fault === null || !this.#isArmed) return null
    if (index === fault.index) {
      this.#wasHit = true
      this.#hitPath = path
      this.#hitAtMs = this.#world.nowMs
      return fault.code
    }
    if (!this.#wasHit || fault.code === 'EIO') return null
    if (fault.code === 'EROFS') return this.#world.nowMs < this.#hitAtMs + 60_000 ? fault.code : null
    if (refusalCodes.has(fault.code)) return this.#isRefused(path) ? fault.code : null
    return this.#isShort && growing.has(operation) ? fault.code : null
  }

  get #isShort(): boolean {
    return this.#world.nowMs < this.#hitAtMs + 2_500
  }

  #isRefused(path: string): boolean {
    return (
      this.#isArmed &&
      this.#wasHit &&
      this.#isShort &&
      path === this.#hitPath &&
      refusalCodes.has(this.#fault?.code ?? '')
    )
  }

  /** One life; the fault may keep it from beginning. */
  async #live(body: (directory: LogDirectory) => Promise<void>): Promise<void> {
    this.#life++
    const isSpace = this.#fault !== null && spaceCodes.has(this.#fault.code)
    let directory: LogDirectory | null = null
    const opened = await this.#settle(openSmall(this.#host.boot(), options).then((each) => void (directory = each)))
    if (opened !== null) {
      expect(this.#wasHit, `life ${this.#life} does not open: ${opened.message}`).toBe(true)
      // A lack of room is no reason not to start, but where nothing was there yet.
      if (isSpace && this.#told.size > 0 && !this.#failedSync()) throw opened
      this.#host.kill()
      return
    }
    const here = directory as unknown as LogDirectory
    this.#fault?.mutant?.(here)
    await body(here)
    await this.#look(here)
    const failed = this.#host.observer.eventsOf('log-directory-failed')
    if (isSpace && !this.#failedSync()) expect(failed, 'a lack of room fails nothing').toEqual([])
    if (refusalCodes.has(this.#fault?.code ?? '')) expect(failed, 'a refusal fails nothing').toEqual([])
    if (failed.length > 0) expect(this.#wasHit).toBe(true)
    if (this.#life % 2 === 0) this.#host.powerCut()
    else this.#host.kill()
    if (this.#wasHit && this.#fault?.thenFull === true) await this.#onFullDisk()
    // A read-only file system is mounted anew.
    if (this.#wasHit) this.#isArmed = false
  }

  #failedSync(): boolean {
    return this.#operations[this.#fault?.index ?? -1]?.startsWith('sync') === true
  }

  /** A start without a free byte: it opens, everything can be read, and it goes on when there is room. */
  async #onFullDisk(): Promise<void> {
    const { image } = this.#host
    this.#isArmed = false
    image.capacityBytes = image.usedBytes
    let directory: LogDirectory | null = null
    const opening = openSmall(this.#host.boot(), options).then((each) => void (directory = each))
    await this.#settle(opening, 3_000)
    if (directory !== null) await this.#look(directory)
    image.capacityBytes = Number.POSITIVE_INFINITY
    expect(await this.#settle(opening, 20_000)).toBeNull()
    const here = directory as unknown as LogDirectory
    await this.#goesOn(here)
    await this.#settle(here.close())
    this.#host.kill()
  }

  async #work(directory: LogDirectory, count: number): Promise<void> {
    const log = await this.#logOf(directory, 'a', { segmentBytes: 3000, retentionBytes: 9000, fileDeleteDelayMs: 30 })
    const compacted = new Set(['compact'] as const)
    const kept = await this.#logOf(directory, 'k', {
      segmentBytes: 1500,
      cleanupPolicy: compacted,
      minCleanableDirtyRatio: 0,
    })
    const passing = await this.#logOf(directory, 'x', { preallocate: true, segmentBytes: 4000 })
    for (let step = 0; step < count; step++) {
      if (log !== null) this.#append(directory, [log], `${step}`.padEnd(step % 5 === 3 ? 1200 : 250, '.'), `a${step}`)
      if (log !== null && kept !== null)
        this.#append(directory, [log, kept], `${step}`.padEnd(200, '+'), `k${step % 4}`)
      if (passing !== null && step % 3 === 0) this.#append(directory, [passing], 'passes', 'x')
      await this.#world.runFor(step % 2 === 0 ? 12 : 1)
      if (step === 6) void directory.retain().catch(() => {})
      if (step === 8) await this.#settle(directory.compactor.compact())
      if (step === 9 && passing !== null) {
        this.#tell(passing).isDoomed = true
        void directory.deleteLog(passing).catch(() => {})
      }
      if (step === 10 && log !== null) await this.#deleteRecords(log)
      if (step === 11) await this.#settle(directory.scrubber.scrub())
    }
    // A lack of room ends by itself.
    const isWell = (): boolean =>
      directory.failure !== null ||
      [...directory.logs.values()].every((each) => each.durableEndOffset === each.logEndOffset)
    await this.#world.run(isWell, 15_000)
    await this.#world.runFor(60)
  }

  async #logOf(directory: LogDirectory, topic: string, config: Partial<LogConfig>): Promise<UnifiedLog | null> {
    let made: UnifiedLog | null = null
    const topicId = directory.logs.get(`${topic}-0`)?.topicId ?? freshId(topic, this.#life)
    const creation = { topic, partition: 0, topicId, config: { ...smallConfig, ...config } }
    await this.#settle(directory.createLog(creation).then((each) => void (made = each)))
    const log = made as UnifiedLog | null
    if (log === null) return null
    followHighWatermark(log)
    const told = this.#tell(log)
    const onDurable = log.onDurable
    log.onDurable = () => {
      onDurable?.()
      told.durableEnd = Math.max(told.durableEnd, log.durableEndOffset)
    }
    return log
  }

  #tell(log: UnifiedLog): Told {
    const key = `${log.key} ${log.directory}`
    const told = this.#told.get(key) ?? { batches: new Map(), durableEnd: 0, start: 0, isDoomed: false }
    this.#told.set(key, told)
    return told
  }

  #append(directory: LogDirectory, logs: readonly UnifiedLog[], text: string, key: string): void {
    const entries = logs.map((log) => ({
      ...{ log, batch: batchOf([text], { key }), leaderEpoch: this.#life, origin: 'client' as const },
    }))
    const outcomes = directory.appendSet(entries)
    for (const [index, outcome] of outcomes.entries()) {
      const { log, batch } = entries[index] as (typeof entries)[number]
      if (outcome.kind !== 'appended') continue
      const told = this.#tell(log)
      // What was never durable may be given again.
      for (const offset of told.batches.keys()) if (offset >= outcome.baseOffset) told.batches.delete(offset)
      told.batches.set(outcome.baseOffset, batch.slice())
    }
  }

  async #deleteRecords(log: UnifiedLog): Promise<void> {
    const offset = Math.min(log.highWatermark, log.logStartOffset + 2)
    this.#tell(log).start = Math.max(this.#tell(log).start, offset)
    await this.#settle(log.deleteRecordsBefore(offset))
  }

  /** Everything that was answered as durable can be read, as it was written; nothing else can. */
  async #look(directory: LogDirectory): Promise<void> {
    for (const log of directory.logs.values()) {
      const told = this.#tell(log)
      told.start = Math.max(told.start, log.logStartOffset)
      expect(log.damage.ranges, `life ${this.#life}, ${log.key}`).toEqual([])
      const found = new Map<number, Uint8Array>()
      for (let offset = log.logStartOffset; offset < log.durableEndOffset; ) {
        const request = { fromOffset: offset, endOffset: log.durableEndOffset, bytesMax: 5000, minOneBatch: true }
        const read = log.readHot(request) ?? (await this.#world.settle(log.read(request)))
        if (read.kind !== 'batches') throw new Error(`${log.key} at ${offset}: ${read.kind}`)
        if (read.bytes.length === 0) break
        for (let at = 0; at < read.bytes.length; at += batchSizeInBytes(read.bytes, at)) {
          forEachRecord(read.bytes, at, ({ offset: of }) => {
            found.set(of, read.bytes.slice(at, at + batchSizeInBytes(read.bytes, at)))
            return true
          })
          const view = Buffer.from(read.bytes.buffer, read.bytes.byteOffset + at)
          offset = Number(view.readBigInt64BE(0)) + view.readInt32BE(23) + 1
        }
      }
      this.#compare(log, told, found)
    }
  }

  #compare(log: UnifiedLog, told: Told, found: ReadonlyMap<number, Uint8Array>): void {
    if (told.isDoomed) return
    expect(log.durableEndOffset, `life ${this.#life}, ${log.key}: what was durable`).toBeGreaterThanOrEqual(
      told.durableEnd,
    )
    for (const [offset, batch] of found) {
      const written = told.batches.get(offset)
      expect(written === undefined ? 'never written' : bodyOf(written), `${log.key} at ${offset}`).toBe(bodyOf(batch))
    }
    const newest = new Map<string, number>()
    for (const [offset, batch] of told.batches) if (offset < told.durableEnd) newest.set(keyOf(batch), offset)
    for (const [offset, batch] of told.batches) {
      // Of a deletion that was cut short an older segment may be back while a newer one is gone.
      const isPast = offset < Math.max(log.logStartOffset, told.start) || offset >= told.durableEnd
      const isCompacted = log.topic === 'k' && newest.get(keyOf(batch)) !== offset
      if (!isPast && !isCompacted) expect(found.has(offset), `${log.key} at ${offset} is there`).toBe(true)
    }
    expect(log.logStartOffset, `${log.key}: its start`).toBeLessThanOrEqual(Math.max(told.start, 0))
  }

  async #last(): Promise<void> {
    this.#isArmed = false
    const directory = await this.#world.settle(openSmall(this.#host.boot(), options))
    await this.#look(directory)
    await this.#goesOn(directory)
    await this.#world.settle(directory.close())
    expect(directory.failure).toBeNull()
    expect(this.#host.fileNow('/data/log/.kafka_cleanshutdown')).not.toBeNull()
    this.#host.kill()
    const again = await this.#world.settle(openSmall(this.#host.boot(), options))
    await this.#look(again)
    expect(this.#host.observer.eventsOf('log-segment-missing')).toEqual([])
    await this.#settle(again.scrubber.scrub())
    expect(this.#host.observer.eventsOf('log-damaged')).toEqual([])
  }

  /** Appends are taken and durable. */
  async #goesOn(directory: LogDirectory): Promise<void> {
    await this.#world.run(() => directory.space.refusal === null, 20_000)
    const log = await this.#logOf(directory, 'a', { segmentBytes: 3000 })
    if (log === null) throw new Error('the log cannot be made')
    const end = log.logEndOffset
    this.#append(directory, [log], 'more', 'more')
    expect(log.logEndOffset).toBe(end + 1)
    await this.#world.run(() => log.durableEndOffset === end + 1, 5_000)
  }

  /** Null when it resolved; an error also when it did not end in time. */
  async #settle(work: Promise<unknown>, withinMs = 20_000): Promise<Error | null> {
    let outcome: Error | null | undefined
    work.then(
      () => {
        outcome = null
      },
      (thrown: unknown) => {
        outcome = thrown instanceof Error ? thrown : new Error(String(thrown))
      },
    )
    await this.#world.run(() => outcome !== undefined, withinMs).catch(() => {})
    return outcome === undefined ? new Error('it did not end') : outcome
  }
}

/** No two of them are near each other, as random ones are not: a damaged id is told from another topic's by that. */
function freshId(topic: string, life: number): string {
  return Buffer.from(`${topic}${life}`.repeat(8)).toString('base64url').slice(0, 22)
}

/** A file's name without its numbers. */
function nameOf(path: string): string {
  return path
    .replace(/^\/data\//, '')
    .replace(/\d{20}/, 'N')
    .replace(/\.[0-9a-f]{32}-delete/, '-delete')
}

/** A batch but for what the log fills in. */
function bodyOf(batch: Uint8Array): string {
  return Buffer.from(batch.subarray(17, batchSizeInBytes(batch))).toString('latin1')
}

function keyOf(batch: Uint8Array): string {
  let key = ''
  forEachRecord(batch, 0, (record) => {
    key = Buffer.from(record.key ?? []).toString('latin1')
    return true
  })
  return key
}
