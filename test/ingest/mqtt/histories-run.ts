/**
 * Histories of MQTT sessions (invariant I11) as a command: seed after seed, each history of `session-histories.ts`.
 *
 *   histories-run.ts [--from SEED] [--to SEED] [--only NAME]
 *
 * The last seed is left out. Prints how far it has come each minute, and every seed that breaks a promise; exit code 1 if one does. Ten thousand
 * histories are 2,000 seeds.
 */
import { parseArgs } from 'node:util'
import { type SessionHistory, sessionHistories } from './session-histories.ts'

const progressMs = 60_000

const { values: flags } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    to: { type: 'string', default: '2001' },
    only: { type: 'string' },
  },
})
const chosen: readonly SessionHistory[] = Object.entries(sessionHistories)
  .filter(([name]) => flags.only === undefined || name === flags.only)
  .map(([, history]) => history)
if (chosen.length === 0) throw new Error(`--only is one of ${Object.keys(sessionHistories).join(', ')}`)

const startMs = performance.now()
let toldMs = startMs
let count = 0
let broken = 0

for (let seed = Number(flags.from); seed < Number(flags.to); seed += 1) {
  for (const { name, run } of chosen) {
    count += 1
    try {
      await run(seed)
    } catch (thrown) {
      broken += 1
      console.log(`BROKEN ${name}, seed ${seed}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
    }
  }
  if (performance.now() < toldMs + progressMs) continue
  toldMs = performance.now()
  tell(seed)
}
tell(Number(flags.to) - 1)
if (broken > 0) process.exitCode = 1

function tell(seed: number): void {
  const seconds = (performance.now() - startMs) / 1000
  console.log(
    `histories up to seed ${seed}: ${count}, ${broken} broken, ${seconds.toFixed(0)} s, ${(count / seconds).toFixed(1)} a second`,
  )
}
