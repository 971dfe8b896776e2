/** How files are read: as if they had already what the journal holds for them. */
import type { Ports } from '../base/ports.ts'
import { type HeldDirectory, journalPathOf } from './directory-hold.ts'
import { type HeldExtent, HeldWrites } from './held-writes.ts'
import { type DiskReads, PatientDisk } from './patient-disk.ts'
import { failedSyncNote } from './side-files.ts'

/** The disk of a directory as its engine sees it. */
export interface DirectoryDisk {
  readonly disk: PatientDisk
  /** What its files seem to have, and the journal has. */
  readonly heldWrites: HeldWrites
}

export function diskOf({ disk, clock }: Ports, held: HeldDirectory): DirectoryDisk {
  const heldWrites = new HeldWrites()
  const reads = new HeldReads(disk, heldWrites, journalPathOf(held))
  return { disk: new PatientDisk({ port: disk, reads }, clock, failedSyncNote(held.stateDirectory)), heldWrites }
}

export class HeldReads implements DiskReads {
  readonly #port: DiskReads
  readonly #held: HeldWrites
  readonly #journalPath: string

  constructor(port: DiskReads, held: HeldWrites, journalPath: string) {
    this.#port = port
    this.#held = held
    this.#journalPath = journalPath
  }

  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    if (this.#held.lackingIn(path) === null) return this.#port.read(path, position, length, into)
    return this.#readThrough(path, position, length, into)
  }

  async #readThrough(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    for (;;) {
      const lacking = this.#held.lackingIn(path)?.filter((extent) => extent.position < position + length) ?? []
      if (lacking.length === 0) return this.#port.read(path, position, length, into)
      const bytes = await this.#readParts(path, { position, length, lacking }, into ?? new Uint8Array(length))
      // Else the file has got some of it meanwhile, and the ring may have something else there.
      if (lacking.every((extent) => this.#held.isLacking(extent))) return bytes
    }
  }

  /** From the file what it has, and from the ring the rest; shorter where one of them ends. */
  async #readParts(
    path: string,
    { position, length, lacking }: Wanted & { readonly lacking: readonly HeldExtent[] },
    into: Uint8Array,
  ): Promise<Uint8Array> {
    let read = 0
    for (const part of partsOf(path, this.#journalPath, { position, length }, lacking)) {
      const bytes = await this.#port.read(part.path, part.position, part.length, into.subarray(read))
      read += bytes.length
      if (bytes.length < part.length) break
    }
    return into.subarray(0, read)
  }

  /** As far as the file goes. */
  readHot(path: string, position: number, length: number): Uint8Array | null {
    const end = this.#held.lackingIn(path)?.[0]?.position ?? Number.POSITIVE_INFINITY
    return position < end ? this.#port.readHot(path, position, Math.min(length, end - position)) : null
  }

  async size(path: string): Promise<number | null> {
    for (;;) {
      const newest = this.#held.lackingIn(path)?.at(-1)
      const size = await this.#port.size(path)
      if (size === null || newest === undefined) return size
      // Else the file has got it meanwhile.
      if (this.#held.isLacking(newest)) return Math.max(size, newest.position + newest.bytes)
    }
  }
}

interface Wanted {
  readonly position: number
  readonly length: number
}

/** Where the wanted bytes stand, one part behind the other. */
function* partsOf(
  path: string,
  journalPath: string,
  { position, length }: Wanted,
  lacking: readonly HeldExtent[],
): Generator<Wanted & { readonly path: string }> {
  const end = position + length
  let at = position
  for (const extent of lacking) {
    if (at < extent.position) yield { path, position: at, length: extent.position - at }
    let begin = extent.position
    for (let index = 0; index < extent.pieces.length && begin < end; index += 2) {
      const pieceEnd = begin + (extent.pieces[index + 1] as number)
      const from = Math.max(position, begin)
      const bytes = Math.min(pieceEnd, end) - from
      if (bytes > 0)
        yield { path: journalPath, position: (extent.pieces[index] as number) + from - begin, length: bytes }
      begin = pieceEnd
    }
    at = Math.max(position, begin)
  }
  if (at < end) yield { path, position: at, length: end - at }
}
