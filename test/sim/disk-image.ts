/**
 * The file system of one simulated host, as it survives restarts: a tree in the page cache and a tree on the device.
 *
 * The model is as strict as POSIX allows and stricter than ext4 is: a new, renamed or removed name is on the device only after
 * `syncDirectory` of its directory. A power cut keeps, for every set of names tied together by renames, a seeded number of
 * the first changes. A rename is one change, also between directories.
 */
import { mix, mixText } from './digest.ts'
import type { Prng } from './prng.ts'
import { SimFile } from './sim-file.ts'

/** Above this many unsynced names the file system commits the older half on its own, as a journalling one does in time. */
const namesPendingMax = 1024

export class SimDirectory {
  readonly id: number
  entries = new Map<string, SimNode>()
  durableEntries = new Map<string, SimNode>()
  constructor(id: number) {
    this.id = id
  }
}

export type SimNode = SimFile | SimDirectory

interface NameChange {
  readonly order: number
  readonly directory: SimDirectory
  readonly name: string
  /** Null: the name is removed. */
  readonly node: SimNode | null
  /** A rename removes this name too. */
  readonly from: { readonly directory: SimDirectory; readonly name: string } | null
}

/** The system's error of a failed operation. */
export class ImageError extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

export class DiskImage {
  #directoryId = 0
  #changes = 0
  #root = this.#newDirectory()
  #pending: NameChange[] = []
  /** What an unprivileged writer may use; writes beyond it fail with ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY
  /** Bytes of all files by their size. */
  usedBytes = 0

  /** A file system with the same past and a future of its own. Bytes are shared until one of the two changes them. */
  fork(): DiskImage {
    const copy = new DiskImage()
    copy.#directoryId = this.#directoryId
    copy.#changes = this.#changes
    copy.capacityBytes = this.capacityBytes
    copy.usedBytes = this.usedBytes
    const copies = new Map<SimNode, SimNode>()
    const copyOf = <N extends SimNode>(node: N): N => {
      const known = copies.get(node)
      if (known !== undefined) return known as N
      if (node instanceof SimFile) {
        const file = node.fork()
        copies.set(node, file)
        return file as N
      }
      const directory = new SimDirectory(node.id)
      copies.set(node, directory)
      for (const [name, entry] of node.entries) directory.entries.set(name, copyOf(entry))
      for (const [name, entry] of node.durableEntries) directory.durableEntries.set(name, copyOf(entry))
      return directory as N
    }
    copy.#root = copyOf(this.#root)
    copy.#pending = this.#pending.map((change) => ({
      ...change,
      directory: copyOf(change.directory),
      node: change.node === null ? null : copyOf(change.node),
      from: change.from === null ? null : { ...change.from, directory: copyOf(change.from.directory) },
    }))
    return copy
  }

  /** The node at an absolute path, or null. */
  find(path: string): SimNode | null {
    let node: SimNode = this.#root
    for (const name of partsOf(path)) {
      if (!(node instanceof SimDirectory)) return null
      const next = node.entries.get(name)
      if (!next) return null
      node = next
    }
    return node
  }

  /** The file at a path; ENOENT or EISDIR. */
  file(path: string): SimFile {
    const node = this.find(path)
    if (!node) throw new ImageError('ENOENT')
    if (node instanceof SimDirectory) throw new ImageError('EISDIR')
    return node
  }

  /** Paths of all files, in the order of their names. */
  filePaths(): string[] {
    const paths: string[] = []
    const walk = (directory: SimDirectory, prefix: string): void => {
      for (const [name, node] of directory.entries) {
        if (node instanceof SimFile) paths.push(`${prefix}/${name}`)
        else walk(node, `${prefix}/${name}`)
      }
    }
    walk(this.#root, '')
    return paths.sort()
  }

  /** Tells what a start finds from what it finds on another medium. */
  digest(): number {
    const digestOf = (directory: SimDirectory): number => {
      // Sums: the order of names is that of their changes.
      let sum = 0
      for (const [name, node] of directory.entries) {
        const own = node instanceof SimFile ? node.digest : mix(digestOf(node), 1)
        sum = (sum + mix(mixText(0, name), own)) % 2 ** 52
      }
      return sum
    }
    return mix(digestOf(this.#root), Math.min(this.capacityBytes, 2 ** 50))
  }

  openOrCreate(path: string): SimFile {
    const { directory, name } = this.#parentOf(path)
    const present = directory.entries.get(name)
    if (present instanceof SimDirectory) throw new ImageError('EISDIR')
    if (present) return present
    const file = new SimFile()
    this.#change({ directory, name, node: file, from: null })
    return file
  }

  /** Writes as much as fits; ENOSPC when that was not all. */
  write(path: string, position: number, chunks: readonly Uint8Array[]): void {
    if (!Number.isSafeInteger(position)) throw new ImageError('EINVAL')
    const file = this.openOrCreate(path)
    let at = position
    for (const chunk of chunks) {
      const room = Math.max(0, this.capacityBytes - this.usedBytes + file.takenBytes - at)
      const part = chunk.length <= room ? chunk : chunk.subarray(0, room)
      this.#resized(file, () => file.write(at, part))
      at += part.length
      if (part.length < chunk.length) throw new ImageError('ENOSPC')
    }
  }

  truncate(path: string, size: number): void {
    const file = this.file(path)
    this.#resized(file, () => file.truncate(size))
  }

  /** Room for a file up to a size, taken or ENOSPC. */
  reserve(path: string, size: number): void {
    const file = this.file(path)
    const more = size - file.takenBytes
    if (more > this.capacityBytes - this.usedBytes) throw new ImageError('ENOSPC')
    this.#resized(file, () => {
      file.reserve(size)
    })
  }

  rename(from: string, to: string): void {
    const source = this.#parentOf(from)
    const target = this.#parentOf(to)
    const node = source.directory.entries.get(source.name)
    if (!node) throw new ImageError('ENOENT')
    const replaced = target.directory.entries.get(target.name)
    if (replaced === node) return
    if (replaced instanceof SimDirectory) {
      if (!(node instanceof SimDirectory)) throw new ImageError('EISDIR')
      if (replaced.entries.size > 0) throw new ImageError('ENOTEMPTY')
    } else if (replaced && node instanceof SimDirectory) throw new ImageError('ENOTDIR')
    if (replaced instanceof SimFile) this.usedBytes -= replaced.takenBytes
    this.#change({ ...target, node, from: source })
  }

  unlink(path: string): void {
    const node = this.find(path)
    if (!node) return
    if (node instanceof SimDirectory) throw new ImageError('EISDIR')
    this.usedBytes -= node.takenBytes
    this.#change({ ...this.#parentOf(path), node: null, from: null })
  }

  makeDirectory(path: string): void {
    let directory = this.#root
    for (const name of partsOf(path)) {
      let next = directory.entries.get(name)
      if (next instanceof SimFile) throw new ImageError('ENOTDIR')
      if (!next) {
        next = this.#newDirectory()
        this.#change({ directory, name, node: next, from: null })
      }
      directory = next
    }
  }

  removeDirectory(path: string): void {
    const node = this.find(path)
    if (!node) return
    if (!(node instanceof SimDirectory)) throw new ImageError('ENOTDIR')
    if (node.entries.size > 0) throw new ImageError('ENOTEMPTY')
    this.#change({ ...this.#parentOf(path), node: null, from: null })
  }

  syncDirectory(path: string): void {
    const node = this.find(path)
    if (!node) throw new ImageError('ENOENT')
    if (!(node instanceof SimDirectory)) throw new ImageError('ENOTDIR')
    const rest: NameChange[] = []
    for (const group of tiedChanges(this.#pending)) {
      const count = 1 + group.findLastIndex((change) => change.directory === node || change.from?.directory === node)
      for (const change of group.slice(0, count)) applyToDevice(change)
      rest.push(...group.slice(count))
    }
    this.#pending = rest
  }

  /**
   * A power cut: what is not on the device is gone, but for the seeded part that happened to make it. `tornShare`: of the sectors
   * that did not make it, those that did in a part.
   */
  crash(prng: Prng, tornShare = 0): void {
    for (const group of tiedChanges(this.#pending)) {
      const kept = prng.pick([0, group.length, prng.between(0, group.length)])
      for (const change of group.slice(0, kept)) applyToDevice(change)
    }
    this.#pending = []
    this.usedBytes = 0
    this.#revive(this.#root, prng, tornShare)
  }

  #revive(directory: SimDirectory, prng: Prng, tornShare: number): void {
    directory.entries = new Map(directory.durableEntries)
    for (const node of directory.entries.values()) {
      if (node instanceof SimDirectory) this.#revive(node, prng, tornShare)
      else {
        node.crash(prng, tornShare)
        this.usedBytes += node.takenBytes
      }
    }
  }

  #newDirectory(): SimDirectory {
    return new SimDirectory(this.#directoryId++)
  }

  #parentOf(path: string): { directory: SimDirectory; name: string } {
    const parts = partsOf(path)
    const name = parts.at(-1)
    if (name === undefined) throw new ImageError('EINVAL')
    let directory = this.#root
    for (let at = 0; at < parts.length - 1; at++) {
      const next = directory.entries.get(parts[at] as string)
      if (!next) throw new ImageError('ENOENT')
      if (!(next instanceof SimDirectory)) throw new ImageError('ENOTDIR')
      directory = next
    }
    return { directory, name }
  }

  #change(unordered: Omit<NameChange, 'order'>): void {
    const change = { ...unordered, order: this.#changes++ }
    change.from?.directory.entries.delete(change.from.name)
    if (change.node) change.directory.entries.set(change.name, change.node)
    else change.directory.entries.delete(change.name)
    this.#pending.push(change)
    if (this.#pending.length > namesPendingMax) {
      for (const old of this.#pending.splice(0, namesPendingMax / 2)) applyToDevice(old)
    }
  }

  #resized(file: SimFile, change: () => void): void {
    const before = file.takenBytes
    change()
    this.usedBytes += file.takenBytes - before
  }
}

/** Names of paths that were asked for: the same few come again and again. */
const partsByPath = new Map<string, readonly string[]>()
const pathsMax = 4096

function partsOf(path: string): readonly string[] {
  const known = partsByPath.get(path)
  if (known !== undefined) return known
  if (!path.startsWith('/')) throw new ImageError('EINVAL')
  const parts = path.split('/').filter((part) => part !== '')
  if (partsByPath.size >= pathsMax) partsByPath.clear()
  partsByPath.set(path, parts)
  return parts
}

function applyToDevice(change: NameChange): void {
  change.from?.directory.durableEntries.delete(change.from.name)
  if (change.node) change.directory.durableEntries.set(change.name, change.node)
  else change.directory.durableEntries.delete(change.name)
}

/** The changes grouped by names that renames tie together; each group in its order. */
function tiedChanges(changes: readonly NameChange[]): NameChange[][] {
  const groups = new Map<string, NameChange[]>()
  for (const change of changes) {
    const key = `${change.directory.id}/${change.name}`
    const group = groups.get(key) ?? []
    group.push(change)
    groups.set(key, group)
    if (!change.from) continue
    const fromKey = `${change.from.directory.id}/${change.from.name}`
    const other = groups.get(fromKey)
    if (other !== undefined && other !== group) {
      group.push(...other)
      group.sort((left, right) => left.order - right.order)
      for (const [name, present] of groups) if (present === other) groups.set(name, group)
    }
    groups.set(fromKey, group)
  }
  return [...new Set(groups.values())]
}
