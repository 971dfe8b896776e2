/** The descriptors that the writer thread keeps open: found by path, and each in the order of its kind. */

/**
 * @typedef {{ fd: number, path: string, isDirty: boolean, flush: number, mark: number, isForeign: boolean,
 *   older: Descriptor | null, newer: Descriptor | null }} Descriptor `fd`: -1 = it has been closed; `isDirty`: it has unsynced bytes; `flush`:
 * the newest one that has asked it for its error; `mark`: the one that its newest write carries; `isForeign`: its file is not on the file
 * system of the guard
 */

/** A chain of descriptors: thousands change their place with every commit, and a map by path is slower by far than two neighbours. */
export class DescriptorChain {
  size = 0
  /** @type {Descriptor | null} */
  oldest = null
  /** @type {Descriptor | null} */
  #newest = null

  /** @param {Descriptor} descriptor that is in no chain */
  push(descriptor) {
    descriptor.older = this.#newest
    descriptor.newer = null
    if (this.#newest === null) this.oldest = descriptor
    else this.#newest.newer = descriptor
    this.#newest = descriptor
    this.size++
  }

  /** @param {Descriptor} descriptor that is in this chain */
  remove(descriptor) {
    const { older, newer } = descriptor
    if (older === null) this.oldest = newer
    else older.newer = newer
    if (newer === null) this.#newest = older
    else newer.older = older
    descriptor.older = null
    descriptor.newer = null
    this.size--
  }

  /** All of them, oldest first: they may leave the chain meanwhile. */
  all() {
    const all = []
    for (let each = this.oldest; each !== null; each = each.newer) all.push(each)
    return all
  }
}

/** Paths by the numbers that commands carry, with the descriptor that was found for each. */
export class NamedPaths {
  /** @type {string[]} */
  #paths = []
  /** @type {(Descriptor | undefined)[]} */
  #found = []

  /**
   * @param {number} name
   * @param {string} path
   */
  set(name, path) {
    this.#paths[name] = path
    this.#found[name] = undefined
  }

  /** @param {number} name */
  pathOf(name) {
    return this.#paths[name] ?? ''
  }

  /**
   * The open descriptor that was found for the name, if it is still that of its path; else the one that is opened now.
   * @param {number} name
   * @param {(path: string) => Descriptor} open
   */
  descriptorOf(name, open) {
    const path = this.pathOf(name)
    const found = this.#found[name]
    if (found !== undefined && found.fd >= 0 && found.path === path) return found
    const opened = open(path)
    this.#found[name] = opened
    return opened
  }
}

/**
 * @param {Map<string, Descriptor>} byPath
 * @param {string} from
 * @param {string} to
 */
export function rename(byPath, from, to) {
  const descriptor = byPath.get(from)
  if (descriptor === undefined) return
  byPath.delete(from)
  descriptor.path = to
  byPath.set(to, descriptor)
}
