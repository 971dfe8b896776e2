/**
 * Which files have bytes that no sync has covered yet, and since which journal frame.
 *
 * The order of submission to the disk is the order of everything here: a sync submitted now covers all that was submitted before.
 * A path leaves the map when its sync is submitted; until that sync has completed, the frames it covers stay needed.
 */
export class DirtyFiles {
  /** Path -> sequence of the first journal frame since its last sync; the map's order is that of the sequences. */
  readonly #firstFrame = new Map<string, number>()
  /** Syncs under way: the least sequence that each covers. */
  readonly #syncing = new Set<{ readonly firstFrame: number }>()

  get size(): number {
    return this.#firstFrame.size
  }

  has(path: string): boolean {
    return this.#firstFrame.has(path)
  }

  paths(): IterableIterator<string> {
    return this.#firstFrame.keys()
  }

  /** Bytes of `path` are written without a sync. `nextFrame`: no frame below it has bytes of this write. */
  mark(path: string, nextFrame: number): void {
    if (!this.#firstFrame.has(path)) this.#firstFrame.set(path, nextFrame)
  }

  /**
   * The removal of these files is being submitted. Call the answer when it has completed: until then their frames stay needed, because
   * on a full disk a frame may go past what waits, and a crash before the removal shows the files again.
   */
  beginRemoval(paths: Iterable<string>): () => void {
    return this.beginSync(paths)
  }

  /** A sync of these paths is being submitted. Call the answer when it has completed. */
  beginSync(paths: Iterable<string>): () => void {
    let firstFrame = Number.POSITIVE_INFINITY
    for (const path of paths) {
      firstFrame = Math.min(firstFrame, this.#firstFrame.get(path) ?? Number.POSITIVE_INFINITY)
      this.#firstFrame.delete(path)
    }
    if (firstFrame === Number.POSITIVE_INFINITY) return () => {}
    const sync = { firstFrame }
    this.#syncing.add(sync)
    return () => {
      this.#syncing.delete(sync)
    }
  }

  /** Frames below it are in synced files; `nextFrame` when nothing is dirty. */
  oldestNeeded(nextFrame: number): number {
    let oldest = nextFrame
    const first = this.#firstFrame.values().next()
    if (first.done !== true) oldest = Math.min(oldest, first.value)
    for (const sync of this.#syncing) oldest = Math.min(oldest, sync.firstFrame)
    return oldest
  }
}
