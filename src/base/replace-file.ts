/** How a file is replaced, in steps of the Disk port. */
import type { DiskOperation } from './ports.ts'

/** A crash leaves the old content or the new one; a `syncDirectory` has to follow. */
export function replaceFile(path: string, bytes: Uint8Array): readonly [DiskOperation, DiskOperation, DiskOperation] {
  const temporary = `${path}.tmp`
  return [
    { kind: 'writeFile', path: temporary, bytes },
    { kind: 'sync', path: temporary },
    { kind: 'rename', from: temporary, to: path },
  ]
}
