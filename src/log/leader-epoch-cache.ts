/**
 * Which leader epoch began at which offset (KIP-101, KIP-279). Derived from the batches; the `leader-epoch-checkpoint` file is a
 * hint, except for an epoch that has begun and written nothing yet.
 */
export interface EpochEntry {
  readonly epoch: number
  readonly startOffset: number
}

export class LeaderEpochCache {
  #entries: EpochEntry[] = []
  /** Does the file lack something that the cache knows? */
  isDirty = false
  #filed: readonly EpochEntry[] = []
  /** Has a cut at the start taken what the file has not heard of? A crash may bring back the batches below the cut. */
  #hasLostUnfiled = false
  /** CRC-32C of the file with `filedEntries`; null = not worked out yet. */
  filedCrc: string | null = null

  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  /** What the file holds, as far as it is our work. */
  get filedEntries(): readonly EpochEntry[] {
    return this.#filed
  }

  /** -1 when there is none. */
  get latestEpoch(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /** Takes over the entries of a file. */
  load(entries: readonly EpochEntry[]): void {
    this.#entries = [...entries]
    this.filed()
  }

  /** The file has (or gets, with what is submitted next) all that is known now. */
  filed(): void {
    this.#filed = [...this.#entries]
    this.filedCrc = null
    this.isDirty = false
    this.#hasLostUnfiled = false
  }

  /** Does the file tell of every epoch that began below the offset, of deleted records too? */
  isFiledBelow(offset: number): boolean {
    // Of most logs the file has all, and a checkpoint asks thousands.
    if (!this.isDirty && this.#entries.length === this.#filed.length) return true
    return !this.#hasLostUnfiled && this.#entries.every((entry) => entry.startOffset >= offset || this.#isFiled(entry))
  }

  #isFiled({ epoch, startOffset }: EpochEntry): boolean {
    return this.#filed.some((filed) => filed.epoch === epoch && filed.startOffset === startOffset)
  }

  /** `epoch` begins at `startOffset`. An older epoch, or the latest one, changes nothing; entries at or beyond the offset give way. */
  assign(epoch: number, startOffset: number): void {
    if (epoch <= this.latestEpoch || epoch < 0) return
    while (this.#entries.length > 0 && (this.#entries.at(-1) as EpochEntry).startOffset >= startOffset)
      this.#entries.pop()
    this.#entries.push({ epoch, startOffset })
    this.isDirty = true
  }

  /** Forgets what begins at or beyond `endOffset`. */
  truncateEnd(endOffset: number): void {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset)
    if (kept.length !== this.#entries.length) this.isDirty = true
    this.#entries = kept
  }

  /** A batch of this epoch stands behind everything here: what claims to be newer is wrong, unless it began below `sureEndOffset`. */
  dropAbove(epoch: number, sureEndOffset = 0): void {
    while (epoch >= 0 && this.latestEpoch > epoch && (this.#entries.at(-1)?.startOffset ?? 0) >= sureEndOffset) {
      this.#entries.pop()
      this.isDirty = true
    }
  }

  /** The log begins at `startOffset` now: the epoch that holds it begins there. */
  truncateStart(startOffset: number): void {
    const first = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset)
    if (first < 0) return
    const head = this.#entries[first] as EpochEntry
    if (first === 0 && head.startOffset === startOffset) return
    const taken = this.#entries.slice(0, head.startOffset === startOffset ? first : first + 1)
    this.#hasLostUnfiled ||= !taken.every((entry) => this.#isFiled(entry))
    this.#entries = [{ epoch: head.epoch, startOffset }, ...this.#entries.slice(first + 1)]
    this.isDirty = true
  }

  /** The log begins before what is known: `found`, read from its batches, tells of what is below. */
  completeStart(found: readonly EpochEntry[]): void {
    const [first] = this.#entries
    if (first === undefined) return
    const below = found.filter((entry) => entry.epoch <= first.epoch && entry.startOffset < first.startOffset)
    if (below.length === 0) return
    const kept = below.at(-1)?.epoch === first.epoch ? this.#entries.slice(1) : this.#entries
    this.#entries = [...below, ...kept]
    this.isDirty = true
  }

  /** The epoch that the record at `offset` was written in; -1 when unknown. */
  epochAt(offset: number): number {
    return this.#entries.findLast((entry) => entry.startOffset <= offset)?.epoch ?? -1
  }

  /**
   * The largest epoch not above the asked one, and where it ended (OffsetForLeaderEpoch). The latest epoch ends at
   * `logEndOffset`; an unknown one answers epoch -1 and offset -1.
   */
  endOffsetForEpoch(epoch: number, logEndOffset: number): { readonly epoch: number; readonly endOffset: number } {
    if (epoch < 0 || this.#entries.length === 0) return { epoch: -1, endOffset: -1 }
    if (epoch === this.latestEpoch) return { epoch, endOffset: logEndOffset }
    const next = this.#entries.findIndex((entry) => entry.epoch > epoch)
    if (next < 0) return { epoch: -1, endOffset: -1 }
    const following = this.#entries[next] as EpochEntry
    // Kafka answers the asked epoch itself when it is older than everything known.
    if (next === 0) return { epoch, endOffset: following.startOffset }
    return { epoch: (this.#entries[next - 1] as EpochEntry).epoch, endOffset: following.startOffset }
  }
}
