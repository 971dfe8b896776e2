/**
 * Requests that wait for partitions to move or for their deadline, whichever comes first.
 *
 * A waiter watches its partitions through their own lists, so that an append looks at nobody but those who asked for it, and is
 * told which of them moved, so that it need not look at the others again.
 */
import type { Clock } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'

/** Watches the partitions of one request until `stop`. */
export class PartitionWatch {
  readonly #clock: Clock
  readonly #hasNews: (index: number) => boolean
  readonly #unsubscribes: (() => void)[] = []
  #moved = new Set<number>()
  #wake: (() => void) | null = null

  /**
   * `hasNews(index)` says whether the partition at that place has what its reader does not know; it is asked now and whenever the
   * partition advances or fails. A null has no news, ever.
   */
  constructor(clock: Clock, partitions: readonly (Partition | null)[], hasNews: (index: number) => boolean) {
    this.#clock = clock
    this.#hasNews = hasNews
    partitions.forEach((partition, index) => {
      if (partition === null) return
      this.#unsubscribes.push(partition.onAdvance(() => this.#check(index)))
      this.#check(index)
    })
  }

  /** Places of the partitions that moved since the last call, once there is one; none when `waitMs` have passed or `stop` came. */
  async whenMoved(waitMs: number): Promise<ReadonlySet<number>> {
    if (this.#moved.size === 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.schedule(Math.max(1, waitMs), resolve)
        this.#wake = () => {
          this.#clock.cancel(timer)
          resolve()
        }
      })
      this.#wake = null
    }
    const moved = this.#moved
    this.#moved = new Set()
    return moved
  }

  /** Watches no more; whoever waits goes on at once. */
  stop(): void {
    for (const unsubscribe of this.#unsubscribes) unsubscribe()
    this.#unsubscribes.length = 0
    this.#wake?.()
  }

  #check(index: number): void {
    if (!this.#hasNews(index)) return
    this.#moved.add(index)
    this.#wake?.()
  }
}
