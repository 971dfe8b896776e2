/**
 * The crash explorer as a command.
 *
 *   run.ts [--seconds N] [--first HISTORY] [--variants N]   histories one after another; prints how many states it has seen
 *   run.ts --state HISTORY.OPERATION.VARIANT                one state again
 *   run.ts --mutants [--mutant NAME] [--quick] [--record]             every deliberate bug must be found
 */
import { parseArgs } from 'node:util'
import { findMutants } from './mutants-run.ts'
import { exploreHistory, formatStateName, parseStateName, replayState, type Search } from './explorer.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    first: { type: 'string', default: '1' },
    variants: { type: 'string', default: '4' },
    state: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    record: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
})

async function main(): Promise<number> {
  if (flags.mutants || flags.mutant !== undefined) {
    return (await findMutants({ name: flags.mutant ?? null, isRecording: flags.record, isQuick: flags.quick })) ? 0 : 1
  }
  if (flags.state !== undefined) {
    const sentence = await replayState(parseStateName(flags.state))
    console.log(`state ${flags.state}: ${sentence ?? 'every promise holds'}`)
    return sentence === null ? 0 : 1
  }
  const search: Search = { histories: 0, states: 0, found: null }
  const startMs = Date.now()
  const endMs = startMs + Number(flags.seconds) * 1000
  for (let history = Number(flags.first); Date.now() < endMs && search.found === null; history++) {
    await exploreHistory(history, Number(flags.variants), search)
  }
  const seconds = (Date.now() - startMs) / 1000
  const rate = Math.round(search.states / seconds)
  console.log(
    `explorer: ${search.states} crash states of ${search.histories} histories in ${seconds.toFixed(1)} s, ${rate} a second`,
  )
  if (search.found === null) return 0
  const name = formatStateName(search.found.name)
  console.log(`  broken: ${search.found.sentence}\n  again: npm run test:explore -- --state ${name}`)
  return 1
}

process.exitCode = await main()
