/**
 * `log-start-offset-checkpoint`: where DeleteRecords has moved the start of a log into a segment. It is an authority of its own
 * (architecture law 1): no batch tells it, so it is durable before the answer. Kafka's format has no checksum, and a flipped bit could
 * hide records: a sealed copy in `dataDir/state` is what a start believes.
 */
import type { Disk } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { formatOffsets, parseOffsets, sealText, unsealText } from './checkpoint-file.ts'
import { logFileNames, stateFileNames } from './side-files.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface LogStarts {
  /** Null when neither file can be read. */
  readonly starts: ReadonlyMap<string, number> | null
  /** They are what was written: sealed, or of the file that is whole while the sealed one is damaged, since two are not damaged at once. */
  readonly areSure: boolean
  /** The two do not say the same: a crash came between, or one is damaged. */
  readonly differ: boolean
}

/**
 * The starts, by `topic-partition`, from both files' bytes. The sealed copy wins, unless another broker
 * has written here since.
 */
export function readLogStarts(kafkas: Uint8Array | null, sealed: Uint8Array | null, hadOtherOwner: boolean): LogStarts {
  const text = unsealText(sealed)
  const [copy, main] = [parseOffsets(text), parseOffsets(kafkas)]
  const starts = hadOtherOwner ? (main ?? copy) : (copy ?? main)
  const differ = Buffer.compare(text ?? nothing, kafkas ?? nothing) !== 0
  const areSure = starts !== null && (starts === copy || (sealed !== null && text === null && !hadOtherOwner))
  return { starts, areSure, differ }
}

const nothing = new Uint8Array(0)

export class LogStartFile {
  readonly #disk: Disk
  readonly #logDirectory: string
  readonly #stateDirectory: string
  readonly #logs: () => Iterable<UnifiedLog>
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  constructor(
    disk: Disk,
    place: { readonly logDirectory: string; readonly stateDirectory: string },
    logs: () => Iterable<UnifiedLog>,
  ) {
    this.#disk = disk
    this.#logDirectory = place.logDirectory
    this.#stateDirectory = place.stateDirectory
    this.#logs = logs
  }

  /** Writes the starts of all logs as they are now; durable when it resolves. Calls made while a write runs share the next one. */
  write(): Promise<void> {
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        const running = this.#writeNow()
        this.#current = running
        this.#next = null
        return running
      })
    return this.#next
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    while (this.#next !== null) await this.#next
    await this.#current
  }

  #writeNow(): Promise<void> {
    const entries = []
    for (const log of this.#logs()) {
      const first = log.segments[0]?.baseOffset ?? 0
      if (log.logStartOffset > first)
        entries.push({ topic: log.topic, partition: log.partition, offset: log.logStartOffset })
    }
    const bytes = formatOffsets(entries)
    return this.#disk.submit([
      ...replaceFile(`${this.#stateDirectory}/${stateFileNames.logStarts}`, sealText(bytes)),
      { kind: 'syncDirectory', path: this.#stateDirectory },
      ...replaceFile(`${this.#logDirectory}/${logFileNames.logStarts}`, bytes),
      { kind: 'syncDirectory', path: this.#logDirectory },
    ])
  }
}
