/** The free space of a file system, asked for in the background when somebody wants to know, and at most every few seconds. */
import type { Clock, Disk } from './base/ports.ts'

const everyMs = 5_000

export interface SpaceSeen {
  readonly freeBytes: number
  readonly totalBytes: number
}

export class SpaceWatch {
  readonly #disk: Pick<Disk, 'space'>
  readonly #clock: Clock
  readonly #path: string
  #seen: (SpaceSeen & { readonly atMs: number }) | null = null
  #isAsking = false

  constructor(disk: Pick<Disk, 'space'>, clock: Clock, path: string) {
    this.#disk = disk
    this.#clock = clock
    this.#path = path
  }

  /** As last seen; null before the first time. */
  look(): SpaceSeen | null {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#isAsking && (this.#seen === null || nowMs - this.#seen.atMs >= everyMs)) {
      this.#isAsking = true
      this.#disk.space(this.#path).then(
        (space) => {
          this.#seen = { atMs: nowMs, ...space }
          this.#isAsking = false
        },
        () => {
          this.#isAsking = false
        },
      )
    }
    return this.#seen
  }
}
