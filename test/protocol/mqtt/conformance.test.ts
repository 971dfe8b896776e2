import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { repositoryRoot } from '../../tidy/source-text.ts'
import { conformance5, testFiles } from './conformance-table.ts'

describe('the conformance table', () => {
  it('names tests that are there', () => {
    const texts = new Map(
      Object.entries(testFiles).map(([file, path]) => [file, readFileSync(join(repositoryRoot, path), 'utf8')]),
    )
    const missing = conformance5.flatMap(({ tests }) =>
      tests.filter(([file, name]) => !new RegExp(`['"]${escaped(name)}['"]`).test(texts.get(file) ?? '')),
    )
    expect(missing).toEqual([])
  })

  it('has each statement once, and a test or a word for it', () => {
    const ids = conformance5.flatMap((row) => row.ids)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
    expect(ids.filter((id) => !/^\d\.\d+(?:\.\d+)?-\d+$/.test(id))).toEqual([])
    expect(conformance5.filter(({ how, tests }) => tests.length === 0 && !how.startsWith('Do not apply'))).toEqual([])
  })
})

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
