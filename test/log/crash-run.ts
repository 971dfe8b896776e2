/**
 * A workload over one log directory on a simulated host, with kills and power cuts at any step, and the checker of what comes back
 * (safety.md I12): the recovered log is a prefix of what was appended, holds all that was acknowledged, sets are whole or
 * absent, deleted records stay deleted, duplicates are known.
 */
import type { Disk, DiskOperation, Ports, SubmitOptions } from '../../src/base/ports.ts'
import type { AppendEntry } from '../../src/log/append.ts'
import type { LogConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { SimHost } from '../sim/host.ts'
import type { Prng } from '../sim/prng.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { batchOf, createSmall, openSmall, readAll } from './log-fixture.ts'

/** Turns a group of disk operations into what a faulty engine would have submitted. */
export type Mutant = (operations: readonly DiskOperation[]) => readonly DiskOperation[]

interface ModelBatch {
  readonly baseOffset: number
  readonly endOffset: number
  readonly bytes: Uint8Array
  readonly set: number
}

interface ModelLog {
  readonly topic: string
  batches: ModelBatch[]
  acknowledgedEnd: number
  acknowledgedStart: number
  nextSequence: number
}

const topics = ['a', 'b', 'c', 'd', 'e'] as const
const producerId = 77

function configOf(topic: string): Partial<LogConfig> {
  return topic === 'e' ? { segmentBytes: 1_000_000 } : {}
}

export class CrashRun {
  readonly world: SimWorld
  readonly #host: SimHost
  readonly #prng: Prng
  readonly #mutant: Mutant | null
  readonly #models = new Map<string, ModelLog>()
  #sets = 0
  #epoch = 0
  #payload = 0

  constructor(seed: number, mutant: Mutant | null = null) {
    this.world = simWorld(seed)
    this.#host = this.world.host('edge')
    this.#prng = this.world.prng.fork('workload')
    this.#mutant = mutant
  }

  /** Several lives; throws an Error that names seed and promise when one is broken. */
  async run(lives: number): Promise<void> {
    for (let life = 0; life < lives; life++) {
      const directory = await this.#start()
      await this.#work(directory)
      if (life < lives - 1) await this.#end(directory)
    }
  }

  /** Opens, perhaps with crashes during the recovery, and checks what is there. */
  async #start(): Promise<LogDirectory> {
    for (;;) {
      const filesSyncedAlone = this.#prng.chance(0.5) ? 1 : 256
      const filesWrittenAtOnce = this.#prng.chance(0.5) ? 0 : 1024
      const options = { filesSyncedAlone, filesWrittenAtOnce, heldBytesPerLog: 20_000, heldBytesMax: 60_000 }
      const opening = openSmall(mutated(this.#host.boot(), this.#mutant), options)
      if (this.#prng.chance(0.3)) {
        await this.world.runFor(this.#prng.below(60))
        this.#crash()
        opening.catch(() => {})
        continue
      }
      const directory = await this.world.settle(opening)
      await this.world.settle(this.#check(directory))
      return directory
    }
  }

  async #work(directory: LogDirectory): Promise<void> {
    this.#epoch++
    for (const topic of topics) {
      if (directory.logs.has(`${topic}-0`) || this.#prng.chance(0.3)) continue
      await this.world.settle(createSmall(directory, topic, configOf(topic)))
      this.#models.set(topic, { topic, batches: [], acknowledgedEnd: 0, acknowledgedStart: 0, nextSequence: 0 })
    }
    for (const log of directory.logs.values()) {
      log.onDurable = () => {
        this.#model(log).acknowledgedEnd = log.durableEndOffset
        log.highWatermark = log.durableEndOffset
      }
    }
    const steps = 5 + this.#prng.below(80)
    for (let step = 0; step < steps; step++) {
      this.#append(directory)
      if (this.#prng.chance(0.05)) this.#deleteRecords(directory)
      if (this.#prng.chance(0.5)) await this.world.runFor(this.#prng.below(4))
    }
  }

  #append(directory: LogDirectory): void {
    const logs = [...directory.logs.values()]
    if (logs.length === 0) return
    const set = ++this.#sets
    const count = this.#prng.chance(0.5) ? 1 : 1 + this.#prng.below(logs.length)
    const chosen = logs.slice(this.#prng.below(logs.length)).slice(0, count)
    const entries: AppendEntry[] = chosen.map((log) => {
      const model = this.#model(log)
      // Batches of the last topic are now and then so large that they are synced directly.
      const isHuge = log.topic === 'e' && this.#prng.chance(0.1)
      const length = isHuge ? 400_000 : this.#prng.chance(0.05) ? 2500 : this.#prng.below(600)
      const texts = Array.from({ length: isHuge ? 1 : 1 + this.#prng.below(3) }, () =>
        `${++this.#payload}`.padEnd(length, 'x'),
      )
      const batch = batchOf(texts, {
        producerId,
        producerEpoch: 0,
        baseSequence: model.nextSequence,
        timestampMs: 1_000_000 + this.#payload,
      })
      return { log, batch, leaderEpoch: this.#epoch, origin: 'client' }
    })
    const outcomes = directory.appendSet(entries)
    entries.forEach((entry, index) => {
      const outcome = outcomes[index]
      if (outcome?.kind !== 'appended')
        throw this.#broken(`append to ${entry.log.key} answered ${JSON.stringify(outcome)}`)
      const model = this.#model(entry.log)
      const { baseOffset, lastOffset } = outcome
      model.batches.push({ baseOffset, endOffset: lastOffset + 1, bytes: entry.batch.slice(), set })
      model.nextSequence += lastOffset - baseOffset + 1
    })
  }

  #deleteRecords(directory: LogDirectory): void {
    const log = [...directory.logs.values()][0]
    if (log === undefined || log.highWatermark <= log.logStartOffset) return
    const before = log.logStartOffset + this.#prng.below(log.highWatermark - log.logStartOffset + 1)
    log.deleteRecordsBefore(before).then(
      (start) => {
        this.#model(log).acknowledgedStart = Math.max(start, this.#model(log).acknowledgedStart)
      },
      () => {},
    )
  }

  async #end(directory: LogDirectory): Promise<void> {
    if (this.#prng.chance(0.2)) {
      await this.world.settle(directory.close())
      this.#host.kill()
      return
    }
    await this.world.runFor(this.#prng.below(30) / 10)
    this.#crash()
  }

  #crash(): void {
    if (this.#prng.chance(0.6)) this.#host.powerCut()
    else this.#host.kill()
  }

  async #check(directory: LogDirectory): Promise<void> {
    const ends = new Map<string, number>()
    for (const model of this.#models.values()) {
      const log = directory.logs.get(`${model.topic}-0`)
      if (log === undefined) throw this.#broken(`${model.topic} is gone`)
      await this.#checkLog(log, model)
      ends.set(model.topic, log.logEndOffset)
    }
    this.#checkSets(ends)
    for (const model of this.#models.values()) {
      const end = ends.get(model.topic) ?? 0
      model.batches = model.batches.filter((batch) => batch.endOffset <= end)
      model.acknowledgedEnd = end
      const log = directory.logs.get(`${model.topic}-0`)
      if (log !== undefined) this.#checkProducer(directory, log, model)
    }
  }

  async #checkLog(log: UnifiedLog, model: ModelLog): Promise<void> {
    if (!log.damage.isEmpty) throw this.#broken(`${log.key} is damaged: ${JSON.stringify(log.damage.ranges)}`)
    if (log.logEndOffset < model.acknowledgedEnd) {
      throw this.#broken(`${log.key} ends at ${log.logEndOffset}, acknowledged up to ${model.acknowledgedEnd}`)
    }
    if (log.logStartOffset < model.acknowledgedStart) throw this.#broken(`${log.key} brought deleted records back`)
    log.updateConfig({ ...log.config, ...configOf(log.topic) })
    const first = model.batches.findIndex((batch) => batch.endOffset > log.logStartOffset)
    const expected = first < 0 ? [] : model.batches.slice(first).filter((batch) => batch.endOffset <= log.logEndOffset)
    const found = await readAll(log).catch((error: unknown) => {
      throw this.#broken(String(error))
    })
    if (found.length !== expected.length)
      throw this.#broken(`${log.key} has ${found.length} batches, not ${expected.length}`)
    found.forEach((bytes, index) => {
      if (!Buffer.from(bytes).equals(expected[index]?.bytes ?? new Uint8Array(0))) {
        throw this.#broken(`${log.key}: batch ${index} differs`)
      }
    })
    if (expected.length > 0 && log.logEndOffset !== expected.at(-1)?.endOffset)
      throw this.#broken(`${log.key} has a hole at its end`)
    for (let probe = 0; probe < 3 && expected.length > 0; probe++) {
      const batch = expected[this.#prng.below(expected.length)] as ModelBatch
      const fromOffset = Math.max(batch.endOffset - 1, log.logStartOffset)
      const read = await log.read({ fromOffset, endOffset: log.logEndOffset, bytesMax: 1, minOneBatch: true })
      if (read.kind !== 'batches' || !Buffer.from(read.bytes).equals(batch.bytes))
        throw this.#broken(`${log.key} at ${fromOffset}: wrong batch`)
      const timed = await log.offsetForTimestamp(Number(Buffer.from(batch.bytes).readBigInt64BE(35)))
      if (timed === null || timed.offset > batch.endOffset - 1) throw this.#broken(`${log.key}: no offset by time`)
    }
  }

  #checkSets(ends: ReadonlyMap<string, number>): void {
    const present = new Map<number, boolean>()
    for (const model of this.#models.values()) {
      for (const batch of model.batches) {
        const isHere = batch.endOffset <= (ends.get(model.topic) ?? 0)
        if ((present.get(batch.set) ?? isHere) !== isHere) throw this.#broken(`set ${batch.set} is torn`)
        present.set(batch.set, isHere)
      }
    }
  }

  /** The newest five batches must be known as duplicates; the sequence goes on where the log ends. */
  #checkProducer(directory: LogDirectory, log: UnifiedLog, model: ModelLog): void {
    const last = model.batches.at(-1)
    if (last === undefined) {
      model.nextSequence = 0
      return
    }
    const view = Buffer.from(last.bytes)
    model.nextSequence = view.readInt32BE(53) + view.readInt32BE(23) + 1
    for (const batch of model.batches.slice(-5)) {
      const again = batch.bytes.slice()
      again.fill(0, 0, 8)
      const [outcome] = directory.appendSet([{ log, batch: again, leaderEpoch: this.#epoch + 1, origin: 'client' }])
      if (outcome?.kind !== 'duplicate' || outcome.baseOffset !== batch.baseOffset) {
        throw this.#broken(
          `${log.key}: a duplicate of offset ${batch.baseOffset} was answered ${JSON.stringify(outcome)}`,
        )
      }
    }
  }

  #model(log: UnifiedLog): ModelLog {
    const model = this.#models.get(log.topic)
    if (model === undefined) throw new Error(`no model of ${log.key}`)
    return model
  }

  #broken(promise: string): Error {
    return new Error(`seed ${this.world.seed}, ${this.world.nowMs.toFixed(2)} ms: ${promise}`)
  }
}

/** The ports, with every group of disk operations sent through the mutant. */
function mutated(ports: Ports, mutant: Mutant | null): Ports {
  if (mutant === null) return ports
  const disk: Disk = new Proxy(ports.disk, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'submit')
        return (operations: readonly DiskOperation[], options?: SubmitOptions) =>
          target.submit(mutant(operations), options)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { ...ports, disk }
}

/** Log ends of three logs that only ever got sets over all three, after a kill in a commit and a power cut in the replay of it. */
export async function endsAfterTwoCrashes(seed: number, mutant: Mutant | null = null): Promise<readonly number[]> {
  const world = simWorld(seed)
  const host = world.host('edge')
  const prng = world.prng.fork('workload')
  // Syncs take so long that crashes fall into them.
  host.diskTimes = { syncMs: [2, 9], operationMs: [0.005, 0.05], kibibyteMs: 0.003, hotChance: 0.9 }
  const directory = await world.settle(openSmall(mutated(host.boot(), mutant)))
  const logs = await world.settle(Promise.all(['a', 'b', 'c'].map((topic) => createSmall(directory, topic))))
  for (let set = 0; set < 3; set++) {
    directory.appendSet(
      logs.map((log) => ({ log, batch: batchOf([`${set}`.padEnd(900, 'x')]), leaderEpoch: 0, origin: 'client' })),
    )
    // Long enough for a whole commit, but for the last one: that is killed in its sync.
    await world.runFor(set < 2 ? 30 : 1 + prng.below(10) / 10)
  }
  host.kill()
  openSmall(mutated(host.boot(), mutant)).catch(() => {})
  await world.runFor(10 + prng.below(300) / 10)
  host.powerCut()
  const again = await world.settle(openSmall(host.boot()))
  return logs.map((log) => again.logs.get(log.key)?.logEndOffset ?? -1)
}
