/** The check-list of attacks is whole, and the tests that it names are there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { attackRows } from '../attack/checklist.ts'

const texts = new Map<string, string>()

function textOf(file: string): string {
  const known = texts.get(file) ?? readFileSync(join(import.meta.dirname, '..', file), 'utf8')
  texts.set(file, known)
  return known
}

describe('the check-list of attacks', () => {
  it('has each of its 33 rows once, in order', () => {
    expect(attackRows.map(({ id }) => id)).toEqual(Array.from({ length: 33 }, (_, at) => `A${at + 1}`))
  })

  it('names a test for each, or says what is open', () => {
    expect(attackRows.filter(({ shownBy, open }) => shownBy.length === 0 && open === '').map(({ id }) => id)).toEqual(
      [],
    )
  })

  it.each(attackRows.flatMap(({ id, shownBy }) => shownBy.map(([file, name]) => [id, file, name] as const)))(
    '%s is shown by %s: %s',
    (_, file, name) => {
      const written = textOf(file).replaceAll("\\'", "'")
      expect(written.includes(name)).toBe(true)
    },
  )
})
