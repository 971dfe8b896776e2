import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { repositoryRoot } from '../../tidy/source-text.ts'
import { conformance5, testFiles } from './conformance-table.ts'
import { conformance311, ofClients311, statements311 } from './conformance-table-311.ts'

describe.each([
  ['5.0', conformance5],
  ['3.1.1', conformance311],
])('the conformance table of %s', (_, rows) => {
  it('names tests that are there', () => {
    const texts = new Map(
      Object.entries(testFiles).map(([file, path]) => [file, readFileSync(join(repositoryRoot, path), 'utf8')]),
    )
    const missing = rows.flatMap(({ tests }) =>
      tests.filter(([file, name]) => !new RegExp(`['"]${escaped(name)}['"]`).test(texts.get(file) ?? '')),
    )
    expect(missing).toEqual([])
  })

  it('has each statement once, and a test or a word for it', () => {
    const ids = rows.flatMap((row) => row.ids)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
    expect(ids.filter((id) => !/^\d\.\d+(?:\.\d+)?-\d+$/.test(id))).toEqual([])
    expect(rows.filter(({ how, tests }) => tests.length === 0 && !how.startsWith('Do not apply'))).toEqual([])
  })
})

describe('the statements of 3.1.1', () => {
  it('are each in the table, or bind clients alone', () => {
    const all = Object.entries(statements311).flatMap(([section, count]) =>
      Array.from({ length: count }, (_, index) => `${section}-${index + 1}`),
    )
    const accounted = [...conformance311.flatMap(({ ids }) => ids), ...ofClients311]
    expect(accounted.toSorted()).toEqual(all.toSorted())
  })
})

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
