/**
 * The last offset of each key of a stretch of log, in a fixed amount of memory: open addressing over digests of the keys. When it
 * is full the stretch ends there, and another pass goes on behind it.
 */
import { digestWord, type KeyDigest } from './key-digest.ts'

/** Bytes of one entry: 16 of digest, 8 of offset. */
export const mapEntryBytes = 24
/** Fuller than this the search gets long. */
const loadMax = 0.9

export class OffsetMap {
  readonly #slots: number
  readonly #sizeMax: number
  /** Four words of digest a slot. */
  readonly #digests: Int32Array
  /** Offset plus one; 0 = a free slot. */
  readonly #offsets: Float64Array
  #size = 0
  /** Every record up to here has been looked at; -1 = none. */
  latestOffset = -1

  /** Room for `keys` keys, or for as many as `bytesMax` bytes hold. */
  constructor(keys: number, bytesMax: number) {
    const slotsMax = Math.max(2, Math.floor(bytesMax / mapEntryBytes))
    this.#slots = Math.min(slotsMax, Math.ceil(keys / loadMax) + 1)
    this.#sizeMax = Math.max(1, Math.floor(this.#slots * loadMax))
    this.#digests = new Int32Array(this.#slots * 4)
    this.#offsets = new Float64Array(this.#slots)
  }

  get size(): number {
    return this.#size
  }

  /** Notes that the key has a record at this offset, the greatest so far. False when there is no room for another key. */
  put(digest: KeyDigest, offset: number): boolean {
    const slot = this.#find(digest)
    if (this.#offsets[slot] === 0) {
      if (this.#size >= this.#sizeMax) return false
      this.#size++
      for (let word = 0; word < 4; word++) this.#digests[slot * 4 + word] = digestWord(digest, word)
    }
    this.#offsets[slot] = offset + 1
    this.latestOffset = offset
    return true
  }

  /** The last offset of the key, or -1. */
  get(digest: KeyDigest): number {
    return (this.#offsets[this.#find(digest)] as number) - 1
  }

  /** The slot of the key, or the free one where it belongs. There always is one, because the map is never full to the last slot. */
  #find(digest: KeyDigest): number {
    const first = digestWord(digest, 0)
    let slot = (first >>> 0) % this.#slots
    while (this.#offsets[slot] !== 0 && !this.#isAt(slot, first, digest)) slot = slot + 1 === this.#slots ? 0 : slot + 1
    return slot
  }

  #isAt(slot: number, first: number, digest: KeyDigest): boolean {
    const at = slot * 4
    return (
      this.#digests[at] === first &&
      this.#digests[at + 1] === digestWord(digest, 1) &&
      this.#digests[at + 2] === digestWord(digest, 2) &&
      this.#digests[at + 3] === digestWord(digest, 3)
    )
  }
}
