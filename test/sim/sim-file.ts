/**
 * One simulated file: what the page cache holds and what the device holds.
 *
 * Pages of 4 KiB are shared between the two views until written; a null page is zeros. `dirty` names the 512-byte sectors that
 * the device has not been told about. Between two syncs every dirty sector may or may not reach the device, in any order.
 */
import type { Prng } from './prng.ts'

const pageBytes = 4096
const sectorBytes = 512
const allSectors = 0xff
const zeros = new Uint8Array(pageBytes)

type Page = Uint8Array | null

export class SimFile {
  size = 0
  /** Blocks that were taken ahead; a crash keeps them. */
  reservedBytes = 0
  #durableSize = 0
  /** Smallest size since the size was last made durable: a crash may show any size a write has passed through. */
  #lowestSize = 0
  #pages: Page[] = []
  #durablePages: Page[] = []
  /** Page index -> mask of dirty sectors. A dirty page belongs to the cached view alone, but for those that a fork shares. */
  #dirty = new Map<number, number>()
  /** Dirty pages that another fork holds too: copied before they are written. */
  #shared: Set<number> | null = null

  /** A file with the same past and a future of its own; pages are shared until one of the two writes them. */
  fork(): SimFile {
    const copy = new SimFile()
    copy.size = this.size
    copy.reservedBytes = this.reservedBytes
    copy.#durableSize = this.#durableSize
    copy.#lowestSize = this.#lowestSize
    copy.#pages = this.#pages.slice()
    copy.#durablePages = this.#durablePages.slice()
    if (this.#dirty.size === 0) return copy
    copy.#dirty = new Map(this.#dirty)
    this.#shared = new Set(this.#dirty.keys())
    copy.#shared = new Set(this.#shared)
    return copy
  }

  /** What it takes on the device. */
  get takenBytes(): number {
    return Math.max(this.size, this.reservedBytes)
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.size !== this.#durableSize
  }

  read(position: number, length: number): Uint8Array {
    const end = Math.min(this.size, position + length)
    const bytes = new Uint8Array(Math.max(0, end - position))
    for (let at = position; at < end; ) {
      const page = this.#pages[Math.floor(at / pageBytes)]
      const inPage = at % pageBytes
      const count = Math.min(pageBytes - inPage, end - at)
      if (page) bytes.set(page.subarray(inPage, inPage + count), at - position)
      at += count
    }
    return bytes
  }

  write(position: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor((position + done) / pageBytes)
      const inPage = (position + done) % pageBytes
      const count = Math.min(pageBytes - inPage, bytes.length - done)
      const page = this.#ownPage(index, sectorMask(inPage, count))
      page.set(bytes.subarray(done, done + count), inPage)
      done += count
    }
    this.size = Math.max(this.size, position + bytes.length)
  }

  truncate(size: number): void {
    if (size < this.size) {
      const firstGone = Math.ceil(size / pageBytes)
      for (let index = firstGone; index < this.#pages.length; index++) {
        this.#pages[index] = null
        this.#dirty.set(index, allSectors)
      }
      this.#pages.length = Math.min(this.#pages.length, firstGone)
      const inPage = size % pageBytes
      if (inPage > 0) this.#ownPage(firstGone - 1, sectorMask(inPage, pageBytes - inPage)).fill(0, inPage)
    }
    this.size = size
    this.reservedBytes = 0
    this.#lowestSize = Math.min(this.#lowestSize, size)
  }

  /** fdatasync: the device holds what the cache holds. */
  sync(): void {
    for (const [index, mask] of this.#dirty) this.#persist(index, mask)
    this.#dirty.clear()
    this.#settleSize(this.size)
  }

  /** A failed fdatasync: the kernel calls the pages clean, some of them never reached the device. */
  failSync(prng: Prng): void {
    for (const [index, mask] of this.#dirty) this.#persist(index, mask & prng.below(256))
    this.#dirty.clear()
    if (prng.chance(0.5)) this.#settleSize(this.size)
  }

  /** The kernel writes some pages back because it feels like it. */
  writeBack(prng: Prng): void {
    for (const [index, mask] of [...this.#dirty]) {
      const written = mask & prng.below(256)
      this.#persist(index, written)
      if (mask === written) this.#dirty.delete(index)
      else this.#dirty.set(index, mask & ~written)
    }
    if (prng.chance(0.5)) this.#settleSize(this.size)
  }

  /**
   * A power cut: the cache is gone, a seeded part of what was dirty has made it. `tornShare` of the sectors that did not make it have
   * made it in a part, as on a device that tears them.
   */
  crash(prng: Prng, tornShare = 0): void {
    const share = prng.pick([0, 0, 1, 1, prng.real(0, 1), prng.real(0, 1)])
    for (const [index, mask] of this.#dirty) {
      let kept = 0
      for (let sector = 0; sector < 8; sector++) if (prng.chance(share)) kept |= 1 << sector
      if (tornShare > 0) this.#tearSome(index, mask & ~kept, tornShare, prng)
      this.#persist(index, mask & kept)
    }
    this.#dirty.clear()
    this.#settleSize(this.#crashSize(prng))
    this.size = this.#durableSize
    this.#pages = this.#durablePages.slice()
  }

  /** Damages bytes in both views, as a bad medium does. */
  corrupt(position: number, mask: number): void {
    const index = Math.floor(position / pageBytes)
    for (const pages of [this.#pages, this.#durablePages]) {
      const page = (pages[index] ?? zeros).slice()
      page[position % pageBytes] = (page[position % pageBytes] as number) ^ mask
      if (index < pages.length) pages[index] = page
    }
  }

  /** Of some of these sectors the first bytes reach the device, the others stay as they were there. */
  #tearSome(index: number, mask: number, share: number, prng: Prng): void {
    for (let sector = 0; sector < 8; sector++) {
      if ((mask & (1 << sector)) === 0 || !prng.chance(share)) continue
      while (this.#durablePages.length <= index) this.#durablePages.push(null)
      const torn = (this.#durablePages[index] ?? zeros).slice()
      const start = sector * sectorBytes
      torn.set((this.#pages[index] ?? zeros).subarray(start, start + prng.between(1, sectorBytes - 1)), start)
      this.#durablePages[index] = torn
    }
  }

  #crashSize(prng: Prng): number {
    if (prng.chance(0.4)) return this.#durableSize
    if (prng.chance(0.5)) return this.size
    const low = this.#lowestSize < this.#durableSize ? this.#lowestSize : this.#durableSize
    return prng.between(Math.min(low, this.size), this.size)
  }

  /** The cached page, made writable, with these sectors marked dirty. */
  #ownPage(index: number, mask: number): Uint8Array {
    const dirty = this.#dirty.get(index)
    let page = this.#pages[index]
    if (dirty === undefined || !page || this.#shared?.has(index)) {
      this.#shared?.delete(index)
      page = page ? page.slice() : new Uint8Array(pageBytes)
      while (this.#pages.length < index) this.#pages.push(null)
      this.#pages[index] = page
    }
    this.#dirty.set(index, (dirty ?? 0) | mask)
    return page
  }

  #persist(index: number, mask: number): void {
    if (mask === 0) return
    const cached = this.#pages[index] ?? null
    while (this.#durablePages.length < index) this.#durablePages.push(null)
    if (mask === allSectors) {
      // Shared: the page is clean from here on, so that the next write copies it first.
      const shared = cached && isZero(cached) ? null : cached
      this.#durablePages[index] = shared
      if (index < this.#pages.length) this.#pages[index] = shared
      return
    }
    const merged = (this.#durablePages[index] ?? zeros).slice()
    for (let sector = 0; sector < 8; sector++) {
      if ((mask & (1 << sector)) === 0) continue
      const start = sector * sectorBytes
      merged.set((cached ?? zeros).subarray(start, start + sectorBytes), start)
    }
    this.#durablePages[index] = merged
  }

  #settleSize(size: number): void {
    this.#durableSize = size
    this.#lowestSize = size
    const pages = Math.ceil(size / pageBytes)
    if (this.#durablePages.length > pages) this.#durablePages.length = pages
    const inPage = size % pageBytes
    const last = this.#durablePages[pages - 1]
    if (inPage > 0 && last) {
      const cut = last.slice()
      cut.fill(0, inPage)
      this.#durablePages[pages - 1] = cut
    }
  }
}

/** Sectors that the byte range [start, start + count) of a page touches. */
function sectorMask(start: number, count: number): number {
  const first = Math.floor(start / sectorBytes)
  const last = Math.floor((start + count - 1) / sectorBytes)
  return ((1 << (last + 1)) - 1) & ~((1 << first) - 1)
}

function isZero(page: Uint8Array): boolean {
  return Buffer.compare(page, zeros) === 0
}
