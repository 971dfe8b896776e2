/**
 * The audit as files: `dataDir/state/audit/<first sequence>.jsonl`. Lines are appended and synced; a file that is full is followed by a
 * new one, and the oldest go.
 */
import type { Disk, DiskOperation } from '../../base/ports.ts'
import { type AuditLine, type ReadAuditLine, readAuditLine } from './audit-line.ts'
import { auditTypes } from './audit-types.ts'

export interface AuditFileOptions {
  /** Absolute. */
  readonly directory: string
  readonly fileBytesMax: number
  readonly filesMax: number
}

/** What the files end with. */
export interface AuditFileTail {
  /** The newest records, oldest first: those of the last two files, as far as they are whole. */
  readonly lines: readonly AuditLine[]
  /** Bytes of a record that a power cut has left half-written; they are gone. */
  readonly bytesCut: number
  readonly endsCleanly: boolean
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
    if (newest === undefined) return { lines: [], bytesCut: 0, endsCleanly: true }
    const before = this.#names.at(-2)
    const older = before === undefined ? [] : (await this.#read(before)).lines
    const { lines, wholeBytes, size } = await this.#read(newest)
    const all = [...older, ...lines]
    const last = all.at(-1)
    if (size > wholeBytes && (last?.sequence ?? -1) < toldSequence)
      return { lines: all, bytesCut: 0, endsCleanly: false }
    if (size > wholeBytes) {
      const path = `${directory}/${newest}`
      await this.#disk.submit([
        { kind: 'truncate', path, size: wholeBytes },
        { kind: 'sync', path },
      ])
    }
    this.#current = { name: newest, size: wholeBytes }
    const endsCleanly = size === wholeBytes && (last === undefined || last.type === auditTypes.stopped.type)
    return { lines: all, bytesCut: size - wholeBytes, endsCleanly }
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

  /** The lines at the start of a file that are whole and follow from each other. */
  async #read(name: string): Promise<{ lines: ReadAuditLine[]; wholeBytes: number; size: number }> {
    const { directory, fileBytesMax } = this.#options
    const path = `${directory}/${name}`
    const size = (await this.#disk.size(path)) ?? 0
    if (size === 0) return { lines: [], wholeBytes: 0, size }
    // One set of records may be larger than a file should be.
    const bytes = await this.#disk.read(path, 0, Math.min(size, fileBytesMax + setBytesMax))
    const lines: ReadAuditLine[] = []
    let at = 0
    let wholeBytes = 0
    for (;;) {
      const end = bytes.indexOf(newLine, at)
      if (end === -1) break
      const read = readAuditLine(Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('utf8'))
      // Sectors reach the medium in any order: whole lines may stand behind a broken one.
      if (typeof read === 'string' || !follows(read, lines.at(-1))) break
      at = end + 1
      lines.push(read)
      wholeBytes = at
    }
    return { lines, wholeBytes, size }
  }
}

/** The first record after a stop may tell of a gap in front of it. */
function follows(line: ReadAuditLine, before: ReadAuditLine | undefined): boolean {
  return before === undefined || line.previousHash === before.hash || line.type === auditTypes.resumed.type
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

const newLine = 0x0a
/** Most that is written at once. */
export const setBytesMax = 262_144
