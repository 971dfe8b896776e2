/**
 * The crash explorer: plays histories and looks, at every disk operation of each, at a few of the media that a crash there may leave.
 * A state has a name, `history.operation.variant`, that brings it back every time.
 */
import { Prng } from '../sim/prng.ts'
import { CrashState, type Seen } from './crash-state.ts'
import { History } from './history.ts'
import { Broken } from './judge.ts'

export interface StateName {
  readonly history: number
  readonly point: number
  readonly variant: number
}

export interface Found {
  readonly name: StateName
  readonly sentence: string
}

/** What a search has seen. */
export interface Search {
  histories: number
  /** Different media, under the promises they were left with, that a start was begun on. */
  states: number
  found: Found | null
}

/** Stands for a promise that is broken in the history itself, without a crash of the explorer's. */
const noVariant = -1

export function formatStateName({ history, point, variant }: StateName): string {
  return `${history}.${point}.${variant}`
}

export function parseStateName(text: string): StateName {
  const match = /^(\d+)\.(\d+)\.(-?\d+)$/.exec(text)
  if (match === null) throw new Error(`${text} is not the name of a state: history.operation.variant`)
  return { history: Number(match[1]), point: Number(match[2]), variant: Number(match[3]) }
}

/** Plays a history and tries `variants` crashes at each operation; ends at the first broken promise. */
export async function exploreHistory(history: number, variants: number, search: Search): Promise<void> {
  await play(history, search, async (point, tryState) => {
    for (let variant = 0; variant < variants; variant++) await tryState({ history, point, variant })
  })
}

/** Tries one state again; answers the broken promise, or null. */
export async function replayState(name: StateName): Promise<string | null> {
  const search: Search = { histories: 0, states: 0, found: null }
  await play(name.history, search, async (point, tryState) => {
    if (point !== name.point) return
    if (name.variant !== noVariant) await tryState(name)
    // A broken promise of the history itself shows while it goes on.
    if (name.variant !== noVariant) throw new Enough()
  })
  return search.found?.sentence ?? null
}

/** What was asked for has been seen. */
class Enough extends Error {}

type TryState = (name: StateName) => Promise<void>

async function play(
  seed: number,
  search: Search,
  look: (point: number, tryState: TryState) => Promise<void>,
): Promise<void> {
  let at: StateName = { history: seed, point: 0, variant: noVariant }
  const seen: Seen = { digests: new Set(), states: 0 }
  const history = new History(seed, async (point, fork) => {
    await look(point, async (name) => {
      at = name
      const prng = new Prng(name.history * 1_000_003 + name.point, `variant ${name.variant}`)
      await new CrashState(seen).run(fork(), prng)
    })
    at = { history: seed, point, variant: noVariant }
  })
  search.histories++
  try {
    await history.play()
  } catch (thrown) {
    if (thrown instanceof Enough) return
    if (!(thrown instanceof Broken))
      throw new Error(`state ${formatStateName(at)}: ${String(thrown)}`, { cause: thrown })
    search.found = { name: at, sentence: thrown.message }
  } finally {
    search.states += seen.states
  }
}
