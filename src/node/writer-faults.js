/** What the writer thread says of failed calls, and what it asks of paths. */
import { constants } from 'node:os'

export const unsupported = -constants.errno.EOPNOTSUPP

/** @param {() => void} call */
export function ignoreMissing(call) {
  try {
    call()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/**
 * @param {string} path
 * @param {string} root
 */
export function isUnder(path, root) {
  return path === root || (path.startsWith(root) && path[root.length] === '/')
}

/** @param {number} result of the add-on, negative when it failed */
export function check(result) {
  if (result < 0) throw Object.assign(new Error('the add-on has failed'), { code: nameOf(result) })
}

/**
 * The name of an error number as the add-on answers it, negative.
 * @param {number} error
 */
export function nameOf(error) {
  // It has two names on Linux.
  if (error === unsupported) return 'EOPNOTSUPP'
  return Object.entries(constants.errno).find(([, number]) => number === -error)?.[0] ?? 'EIO'
}

/** @param {unknown} error */
export function codeOf(error) {
  const code = /** @type {{ code?: unknown }} */ (error)?.code
  return typeof code === 'string' ? code : String(error)
}

/** Errors of descriptors that had to be synced before their time, by path, until somebody syncs it. */
export class LostErrors {
  /** @type {Map<string, string>} */
  #codes = new Map()

  get size() {
    return this.#codes.size
  }

  /**
   * @param {string} path
   * @param {string} code
   */
  set(path, code) {
    this.#codes.set(path, code)
  }

  /**
   * Whoever syncs the path is told.
   * @param {string} path
   */
  fail(path) {
    if (this.#codes.size === 0) return
    const lost = this.#codes.get(path) ?? (this.#codes.size > lostErrorsMax ? 'EIO' : undefined)
    if (lost === undefined) return
    this.#codes.delete(path)
    throw Object.assign(new Error('an earlier sync failed'), { code: lost })
  }

  /** @param {string} path */
  delete(path) {
    this.#codes.delete(path)
  }

  /**
   * @param {string} from
   * @param {string} to
   */
  renamed(from, to) {
    for (const [path, code] of [...this.#codes]) {
      if (!isUnder(path, from)) continue
      this.#codes.delete(path)
      this.#codes.set(to + path.slice(from.length), code)
    }
  }
}

/** Beyond this many every sync fails: a device that bad is lost. */
const lostErrorsMax = 1024
