/**
 * Whose turn a codec's job is: small ones in the loop's turn, a MiB of output each; large ones on the thread pool, two at a time; and
 * what may be unpacked at once, in bytes.
 */

/** Native codecs hand out memory that is only freed when the loop turns. */
const inlineBytesPerTurn = 1024 * 1024
/** libuv's pool has four threads; two stay free for reads. */
const poolJobsMax = 2
/** Of all that is unpacked beyond a small piece, until nobody reads it any more: what a host of 512 MB can spare. The largest batches wait for one another. */
const unpackedBytesMax = 48 * 1024 * 1024

export class CodecTurns {
  #inlineBytes = 0
  #turn: Promise<void> | null = null
  #poolJobs = 0
  /** Jobs that wait for the pool; bounded by the callers, each of which waits for its own. */
  readonly #poolQueue: (() => void)[] = []
  #roomBytes = 0
  /** Who waits for memory, in order of arrival; bounded likewise. */
  readonly #roomQueue: { readonly bytes: number; readonly begin: () => void }[] = []

  /** Counts inline work, and waits for the next turn of the loop when this one has had its share. */
  async inlineTurn(bytes: number): Promise<void> {
    while (this.isTurnSpent) await this.nextTurn()
    this.#inlineBytes += bytes
  }

  /** Asked in the same breath as the work begins: what a job makes is counted behind it, by `countInline`. */
  get isTurnSpent(): boolean {
    return this.#inlineBytes >= inlineBytesPerTurn
  }

  countInline(bytes: number): void {
    this.#inlineBytes += bytes
  }

  nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = null
        this.#inlineBytes = 0
        resolve()
      })
    })
    return this.#turn
  }

  async onPool<T>(job: () => Promise<T>): Promise<T> {
    if (this.#poolJobs >= poolJobsMax) await new Promise<void>((resolve) => this.#poolQueue.push(resolve))
    else this.#poolJobs++
    try {
      return await job()
    } finally {
      const next = this.#poolQueue.shift()
      if (next) next()
      else this.#poolJobs--
    }
  }

  /** Waits until so many bytes may be unpacked. More than there can be is let in alone. `giveRoom` follows. */
  async takeRoom(bytes: number): Promise<void> {
    if (this.#roomQueue.length > 0 || !this.#hasRoom(bytes)) {
      await new Promise<void>((resolve) => this.#roomQueue.push({ bytes, begin: resolve }))
    } else this.#roomBytes += bytes
  }

  giveRoom(bytes: number): void {
    this.#roomBytes -= bytes
    for (;;) {
      const first = this.#roomQueue[0]
      if (first === undefined || !this.#hasRoom(first.bytes)) return
      this.#roomQueue.shift()
      this.#roomBytes += first.bytes
      first.begin()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#roomBytes === 0 || this.#roomBytes + bytes <= unpackedBytesMax
  }
}
