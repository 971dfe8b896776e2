/**
 * The crash explorer as a command.
 *
 *   run.ts [--seconds N] [--from HISTORY] [--to HISTORY] [--variants N]
 *       histories one after another, the last one left out; prints how many states it has seen, also each minute. Processes with ranges
 *       of their own share a search.
 *   run.ts --state HISTORY.OPERATION.VARIANT                one state again
 *   run.ts --mutants [--mutant NAME] [--quick] [--record]             every deliberate bug must be found
 */
import { parseArgs } from 'node:util'
import { findMutants } from './mutants-run.ts'
import { exploreHistory, formatStateName, parseStateName, replayState, type Search } from './explorer.ts'

/** A line says how far it has come. */
const progressMs = 60_000

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    from: { type: 'string', default: '1' },
    to: { type: 'string', default: '1000000000' },
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
  let toldMs = startMs
  for (let history = Number(flags.from); history < Number(flags.to); history++) {
    if (Date.now() >= endMs || search.found !== null) break
    await exploreHistory(history, Number(flags.variants), search)
    if (Date.now() < toldMs + progressMs) continue
    toldMs = Date.now()
    console.log(`explorer: up to history ${history}: ${figuresOf(search, startMs)}`)
  }
  console.log(`explorer: ${figuresOf(search, startMs)}`)
  if (search.found === null) return 0
  const name = formatStateName(search.found.name)
  console.log(`  broken: ${search.found.sentence}\n  again: npm run test:explore -- --state ${name}`)
  return 1
}

/** What was seen so far, how long it took, and what it took of the processor: the machine may do other things besides. */
function figuresOf({ states, histories }: Search, startMs: number): string {
  const seconds = (Date.now() - startMs) / 1000
  const { user, system } = process.cpuUsage()
  const processorSeconds = (user + system) / 1e6
  const rates = `${Math.round(states / seconds)} a second, ${Math.round(states / processorSeconds)} a second of processor time`
  return `${states} different crash states of ${histories} histories in ${seconds.toFixed(1)} s, ${rates}`
}

process.exitCode = await main()
