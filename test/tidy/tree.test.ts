/** The rules of the house, held against the tree as it is. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { namedExceptions, styleFaults, testFaults, wordFaults, worldFaults } from './bans.ts'
import { cycleFaults, layerFaults, layers, roomOf } from './layers.ts'
import { repositoryRoot, sourceFiles } from './source-text.ts'

const source = sourceFiles('src')
const tests = sourceFiles('test')

describe('src', () => {
  it('imports only downwards', () => expect(layerFaults(source)).toEqual([]))
  it('has no cycles', () => expect(cycleFaults(source)).toEqual([]))
  it('touches the outside world only in src/node, src/admin and src/main.ts', () =>
    expect(worldFaults(source)).toEqual([]))
  it('keeps to the style', () => expect(styleFaults(source)).toEqual([]))

  it('has a README in each folder or the one above it, and no folder that is in no layer', () => {
    const folders = [...new Set(source.map((file) => dirname(file.path)))]
    const isDescribed = (folder: string) => folder !== 'src' && existsSync(join(repositoryRoot, folder, 'README.md'))
    expect(
      folders.filter((folder) => folder !== 'src' && !isDescribed(folder) && !isDescribed(dirname(folder))),
    ).toEqual([])
    expect(existsSync(join(repositoryRoot, 'src/README.md'))).toBe(true)
    const known = [...layers.flat(), 'node']
    expect(source.map((file) => roomOf(file.path)).filter((room) => !known.includes(room))).toEqual([])
  })

  it('has READMEs of at most 60 lines', () => {
    const long = trackedFiles()
      .filter((path) => path.startsWith('src/') && path.endsWith('/README.md') && path !== 'src/README.md')
      .filter((path) => readFileSync(join(repositoryRoot, path), 'utf8').trimEnd().split('\n').length > 60)
    expect(long).toEqual([])
  })

  it('uses every exception that is granted', () => {
    const unused = [...namedExceptions].filter(([path]) => !source.some((file) => file.path === path))
    expect(unused).toEqual([])
  })
})

describe('test', () => {
  it('hides no test and mocks nothing of ours', () =>
    expect(testFaults(tests.filter((file) => !file.path.startsWith('test/tidy/')))).toEqual([]))
  it('keeps to the style', () =>
    expect(styleFaults(tests.filter((file) => file.path !== 'test/tidy/scanners.test.ts'))).toEqual([]))
})

describe('the repository', () => {
  it('names no machine and no registry', () => {
    const texts = trackedFiles().filter(
      (path) => !/\.(?:node|bin|png|log|jar|gz)$/.test(path) && existsSync(join(repositoryRoot, path)),
    )
    const faults = texts.flatMap((path) => wordFaults(path, readFileSync(join(repositoryRoot, path), 'utf8')))
    expect(faults).toEqual([])
  })
})

function trackedFiles(): string[] {
  return execFileSync('git', ['ls-files', '-z'], { cwd: repositoryRoot, encoding: 'utf8', maxBuffer: 16_777_216 })
    .split('\0')
    .filter((path) => path !== '')
}
