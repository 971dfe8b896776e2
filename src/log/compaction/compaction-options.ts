/** What compaction may take. Read when it is needed: the owner may answer another figure from then on. */
export interface CompactionOptions {
  /** log.cleaner.backoff.ms: time between two looks for something to do. */
  readonly backoffMs: number
  /** log.cleaner.dedupe.buffer.size: bytes of the map of one pass. */
  readonly mapBytesMax: number
  /** log.cleaner.io.max.bytes.per.second: bytes read and written together. */
  readonly bytesPerSecond: number
}

/** Sixteen MiB hold the last offsets of 629,000 keys; at 16 MiB a second the device and the loop keep most of themselves for clients. */
export const defaultCompactionOptions: CompactionOptions = {
  backoffMs: 15_000,
  mapBytesMax: 16 * 1_048_576,
  bytesPerSecond: 16 * 1_048_576,
}

/** What was given, as it is at each moment; the defaults elsewhere. */
export function compactionOptions(given: Partial<CompactionOptions> = {}): CompactionOptions {
  return {
    get backoffMs() {
      return given.backoffMs ?? defaultCompactionOptions.backoffMs
    },
    get mapBytesMax() {
      return given.mapBytesMax ?? defaultCompactionOptions.mapBytesMax
    },
    get bytesPerSecond() {
      return given.bytesPerSecond ?? defaultCompactionOptions.bytesPerSecond
    },
  }
}
