/** Deliberate bugs of the crash and the attack suite still find the text that they break. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mutants as crashMutants } from '../crash/mutants.ts'

const root = join(import.meta.dirname, '..', '..')

describe('a mutant of the crash suite', () => {
  const edits = crashMutants.flatMap(({ name, edits: own }) => own.map((edit) => ({ name, ...edit })))
  test.each(edits)('$name: its text stands in $file, and it changes it', ({ file, from, to }) => {
    expect(readFileSync(join(root, file), 'utf8')).toContain(from)
    expect(to).not.toBe(from)
  })
})
