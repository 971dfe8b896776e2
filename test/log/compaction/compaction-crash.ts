/**
 * Crashes in compaction, on the simulated disk. What must hold whatever happened: all that is there was appended, as it is; nothing
 * acknowledged is gone but what a later record of its key replaces; no key comes back behind its tombstone.
 */
import type { Disk, DiskOperation, Ports, SubmitOptions } from '../../../src/base/ports.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import type { SimHost } from '../../sim/host.ts'
import type { Prng } from '../../sim/prng.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { createSmall, openSmall } from '../log-fixture.ts'
import { append, contentOf, eagerConfig, followHighWatermark, keyedBatch } from './compaction-fixture.ts'

export type Mutant = (operations: readonly DiskOperation[]) => readonly DiskOperation[]

const options = {
  tailCacheBytes: 0,
  producerExpirationMs: Number.POSITIVE_INFINITY,
  compaction: { backoffMs: 1e11, bytesPerSecond: 1e9 },
}

interface Appended {
  readonly text: string
  readonly offset: number
  readonly key: string
  readonly isTombstone: boolean
}

export class CompactionCrash {
  readonly world: SimWorld
  readonly host: SimHost
  readonly prng: Prng
  readonly #mutant: Mutant | null
  #appended: Appended[] = []
  #acknowledgedEnd = 0
  #payload = 0
  #swaps = 0
  directory!: LogDirectory
  log!: UnifiedLog
  ports!: Ports

  constructor(seed: number, mutant: Mutant | null) {
    this.world = simWorld(seed)
    this.host = this.world.host('edge')
    this.prng = this.world.prng.fork('compaction')
    this.#mutant = mutant
  }

  /** Swaps submitted since the last start. */
  get swaps(): number {
    return this.#swaps
  }

  boot(): Promise<LogDirectory> {
    this.#swaps = 0
    this.ports = this.#watched(this.host.boot())
    return openSmall(this.ports, options)
  }

  /** Opens the log and checks what is there. */
  async open(): Promise<void> {
    this.directory = await this.world.settle(this.boot())
    this.log = await this.world.settle(
      createSmall(this.directory, 'a', { ...eagerConfig, segmentBytes: 700, deleteRetentionMs: 50 }),
    )
    followHighWatermark(this.log)
    const followed = this.log.onDurable
    this.log.onDurable = () => {
      followed?.()
      this.#acknowledgedEnd = this.log.durableEndOffset
    }
    await this.world.settle(this.#check())
  }

  async append(): Promise<void> {
    const key = `k${this.prng.below(6)}`
    const isTombstone = this.prng.chance(0.25)
    const value = isTombstone ? null : `${this.#payload++}`.padEnd(this.prng.below(150), 'x')
    const offset = append(this.directory, this.log, await keyedBatch([{ key, value }], {}, this.ports.compute))
    this.#appended.push({ text: `${offset} ${key}=${value ?? '-'}`, offset, key, isTombstone })
  }

  /** Begins a pass in which small segments become one. */
  compact(): Promise<void> {
    this.log.updateConfig({ ...this.log.config, segmentBytes: 3000 })
    return this.directory.compactor.compact()
  }

  crash(kind: 'kill' | 'powerCut'): void {
    if (kind === 'kill') this.host.kill()
    else this.host.powerCut()
  }

  async #check(): Promise<void> {
    const { log } = this
    if (!log.damage.isEmpty) throw this.broken(`damaged: ${JSON.stringify(log.damage.ranges)}`)
    const endOffset = log.logEndOffset
    if (endOffset < this.#acknowledgedEnd) throw this.broken(`ends at ${endOffset}, not ${this.#acknowledgedEnd}`)
    this.#appended = this.#appended.filter(({ offset }) => offset < endOffset)
    this.#acknowledgedEnd = endOffset
    const found = await contentOf(log, this.ports.compute, endOffset).catch((error: unknown) => {
      throw this.broken(String(error))
    })
    const known = new Map(this.#appended.map((each) => [each.text, each]))
    const latest = new Map(this.#appended.map((each) => [each.key, each]))
    const present = new Set<string>()
    let previous = -1
    for (const text of found) {
      const record = known.get(text)
      if (record === undefined) throw this.broken(`nobody appended ${text}`)
      if (record.offset <= previous) throw this.broken(`offset ${record.offset} behind ${previous}`)
      previous = record.offset
      present.add(text)
    }
    for (const [key, last] of latest) {
      if (present.has(last.text)) continue
      if (!last.isTombstone) throw this.broken(`lost ${last.text}`)
      const older = this.#appended.find((each) => each.key === key && present.has(each.text))
      if (older !== undefined) throw this.broken(`${older.text} came back behind its tombstone`)
    }
  }

  broken(promise: string): Error {
    return new Error(`seed ${this.world.seed}, ${this.world.nowMs.toFixed(2)} ms: ${promise}`)
  }

  /** The ports, with every group of disk operations counted and sent through the mutant. */
  #watched(ports: Ports): Ports {
    const disk: Disk = new Proxy(ports.disk, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (name !== 'submit') return typeof value === 'function' ? value.bind(target) : value
        return (operations: readonly DiskOperation[], submitOptions?: SubmitOptions) => {
          if (operations.some(isSwap)) this.#swaps++
          return target.submit(this.#mutant?.(operations) ?? operations, submitOptions)
        }
      },
    })
    return { ...ports, disk }
  }
}

export function isSwap(operation: DiskOperation): boolean {
  return operation.kind === 'rename' && operation.to.endsWith('.log.swap')
}

/**
 * Crashes right behind the given operation of the first swap, and once more in the start that follows when `again` is not null (so
 * many milliseconds after it began). Every operation takes a millisecond.
 */
export async function crashInSwap(
  at: { readonly operation: number; readonly kind: 'kill' | 'powerCut'; readonly again: number | null },
  mutant: Mutant | null = null,
): Promise<void> {
  const run = new CompactionCrash(7, mutant)
  run.host.diskTimes = { syncMs: [1, 1], operationMs: [1, 1], kibibyteMs: 0, hotChance: 0.9 }
  await run.open()
  for (let index = 0; index < 40; index++) await run.append()
  await run.world.runFor(300)
  run.compact().catch(() => {})
  await run.world.run(() => run.swaps > 0, 10_000)
  await run.world.runFor(at.operation + 0.5)
  run.crash(at.kind)
  if (at.again !== null) {
    run.boot().catch(() => {})
    await run.world.runFor(at.again + 0.5)
    run.crash(at.kind)
  }
  await run.open()
  await run.world.settle(run.compact())
  await run.world.settle(run.directory.close())
  run.crash('kill')
  await run.open()
}

/** Several lives of appends, compaction and crashes at any moment. */
export async function crashAnywhere(seed: number, lives: number, mutant: Mutant | null = null): Promise<void> {
  const run = new CompactionCrash(seed, mutant)
  for (let life = 0; life < lives; life++) {
    await run.open()
    for (let round = run.prng.below(3); round >= 0; round--) {
      for (let index = 5 + run.prng.below(25); index > 0; index--) {
        await run.append()
        if (run.prng.chance(0.4)) await run.world.runFor(run.prng.below(8))
      }
      if (run.prng.chance(0.7)) await run.world.runFor(run.prng.below(200))
      const pass = run.compact()
      pass.catch(() => {})
      if (run.prng.chance(0.4)) await run.world.settle(pass)
      else await run.world.runFor(run.prng.below(120))
    }
    if (run.prng.chance(0.2)) await run.world.settle(run.directory.close())
    run.crash(run.prng.chance(0.6) ? 'powerCut' : 'kill')
    if (run.prng.chance(0.3)) {
      run.boot().catch(() => {})
      await run.world.runFor(run.prng.below(60))
      run.crash(run.prng.chance(0.6) ? 'powerCut' : 'kill')
    }
  }
  await run.open()
}
