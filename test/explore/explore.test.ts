/** Crash states of the log engine, one history after another; `npm run test:explore` goes on where this ends. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exploreHistory, formatStateName, type Search } from './explorer.ts'
import { mutants } from './mutants.ts'

const statesMin = 20_000

test(`what was promised holds after each of ${statesMin} crashes`, { timeout: 300_000 }, async () => {
  const search: Search = { histories: 0, states: 0, found: null }
  for (let history = 1; search.states < statesMin && search.found === null; history++) {
    await exploreHistory(history, 1, search)
  }
  console.log(`explorer: ${search.states} crash states of ${search.histories} histories`)
  const { found } = search
  const again = found === null ? '' : `npm run test:explore -- --state ${formatStateName(found.name)}`
  expect(found === null ? 'every promise holds' : `${found.sentence}; again: ${again}`).toBe('every promise holds')
})

describe('the explorer finds an engine in which', () => {
  // Their sources are loaded once more with the bug in them, in a process of its own.
  const run = spawnSync('sh', ['tools/with-node', 'node', 'test/explore/run.ts', '--mutants', '--quick'], {
    cwd: join(import.meta.dirname, '..', '..'),
    encoding: 'utf8',
  })
  const lines = new Map(
    run.stdout.split('\n').flatMap((line) => {
      const match = /^mutant ([\w-]+): (.*)$/.exec(line)
      return match === null ? [] : [[match[1] as string, match[2] as string] as const]
    }),
  )

  test.each([...mutants])('it is not so that $breaks', ({ name }) => {
    expect(lines.get(name) ?? `${run.stdout}${run.stderr}`).toMatch(/^found by /)
  })
})
