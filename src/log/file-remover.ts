/**
 * Removes files that nobody speaks of any more. To free a gigabyte takes a file system a third of a second in which it does nothing
 * else, so they go one after another, with a pause behind each large one: commits keep most of the disk.
 */
import type { PatientDisk } from './patient-disk.ts'

/** What is removed in a second: some tenth of the time of an ordinary SSD. */
const bytesPerSecond = 256 * 1_048_576

export interface RemovedFile {
  readonly path: string
  readonly bytes: number
}

export interface FileRemoverParts {
  readonly disk: Pick<PatientDisk, 'submit'>
  /** Runs the task after so long, unless the directory is closed or fails before. */
  later(delayMs: number, task: () => void): void
}

export class FileRemover {
  readonly #parts: FileRemoverParts
  #latest: Promise<void> = Promise.resolve()

  constructor(parts: FileRemoverParts) {
    this.#parts = parts
  }

  /** Removes the files behind those asked for before; after a stop it never resolves. Rejects with the first file that cannot be removed. */
  remove(files: readonly RemovedFile[]): Promise<void> {
    const removal = this.#latest.then(async () => {
      for (const file of files) {
        await this.removeNow(file)
        const pauseMs = Math.floor((file.bytes / bytesPerSecond) * 1000)
        if (pauseMs > 0) await new Promise<void>((resolve) => this.#parts.later(pauseMs, resolve))
      }
    })
    this.#latest = removal.catch(() => {})
    return removal
  }

  /** Removes one file past those that wait: its space is wanted. */
  removeNow(file: RemovedFile): Promise<void> {
    return this.#parts.disk.submit([{ kind: 'unlink', path: file.path }], { lane: 'relief', mayBeRefused: true })
  }
}
