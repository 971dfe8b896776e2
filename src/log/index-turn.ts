/** Whose young index entries go to their files at a checkpoint over many logs. Pure. */

/** What is asked of a log. */
export interface Indexed {
  readonly activeSegment: { readonly index: { readonly unfiledOffsets: number } }
}

export interface IndexBounds {
  /** Entries in memory of one log. */
  readonly ofLog: number
  /** Entries in memory of all logs together. */
  readonly ofAll: number
}

export class IndexTurn {
  /** Where the turn has come to. */
  #at = 0

  /**
   * Of the logs that have grown those with too many entries, and of the others in turn as many as bring all logs back within their
   * bound. Not all at once because all have grown alike: that would be twice as many files as there are logs, in one breath.
   */
  take<Log extends Indexed>(all: Iterable<Indexed>, grown: readonly Log[], bounds: IndexBounds): ReadonlySet<Log> {
    let count = 0
    let excess = -bounds.ofAll
    for (const log of all) {
      count++
      excess += log.activeSegment.index.unfiledOffsets
    }
    // Fewer are not worth writing two files.
    const few = Math.min(bounds.ofLog, bounds.ofAll / count / 2)
    const due = new Set<Log>()
    const start = this.#at
    for (let step = 0; step < grown.length; step++) {
      const at = (start + step) % grown.length
      const log = grown[at] as Log
      const { unfiledOffsets } = log.activeSegment.index
      if (unfiledOffsets <= (excess > 0 ? few : bounds.ofLog)) continue
      due.add(log)
      if (excess > 0) this.#at = at + 1
      excess -= unfiledOffsets
    }
    return due
  }
}
