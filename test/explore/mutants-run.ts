/**
 * Holds the explorer against its mutants: each must be found. A state that once killed a mutant is tried first; where the engine has
 * changed since and it does not any more, histories are searched for another. The same with the mutants that a test is to find: the one
 * that once failed first, then its whole file.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseStateName, replayState, type Search } from './explorer.ts'
import { explorerWith } from './mutant-loader.ts'
import { failuresOf } from './mutant-tests.ts'
import type { Mutant } from './mutant.ts'
import { mutants } from './mutants.ts'

const statesFile = join(import.meta.dirname, 'killing-states.json')
/** A mutant is searched for in so many histories, and so long: milliseconds of the processor, because the machine may do other things. */
const historiesMax = 2000
const searchMsMax = 120_000
const quickSearchMsMax = 2_000

export interface MutantsOptions {
  /** Only this one. */
  readonly name: string | null
  /** Search for another state only a little while. */
  readonly isQuick: boolean
  /** Write the killing states down. */
  readonly isRecording: boolean
}

/** Answers whether every mutant was found. Prints a line for each. */
export async function findMutants(options: MutantsOptions): Promise<boolean> {
  const known = JSON.parse(readFileSync(statesFile, 'utf8')) as Record<string, string>
  const chosen = mutants.filter(({ name }) => options.name === null || name === options.name)
  if (chosen.length === 0)
    throw new Error(`no mutant ${options.name}; there are ${mutants.map(({ name }) => name).join(', ')}`)
  const startMs = Date.now()
  let found = 0
  const tell = ({ name }: Mutant, kill: Kill | null): void => {
    if (kill !== null) {
      found++
      known[name] = kill.by
    }
    console.log(`mutant ${name}: ${kill === null ? 'NOT FOUND' : `found by ${kill.by}: ${kill.sentence}`}`)
  }
  const searchMs = options.isQuick ? quickSearchMsMax : searchMsMax
  for (const mutant of chosen.filter(({ test }) => test === undefined)) {
    tell(mutant, await findState(mutant, known[mutant.name] ?? null, searchMs))
  }
  const tested = chosen.filter(({ test }) => test !== undefined)
  const failures = await findTests(tested, known)
  for (const mutant of tested) {
    const by = failures.get(mutant.name)
    tell(mutant, by === undefined ? null : { by, sentence: `fails in ${mutant.test}` })
  }
  console.log(`explorer: ${found} of ${chosen.length} mutants found in ${((Date.now() - startMs) / 1000).toFixed(1)} s`)
  if (options.isRecording) writeFileSync(statesFile, `${JSON.stringify(known, null, 2)}\n`)
  return found === chosen.length
}

interface Kill {
  /** The name of the state, or of the test. */
  readonly by: string
  readonly sentence: string
}

/** The test that fails for each of these mutants, under the mutant's name: the one that once did, or else another of the file. */
async function findTests(
  tested: readonly Mutant[],
  known: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, string>> {
  const named = tested.flatMap((mutant) => {
    const testName = known[mutant.name]
    return testName === undefined ? [] : [{ mutant, testName }]
  })
  const asBefore = await failuresOf(named)
  const left = tested.filter(({ name }) => !asBefore.has(name))
  const others = await failuresOf(left.map((mutant) => ({ mutant, testName: null })))
  return new Map([...asBefore, ...others])
}

async function findState(mutant: Mutant, state: string | null, searchMs: number): Promise<Kill | null> {
  const explorer = await explorerWith(mutant)
  if (state !== null) {
    const sentence = await explorer.replayState(explorer.parseStateName(state)).catch(String)
    if (sentence !== null && (await holdsWithout(mutant, state))) return { by: state, sentence }
  }
  const endMs = processorMs() + searchMs
  for (let history = 1; history <= historiesMax && processorMs() < endMs; history++) {
    const search: Search = { histories: 0, states: 0, found: null }
    await explorer.exploreHistory(history, 1, search)
    if (search.found === null) continue
    const found = explorer.formatStateName(search.found.name)
    if (await holdsWithout(mutant, found)) return { by: found, sentence: search.found.sentence }
  }
  return null
}

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** A state that the engine as it is does not survive either says nothing of the mutant. */
async function holdsWithout(mutant: Mutant, state: string): Promise<boolean> {
  const sentence = await replayState(parseStateName(state)).catch(String)
  if (sentence !== null) console.log(`mutant ${mutant.name}: state ${state} fails without it too: ${sentence}`)
  return sentence === null
}
