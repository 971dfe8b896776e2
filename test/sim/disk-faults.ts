/** Faults of a simulated disk: which operation fails, with what, how often. */
import type { DiskOperation } from '../../src/base/ports.ts'

/** `access`: the process may not write there, as it is told when it asks. */
export type FaultyOperation = DiskOperation['kind'] | 'read' | 'readFile' | 'access'

export interface DiskFault {
  readonly operation: FaultyOperation
  /** Only operations on a path that matches. */
  readonly path?: RegExp
  /** The system's code: EIO, ENOSPC, EROFS ... */
  readonly code: string
  /** Operations that match and succeed before the first failure; 0 when omitted. */
  readonly after?: number
  /** How many fail; every one when omitted. */
  readonly times?: number
}

/** The system has not opened the file, or changed no name. */
export const refusalCodes: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EMFILE', 'ENFILE'])

interface ArmedFault {
  readonly fault: DiskFault
  passed: number
  hits: number
}

export class DiskFaults {
  readonly #armed: ArmedFault[] = []
  /** Every change is refused with EROFS, as after the kernel remounted the file system. */
  readOnly = false

  /** Arms a fault; the answer disarms it. */
  add(fault: DiskFault): () => void {
    const armed = { fault, passed: 0, hits: 0 }
    this.#armed.push(armed)
    return () => {
      const at = this.#armed.indexOf(armed)
      if (at >= 0) this.#armed.splice(at, 1)
    }
  }

  clear(): void {
    this.#armed.length = 0
    this.readOnly = false
  }

  /** The code that this operation fails with, or null. Counts. */
  codeFor(operation: FaultyOperation, path: string): string | null {
    if (this.readOnly && operation !== 'read' && operation !== 'readFile') return 'EROFS'
    for (const armed of this.#armed) {
      const { fault } = armed
      if (fault.operation !== operation || (fault.path && !fault.path.test(path))) continue
      if (armed.passed < (fault.after ?? 0)) {
        armed.passed++
        continue
      }
      if (armed.hits >= (fault.times ?? Number.POSITIVE_INFINITY)) continue
      armed.hits++
      return fault.code
    }
    return null
  }
}
