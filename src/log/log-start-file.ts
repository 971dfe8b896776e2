/**
 * `log-start-offset-checkpoint`: where DeleteRecords has moved the start of a log into a segment. It is an authority of its own
 * (architecture law 1): no batch tells it, so it is durable before the answer.
 */
import type { Disk } from '../base/ports.ts'
import { formatOffsets } from './checkpoint-file.ts'
import { logFileNames, replaceFile } from './side-files.ts'
import type { UnifiedLog } from './unified-log.ts'

export class LogStartFile {
  readonly #disk: Disk
  readonly #logDirectory: string
  readonly #logs: () => Iterable<UnifiedLog>
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  constructor(disk: Disk, logDirectory: string, logs: () => Iterable<UnifiedLog>) {
    this.#disk = disk
    this.#logDirectory = logDirectory
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
    return this.#disk.submit([
      ...replaceFile(`${this.#logDirectory}/${logFileNames.logStarts}`, formatOffsets(entries)),
      { kind: 'syncDirectory', path: this.#logDirectory },
    ])
  }
}
