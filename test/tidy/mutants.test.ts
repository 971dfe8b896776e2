/** Deliberate bugs of the crash and the attack suite and of the explorer still find the text that they break. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mutants as attackMutants } from '../attack/mutants.ts'
import { mutants as crashMutants } from '../crash/mutants.ts'
import { mutants as explorerMutants } from '../explore/mutants.ts'

const root = join(import.meta.dirname, '..', '..')

const editsOf = (mutants: typeof crashMutants | typeof attackMutants) =>
  mutants.flatMap(({ name, edits }) => edits.map((edit) => ({ name, ...edit })))

describe.each([
  ['crash', editsOf(crashMutants)],
  ['attack', editsOf(attackMutants)],
  ['explorer', editsOf(explorerMutants)],
] as const)('a mutant of the %s suite', (_, edits) => {
  test.each(edits)('$name: its text stands in $file, and it changes it', ({ file, from, to }) => {
    expect(readFileSync(join(root, file), 'utf8')).toContain(from)
    expect(to).not.toBe(from)
  })
})
