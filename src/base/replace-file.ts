/** How a file is replaced, in steps of the Disk port. */
import type { DiskOperation } from './ports.ts'

type Sync = Extract<DiskOperation, { readonly kind: 'sync' }>

/** A crash leaves the old content or the new one; a `syncDirectory` has to follow. */
export function replaceFile(path: string, bytes: Uint8Array): readonly [DiskOperation, Sync, DiskOperation] {
  const temporary = `${path}.tmp`
  return [
    { kind: 'writeFile', path: temporary, bytes },
    { kind: 'sync', path: temporary },
    { kind: 'rename', from: temporary, to: path },
  ]
}
