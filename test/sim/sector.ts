/**
 * Sectors of simulated files: 512 bytes that never change once they stand in a file, cut from larger pieces of memory, because a buffer
 * of its own for each would cost more than all that is done with it.
 */
export const sectorBytes = 512

/** Sectors of one piece: few enough that one that lives long does not hold much. */
const pieceSectors = 32
const wordsPerSector = sectorBytes / 4

export interface Sector {
  readonly bytes: Uint8Array
  /** The memory it is cut from as words, and where it begins there. */
  readonly words: Int32Array
  readonly firstWord: number
  /** Of its bytes; null = not computed yet. Zeros have 0. */
  digest: number | null
}

let memory = new ArrayBuffer(0)
let words = new Int32Array(0)
let used = 0

/** A sector of zeros that nobody else has; it may be written until it is put into a file. */
export function makeSector(): Sector {
  if (used === memory.byteLength) {
    memory = new ArrayBuffer(pieceSectors * sectorBytes)
    words = new Int32Array(memory)
    used = 0
  }
  const sector = { bytes: new Uint8Array(memory, used, sectorBytes), words, firstWord: used / 4, digest: null }
  used += sectorBytes
  return sector
}

/** A number of 52 bits that tells these bytes from others; 0 for zeros. */
export function sectorDigest(sector: Sector): number {
  if (sector.digest !== null) return sector.digest
  const { words: of, firstWord } = sector
  let low = 0
  let high = 0
  for (let at = firstWord; at < firstWord + wordsPerSector; at++) {
    const word = of[at] as number
    low = Math.imul(low ^ word, 0x9e3779b1)
    low ^= low >>> 15
    high = Math.imul(high + word, 0x85ebca77)
    high ^= high >>> 13
  }
  sector.digest = (low >>> 0) + (high >>> 12) * 0x1_0000_0000
  return sector.digest
}
