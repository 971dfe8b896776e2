/**
 * What the small files of a directory take: checkpoints, snapshots of producers and of the metadata, digests, everything but the segments
 * with their indexes, the journal and the ballast, which are counted as they grow. Looked at now and then, some logs at a time.
 */
import type { Clock, Disk } from '../base/ports.ts'
import { logFileNames, stateFileNames } from './side-files.ts'
import type { UnifiedLog } from './unified-log.ts'

/** From one look to the next. */
const everyMs = 30_000
/** Logs of one look. */
const logsPerLook = 32
/** Files of one folder that are asked for their size; the others count as their mean. */
const filesPerFolder = 64
/** What is counted elsewhere: segments, what waits for its removal, what compaction writes. */
const countedName = /\.(?:log|index|timeindex|deleted|cleaned|swap)$/
const countedInState: ReadonlySet<string> = new Set([stateFileNames.journal, stateFileNames.ballast])

export interface AsideParts {
  readonly disk: Pick<Disk, 'list' | 'size'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly logDirectory: string
  readonly stateDirectory: string
  logs(): Iterable<UnifiedLog>
}

export class AsideBytes {
  readonly #parts: AsideParts
  #nodeBytes = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #nextLog = 0

  constructor(parts: AsideParts) {
    this.#parts = parts
  }

  /** As of the last looks. */
  get bytes(): number {
    let bytes = this.#nodeBytes
    for (const log of this.#parts.logs()) bytes += log.asideBytes
    return bytes
  }

  /** Looks at the files of the node and at those of some logs; unless it `isDue`, not if that was done just now. */
  async look(isDue: boolean): Promise<void> {
    const { clock, logDirectory, stateDirectory } = this.#parts
    if (!isDue && clock.monotonicMs() - this.#lookedAtMs < everyMs) return
    this.#lookedAtMs = clock.monotonicMs()
    const own = await this.#bytesIn(stateDirectory, (name) => !countedInState.has(name))
    this.#nodeBytes = own + (await this.#bytesIn(logDirectory, (name) => name !== logFileNames.lock))
    const logs = [...this.#parts.logs()]
    const count = Math.min(logsPerLook, logs.length)
    for (let step = 0; step < count; step++) {
      const log = logs[this.#nextLog++ % logs.length] as UnifiedLog
      log.asideBytes = await this.#bytesIn(log.directory, (name) => !countedName.test(name))
    }
  }

  async #bytesIn(folder: string, isCounted: (name: string) => boolean): Promise<number> {
    const { disk } = this.#parts
    const entries = await disk.list(folder).catch(() => [])
    const names = entries.filter(({ name, isDirectory }) => !isDirectory && isCounted(name)).map(({ name }) => name)
    const asked = names.slice(-filesPerFolder)
    let bytes = 0
    for (const name of asked) bytes += (await disk.size(`${folder}/${name}`).catch(() => 0)) ?? 0
    return asked.length === 0 ? 0 : Math.round((bytes * names.length) / asked.length)
  }
}
