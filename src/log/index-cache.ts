/**
 * Offset index files of segments that are being read, whole, within one byte budget (least recently used out first). An index of
 * a full segment is 2 MiB at Kafka's defaults, so a few readers of old data are served; the rest of the files is never in memory.
 */
export class IndexCache {
  readonly #bytesMax: number
  readonly #files = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(path: string): Uint8Array | null {
    const file = this.#files.get(path)
    if (file === undefined) return null
    this.#files.delete(path)
    this.#files.set(path, file)
    return file
  }

  /** The newest file stays even when it is larger than the budget: its reader needs it now. */
  put(path: string, file: Uint8Array): void {
    this.forget(path)
    this.#files.set(path, file)
    this.#bytes += file.length
    for (const oldest of this.#files.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === path) return
      this.forget(oldest)
    }
  }

  forget(path: string): void {
    const file = this.#files.get(path)
    if (file === undefined) return
    this.#files.delete(path)
    this.#bytes -= file.length
  }
}
