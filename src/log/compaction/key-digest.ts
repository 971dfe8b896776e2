/** The digest by which keys are told apart: two keys with the same one would cost a record, so it is a cryptographic hash. */
import { hash } from 'node:crypto'

/** Bytes of the digest that count. */
export const digestBytes = 16

/** At least `digestBytes` bytes. */
export function digestOf(key: Uint8Array): Uint8Array {
  return hash('sha256', key, 'buffer')
}
