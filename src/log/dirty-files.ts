/**
 * Which files have bytes that no sync has covered yet, and since which journal frame.
 *
 * The order of submission to the disk is the order of everything here: a sync submitted now covers all that was submitted before.
 * A path leaves the map when its sync is submitted; until that sync has completed, the frames it covers stay needed. What is synced
 * beside the queue has no place in that order: whoever counts on it sooner syncs it too.
 */
export class DirtyFiles {
  /** Path -> sequence of the first journal frame since its last sync; the map's order is that of the sequences. */
  readonly #firstFrame = new Map<string, number>()
  /** Syncs under way: the least sequence that each covers. */
  readonly #syncing = new Set<{ readonly firstFrame: number }>()
  /** Paths that are being synced beside the queue. */
  readonly #aside = new Set<ReadonlySet<string>>()
  /** Set by the commit driver: submits what is held back from these files, so that a sync which is submitted next covers it. */
  beforeSync: (paths: readonly string[]) => void = () => {}

  get size(): number {
    return this.#firstFrame.size
  }

  /** Does nothing that was submitted so far make all of the path durable, before whatever is submitted next? */
  has(path: string): boolean {
    if (this.#firstFrame.has(path)) return true
    for (const paths of this.#aside) if (paths.has(path)) return true
    return false
  }

  get isSyncingAside(): boolean {
    return this.#aside.size > 0
  }

  /** Those that no sync under way covers, oldest first. */
  paths(): IterableIterator<string> {
    return this.#firstFrame.keys()
  }

  /** All for which `has` is true. */
  unsynced(): ReadonlySet<string> {
    const all = new Set(this.#firstFrame.keys())
    for (const paths of this.#aside) for (const path of paths) all.add(path)
    return all
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
    const all = [...paths]
    this.beforeSync(all)
    let firstFrame = Number.POSITIVE_INFINITY
    for (const path of all) {
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

  /** The same for a sync beside the queue, of what was submitted so far. */
  beginSyncAside(paths: readonly string[]): () => void {
    const aside = new Set(paths)
    const complete = this.beginSync(paths)
    this.#aside.add(aside)
    return () => {
      this.#aside.delete(aside)
      complete()
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
