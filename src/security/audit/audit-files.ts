/**
 * The audit as files: `dataDir/state/audit/<first sequence>.jsonl`. Lines are appended and synced; a file that is full is followed by a
 * new one, and the oldest go.
 */
import type { Disk, DiskOperation } from '../../base/ports.ts'
import { type AuditHead, type AuditLine, auditLineBytesMax, type ReadAuditLine, readAuditLine } from './audit-line.ts'
import { auditTypes } from './audit-types.ts'

export function auditDirectoryOf(dataDir: string): string {
  return `${dataDir}/state/audit`
}

export interface AuditFileOptions {
  /** Absolute. */
  readonly directory: string
  readonly fileBytesMax: number
  readonly filesMax: number
}

/** What the files end with. */
export interface AuditFileTail {
  /** The newest whole record; null = there is none. */
  readonly last: AuditHead | null
  /** Bytes of a record that a power cut has left half-written; they are gone. */
  readonly bytesCut: number
  readonly endsCleanly: boolean
}

/** What one file holds. */
interface ReadFile {
  readonly last: ReadAuditLine | null
  readonly lines: readonly AuditLine[]
  /** Where the whole records end. */
  readonly wholeBytes: number
  readonly size: number
}

const nameOf = (sequence: number): string => `${String(sequence).padStart(20, '0')}.jsonl`

/** The audit's files of a directory, oldest first. */
export function auditFileNames(names: readonly string[]): string[] {
  return names.filter((name) => /^\d{20}\.jsonl$/.test(name)).sort()
}

export class AuditFiles {
  readonly #disk: Disk
  readonly #options: AuditFileOptions
  /** The file that is written; null = the next record begins a new one. */
  #current: { readonly name: string; readonly size: number } | null = null
  #names: string[] = []
  #lastSequence = -1

  constructor(disk: Disk, options: AuditFileOptions) {
    this.#disk = disk
    this.#options = options
  }

  /**
   * Reads what is there. `toldSequence`: the newest record that the topic has; what is older was synced here before, so that damage to it
   * is not a power cut's: it stays as it is, and a new file begins. Rejects with a DiskError when it cannot be read; it may be called again.
   */
  async open(toldSequence: number): Promise<AuditFileTail> {
    const { directory } = this.#options
    const entries = await this.#disk.list(directory)
    this.#names = auditFileNames(entries.map(({ name }) => name))
    this.#current = null
    const newest = this.#names.at(-1)
    this.#lastSequence = -1
    if (newest === undefined) return { last: null, bytesCut: 0, endsCleanly: true }
    const nothing = { fromSequence: Number.POSITIVE_INFINITY, linesMax: 0 }
    const before = this.#names.at(-2)
    const { last: own, wholeBytes, size } = await this.#read(newest, nothing)
    const last = own ?? (before === undefined ? null : (await this.#read(before, nothing)).last)
    this.#lastSequence = last?.sequence ?? -1
    if (size > wholeBytes && this.#lastSequence < toldSequence) return { last, bytesCut: 0, endsCleanly: false }
    if (size > wholeBytes) {
      const path = `${directory}/${newest}`
      await this.#disk.submit([
        { kind: 'truncate', path, size: wholeBytes },
        { kind: 'sync', path },
      ])
    }
    this.#current = { name: newest, size: wholeBytes }
    const endsCleanly = size === wholeBytes && (last === null || last.type === auditTypes.stopped.type)
    return { last, bytesCut: size - wholeBytes, endsCleanly }
  }

  /** The newest record; -1 = there is none. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  /** The next whole records behind one, oldest first, as far as the files have them; they begin later where the oldest files are gone. */
  async since(sequence: number, linesMax: number): Promise<readonly AuditLine[]> {
    const lines: AuditLine[] = []
    const begins = this.#names.map((name) => Number(name.slice(0, 20)))
    const holding = begins.findLastIndex((first) => first <= sequence + 1)
    for (const name of this.#names.slice(Math.max(0, holding))) {
      const read = await this.#read(name, { fromSequence: sequence + 1, linesMax: linesMax - lines.length })
      lines.push(...read.lines)
      if (lines.length >= linesMax) break
    }
    return lines
  }

  /** The next record begins a new file. */
  beginNew(): void {
    this.#current = null
  }

  /** Writes and syncs. Rejects with a DiskError; the same lines may be handed over again then. */
  async append(lines: readonly AuditLine[]): Promise<void> {
    const { directory, fileBytesMax, filesMax } = this.#options
    const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''))
    let { name, size } = this.#current ?? { name: '', size: 0 }
    const isNew = name === '' || (size > 0 && size + bytes.length > fileBytesMax)
    if (isNew) {
      name = nameOf(lines[0]?.sequence ?? 0)
      size = 0
    }
    const path = `${directory}/${name}`
    const operations: DiskOperation[] = [
      ...(isNew
        ? [{ kind: 'makeDirectory', path: directory } as const, { kind: 'writeFile', path, bytes } as const]
        : []),
      ...(isNew ? [] : [{ kind: 'write', path, position: size, chunks: [bytes] } as const]),
      { kind: 'sync', path },
      ...(isNew
        ? [directory, parentOf(directory)].map((each) => ({ kind: 'syncDirectory', path: each }) as const)
        : []),
    ]
    await this.#disk.submit(operations)
    this.#current = { name, size: size + bytes.length }
    this.#lastSequence = lines.at(-1)?.sequence ?? this.#lastSequence
    if (!isNew) return
    if (this.#names.at(-1) !== name) this.#names.push(name)
    const old = this.#names.slice(0, Math.max(0, this.#names.length - filesMax))
    if (old.length === 0) return
    // What cannot be removed now is removed with the next.
    await this.#disk.submit(old.map((each) => ({ kind: 'unlink', path: `${directory}/${each}` }))).then(
      () => this.#names.splice(0, old.length),
      () => {},
    )
    for (const each of old) this.#disk.forget(`${directory}/${each}`)
  }

  /** Reads the records that are whole and follow from each other, a piece at a time: nothing waits for a whole file. */
  async #read(name: string, wanted: { fromSequence: number; linesMax: number }): Promise<ReadFile> {
    const path = `${this.#options.directory}/${name}`
    const size = (await this.#disk.size(path)) ?? 0
    const lines: AuditLine[] = []
    let last: ReadAuditLine | null = null
    let wholeBytes = 0
    for (let piece = pieceBytes; wholeBytes < size; ) {
      const bytes = await this.#disk.read(path, wholeBytes, Math.min(piece, size - wholeBytes))
      let at = 0
      for (let end = bytes.indexOf(newLine); end !== -1; end = bytes.indexOf(newLine, at)) {
        const read = readAuditLine(Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('utf8'))
        // Sectors reach the medium in any order: whole lines may stand behind a broken one.
        if (typeof read === 'string' || !follows(read, last)) return { last, lines, wholeBytes: wholeBytes + at, size }
        at = end + 1
        last = read
        if (read.sequence < wanted.fromSequence) continue
        lines.push({ sequence: read.sequence, hash: read.hash, text: read.text })
        if (lines.length >= wanted.linesMax) return { last, lines, wholeBytes: wholeBytes + at, size }
      }
      wholeBytes += at
      // A line that is longer than a piece is none of ours.
      if (at === 0 && (piece > pieceBytes || bytes.length < piece)) break
      piece = at === 0 ? auditLineBytesMax + pieceBytes : pieceBytes
    }
    return { last, lines, wholeBytes, size }
  }
}

/** The first record after a stop may tell of a gap in front of it. */
function follows(line: ReadAuditLine, before: ReadAuditLine | null): boolean {
  return before === null || line.previousHash === before.hash || line.type === auditTypes.resumed.type
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

const newLine = 0x0a
/** Some hundred records, each of which is hashed. */
const pieceBytes = 65_536
/** Most that is written at once. */
export const setBytesMax = 262_144
