/** A small file of the kernel's or of a program's. */
import { readFileSync } from 'node:fs'

/** Without the blanks around it; null when it cannot be read. */
export function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return null
  }
}
