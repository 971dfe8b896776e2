/**
 * One simulated file: what the page cache holds and what the device holds, in sectors of 512 bytes.
 *
 * A sector never changes: a write puts another one in its place. So the two views and all forks of a file share what is equal in them,
 * and a power cut moves references. `dirty` names the sectors that the device has not been told about: between two syncs each of them
 * may or may not reach the device, in any order.
 */
import { mix } from './digest.ts'
import type { Prng } from './prng.ts'
import { makeSector, type Sector, sectorBytes, sectorDigest } from './sector.ts'

/** Null: zeros, never written or cut off. */
type Slot = Sector | null

/** Everything of a file; shared by its forks until one of them changes it. */
class Content {
  size = 0
  durableSize = 0
  /** Blocks that were taken ahead; a crash keeps them. */
  reservedBytes = 0
  /** Smallest size since the size was last made durable: a crash may show any size a write has passed through. */
  lowestSize = 0
  sectors: Slot[] = []
  durable: Slot[] = []
  dirty = new Set<number>()
  /** What syncs that take time have brought to the device: when each had begun, in numbers that grow. */
  slowlySynced: Map<number, { readonly begun: number; readonly slot: Slot }> | null = null
  /** A sync has failed: what is called clean may not be on the device. */
  mayDiffer = false
  digest: number | null = null

  copy(): Content {
    const copy = new Content()
    copy.size = this.size
    copy.durableSize = this.durableSize
    copy.reservedBytes = this.reservedBytes
    copy.lowestSize = this.lowestSize
    copy.mayDiffer = this.mayDiffer
    copy.sectors = this.sectors.slice()
    copy.durable = this.durable.slice()
    if (this.dirty.size > 0) copy.dirty = new Set(this.dirty)
    if (this.slowlySynced !== null) copy.slowlySynced = new Map(this.slowlySynced)
    return copy
  }
}

/** Number of the youngest sync that takes time, over all files. */
let youngestSync = 0

export class SimFile {
  #content: Content
  #isShared: boolean

  constructor(shared: Content | null = null) {
    this.#content = shared ?? new Content()
    this.#isShared = shared !== null
  }

  /** A file with the same past and a future of its own. */
  fork(): SimFile {
    this.#isShared = true
    return new SimFile(this.#content)
  }

  get size(): number {
    return this.#content.size
  }

  /** What it takes on the device. */
  get takenBytes(): number {
    return Math.max(this.size, this.#content.reservedBytes)
  }

  /** Takes blocks for a file of this size ahead. */
  reserve(size: number): void {
    const content = this.#own()
    content.reservedBytes = Math.max(content.reservedBytes, size)
  }

  get isDirty(): boolean {
    const { dirty, size, durableSize } = this.#content
    return dirty.size > 0 || size !== durableSize
  }

  /** Tells what a reader sees from what one of another file sees. */
  get digest(): number {
    const content = this.#content
    if (content.digest !== null) return content.digest
    let digest = mix(0, content.size)
    content.sectors.forEach((sector, index) => {
      const of = sector === null ? 0 : sectorDigest(sector)
      if (of !== 0) digest = mix(mix(digest, index), of)
    })
    content.digest = digest
    return digest
  }

  /** Reads into `into` where it is given. */
  read(position: number, length: number, into?: Uint8Array): Uint8Array {
    const { size, sectors } = this.#content
    const end = Math.min(size, position + length)
    const count = Math.max(0, end - position)
    const bytes = into === undefined ? new Uint8Array(count) : into.subarray(0, count)
    for (let at = position; at < end; ) {
      const sector = sectors[Math.floor(at / sectorBytes)]
      const inSector = at % sectorBytes
      const part = Math.min(sectorBytes - inSector, end - at)
      const to = at - position
      if (sector) bytes.set(part === sectorBytes ? sector.bytes : sector.bytes.subarray(inSector, inSector + part), to)
      else if (into !== undefined) bytes.fill(0, to, to + part)
      at += part
    }
    return bytes
  }

  write(position: number, bytes: Uint8Array): void {
    const content = this.#own()
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor((position + done) / sectorBytes)
      const inSector = (position + done) % sectorBytes
      const count = Math.min(sectorBytes - inSector, bytes.length - done)
      put(content, index, changed(content.sectors[index] ?? null, inSector, bytes, done, count))
      done += count
    }
    content.size = Math.max(content.size, position + bytes.length)
  }

  truncate(size: number): void {
    const content = this.#own()
    const { sectors, dirty } = content
    if (size < content.size) {
      const kept = Math.ceil(size / sectorBytes)
      for (let index = kept; index < sectors.length; index++) dirty.add(index)
      if (sectors.length > kept) sectors.length = kept
      const last = sectors[kept - 1]
      const inSector = size % sectorBytes
      if (inSector > 0 && last) put(content, kept - 1, zeroFrom(last, inSector))
      else if (inSector > 0) dirty.add(kept - 1)
    }
    content.size = size
    content.reservedBytes = 0
    content.lowestSize = Math.min(content.lowestSize, size)
  }

  /** fdatasync: the device holds what the cache holds. */
  sync(): void {
    if (!this.isDirty) return
    const content = this.#own()
    for (const index of content.dirty) persist(content, index, content.sectors[index] ?? null)
    content.dirty.clear()
    settleSize(content, content.size)
  }

  /** A sync of what is there now, which ends when the answer is called: what is written meanwhile is none of its affair. */
  beginSync(): () => void {
    const { dirty, sectors, durable, size, durableSize, lowestSize } = this.#content
    const covered = [...dirty].map((index) => ({ index, slot: sectors[index] ?? null, old: durable[index] ?? null }))
    const begun = ++youngestSync
    return () => {
      const content = this.#own()
      const wasCut = content.size < size || content.lowestSize < lowestSize
      for (const { index, slot, old } of covered) {
        const isSame = (content.sectors[index] ?? null) === slot
        const now = content.durable[index] ?? null
        content.slowlySynced ??= new Map()
        const other = content.slowlySynced.get(index)
        const isOfOlder = other !== undefined && other.slot === now && other.begun < begun
        // A sync that began later has come further with it.
        if ((now !== old && !isOfOlder) || (wasCut && !isSame)) continue
        persist(content, index, slot)
        content.slowlySynced.set(index, { begun, slot })
        if (isSame) content.dirty.delete(index)
      }
      if (wasCut) return
      // It was cut before the sync, and nothing has come since.
      if (content.size === size && content.durableSize === durableSize) return settleSize(content, size)
      // What has reached the device beyond this size stays there: the file is longer by now, or a crash cuts it.
      content.durableSize = Math.max(size, content.durableSize)
      content.lowestSize = content.durableSize
    }
  }

  /** A failed fdatasync: the kernel calls the pages clean, some of them never reached the device. */
  failSync(prng: Prng): void {
    const content = this.#own()
    for (const index of content.dirty) {
      if (prng.chance(0.5)) persist(content, index, content.sectors[index] ?? null)
    }
    content.dirty.clear()
    content.mayDiffer = true
    if (prng.chance(0.5)) settleSize(content, content.size)
  }

  /** The kernel writes some pages back because it feels like it. */
  writeBack(prng: Prng): void {
    const content = this.#own()
    for (const index of content.dirty) {
      if (prng.chance(0.5)) continue
      persist(content, index, content.sectors[index] ?? null)
      content.dirty.delete(index)
    }
    if (prng.chance(0.5)) settleSize(content, content.size)
  }

  /**
   * A power cut: the cache is gone, a seeded part of what was dirty has made it. `tornShare` of the sectors that did not make it have
   * made it in a part, as on a device that tears them.
   */
  crash(prng: Prng, tornShare = 0): void {
    if (!this.isDirty && !this.#content.mayDiffer) return
    const content = this.#own()
    const share = prng.pick([0, 0, 1, 1, prng.real(0, 1), prng.real(0, 1)])
    for (const index of content.dirty) {
      const cached = content.sectors[index] ?? null
      if (prng.chance(share)) persist(content, index, cached)
      else if (tornShare > 0 && prng.chance(tornShare)) persist(content, index, torn(content, index, prng))
    }
    content.dirty.clear()
    content.mayDiffer = false
    settleSize(content, crashSize(content, prng))
    content.size = content.durableSize
    content.sectors = content.durable.slice()
  }

  /** Damages bytes in both views, as a bad medium does. */
  corrupt(position: number, mask: number): void {
    const content = this.#own()
    const index = Math.floor(position / sectorBytes)
    const at = position % sectorBytes
    for (const slots of [content.sectors, content.durable]) {
      if (index >= slots.length) continue
      const sector = makeSector()
      const old = slots[index]
      if (old) sector.bytes.set(old.bytes)
      sector.bytes[at] = (sector.bytes[at] as number) ^ mask
      slots[index] = sector
    }
  }

  /** The content, which nobody else has from now on and whose digest is not known. */
  #own(): Content {
    if (this.#isShared) this.#content = this.#content.copy()
    this.#isShared = false
    this.#content.digest = null
    return this.#content
  }
}

function put(content: Content, index: number, slot: Slot): void {
  const { sectors } = content
  while (sectors.length < index) sectors.push(null)
  sectors[index] = slot
  content.dirty.add(index)
}

/** The sector with `count` bytes from `from` on put in at `at`; null when it is zeros then. */
function changed(old: Slot, at: number, bytes: Uint8Array, from: number, count: number): Slot {
  if (old === null && isZero(bytes, from, count)) return null
  const sector = makeSector()
  if (old !== null && count < sectorBytes) sector.bytes.set(old.bytes)
  sector.bytes.set(bytes.subarray(from, from + count), at)
  return sector
}

function isZero(bytes: Uint8Array, from: number, count: number): boolean {
  for (let at = from; at < from + count; at++) if (bytes[at] !== 0) return false
  return true
}

function zeroFrom(old: Sector, at: number): Sector {
  const sector = makeSector()
  sector.bytes.set(old.bytes.subarray(0, at))
  return sector
}

/** Of a sector that did not make it the first bytes have. */
function torn(content: Content, index: number, prng: Prng): Sector {
  const sector = makeSector()
  const old = content.durable[index]
  if (old) sector.bytes.set(old.bytes)
  const count = prng.between(1, sectorBytes - 1)
  const cached = content.sectors[index]
  if (cached) sector.bytes.set(cached.bytes.subarray(0, count))
  else sector.bytes.fill(0, 0, count)
  return sector
}

function persist(content: Content, index: number, slot: Slot): void {
  const { durable } = content
  while (durable.length < index) durable.push(null)
  durable[index] = slot
}

function crashSize({ size, durableSize, lowestSize }: Content, prng: Prng): number {
  if (prng.chance(0.4)) return durableSize
  if (prng.chance(0.5)) return size
  return prng.between(Math.min(lowestSize, durableSize, size), size)
}

/** The size on the device; what stands behind it there is gone. */
function settleSize(content: Content, size: number): void {
  content.durableSize = size
  content.lowestSize = size
  const { durable } = content
  const count = Math.ceil(size / sectorBytes)
  if (durable.length > count) durable.length = count
  const inSector = size % sectorBytes
  const last = durable[count - 1]
  if (inSector > 0 && last && !isZero(last.bytes, inSector, sectorBytes - inSector))
    durable[count - 1] = zeroFrom(last, inSector)
}
