/**
 * Descriptors for reading, kept by path, at most so many at a time.
 *
 * A file that is renamed or unlinked is dropped when the writer's group has completed, before anybody hears of it. A descriptor
 * that is being opened or read from at that moment serves that read and is then closed: the read began before the change.
 */
import fs from 'node:fs'

/** A descriptor in use; give it back with `release`. */
export interface ReadDescriptor {
  readonly fd: number
}

interface Entry extends ReadDescriptor {
  readonly path: string
  users: number
  isStale: boolean
}

interface Opening {
  isStale: boolean
  readonly entry: Promise<Entry>
}

export class ReadDescriptors {
  readonly #max: number
  /** Oldest use first. */
  readonly #entries = new Map<string, Entry>()
  readonly #opening = new Map<string, Opening>()
  /** Everything that counts against the limit: kept, being opened, stale but in use, being closed. */
  #openCount = 0
  /** Reads that wait for a place; bounded by those who read, each of whom waits for its own. */
  readonly #waiting: (() => void)[] = []

  constructor(descriptorsMax: number) {
    this.#max = descriptorsMax
  }

  get openCount(): number {
    return this.#openCount
  }

  /** The descriptor if it is at hand; it is only lent for this turn of the loop. */
  peek(path: string): ReadDescriptor | null {
    const entry = this.#entries.get(path)
    if (!entry) return null
    this.#entries.delete(path)
    this.#entries.set(path, entry)
    return entry
  }

  /** Opens the file when needed; rejects with the system's error. */
  async acquire(path: string): Promise<ReadDescriptor> {
    for (;;) {
      const present = this.peek(path) as Entry | null
      if (present) {
        present.users++
        return present
      }
      const opening = this.#opening.get(path)
      if (!opening) break
      // A failed open is the failure of whoever asked first; this reader tries for itself.
      await opening.entry.catch(() => {})
    }
    const opening: Opening = { isStale: false, entry: this.#open(path, () => opening.isStale) }
    this.#opening.set(path, opening)
    try {
      return await opening.entry
    } finally {
      if (this.#opening.get(path) === opening) this.#opening.delete(path)
    }
  }

  release(descriptor: ReadDescriptor): void {
    const entry = descriptor as Entry
    entry.users--
    if (entry.users > 0) return
    if (entry.isStale) this.#close(entry)
    else this.#wake()
  }

  /** Forgets the file, or every file below the directory, at this path. */
  drop(path: string, options: { readonly withTree: boolean }): void {
    this.#dropEntry(path)
    const opening = this.#opening.get(path)
    if (opening) this.#dropOpening(path, opening)
    if (!options.withTree) return
    const below = `${path}/`
    for (const name of [...this.#entries.keys()]) if (name.startsWith(below)) this.#dropEntry(name)
    for (const [name, other] of [...this.#opening]) if (name.startsWith(below)) this.#dropOpening(name, other)
  }

  /** Closes what is not in use. */
  close(): void {
    for (const path of [...this.#entries.keys()]) this.#dropEntry(path)
  }

  async #open(path: string, isStale: () => boolean): Promise<Entry> {
    while (this.#openCount >= this.#max && !this.#evict()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#openCount++
    try {
      const fd = await openForReading(path)
      const entry: Entry = { fd, path, users: 1, isStale: isStale() }
      if (!entry.isStale) this.#entries.set(path, entry)
      return entry
    } catch (error) {
      this.#openCount--
      this.#wake()
      throw error
    }
  }

  #dropEntry(path: string): void {
    const entry = this.#entries.get(path)
    if (!entry) return
    this.#entries.delete(path)
    entry.isStale = true
    if (entry.users === 0) this.#close(entry)
  }

  #dropOpening(path: string, opening: Opening): void {
    opening.isStale = true
    this.#opening.delete(path)
  }

  /** Closes the longest unused descriptor; false when all are in use. */
  #evict(): boolean {
    for (const entry of this.#entries.values()) {
      if (entry.users > 0) continue
      this.#entries.delete(entry.path)
      // Of a file that still has its name: closing is quick.
      fs.closeSync(entry.fd)
      this.#openCount--
      return true
    }
    return false
  }

  /** The last descriptor of an unlinked file frees its blocks when it is closed: not on the loop. */
  #close(entry: Entry): void {
    fs.close(entry.fd, () => {
      this.#openCount--
      this.#wake()
    })
  }

  #wake(): void {
    this.#waiting.shift()?.()
  }
}

function openForReading(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, 'r', (error, fd) => {
      if (error) reject(error)
      else resolve(fd)
    })
  })
}
