/** Crash states of the log engine, one history after another; `npm run test:explore` goes on where this ends. */
import { expect, test } from 'vitest'
import { exploreHistory, formatStateName, replayState, type Search } from './explorer.ts'

const statesMin = 20_000
const variants = 1

test(`what was promised holds after each of ${statesMin} crashes`, { timeout: 240_000 }, async () => {
  const search: Search = { histories: 0, states: 0, found: null }
  for (let history = 1; search.states < statesMin && search.found === null; history++) {
    await exploreHistory(history, variants, search)
  }
  console.log(`explorer: ${search.states} crash states of ${search.histories} histories`)
  const { found } = search
  const again = found === null ? '' : `npm run test:explore -- --state ${formatStateName(found.name)}`
  expect(found === null ? 'every promise holds' : `${found.sentence}; again: ${again}`).toBe('every promise holds')
})

test.each([
  ['1.64.2', 'a relaxed log that lost deleted records began with what had been deleted before them'],
  ['1.75.1', 'where it had begun once hid what was appended after that'],
  ['4.11.2', 'a start on a full disk failed for a file of the quorum'],
  ['5.352.3', 'a gap of deleted segments hid what a snapshot behind it knew of producers'],
])('state %s: %s', async (name, _) => {
  const [history, point, variant] = name.split('.').map(Number) as [number, number, number]
  expect(await replayState({ history, point, variant })).toBe(null)
})
