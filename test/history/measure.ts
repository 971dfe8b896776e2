/** How fast the checker is: `sh tools/with-node node test/history/measure.ts [EVENTS]` prints events a second of processor time, with and without JSON. */
import { HistoryChecker, parseEvent } from './checker.ts'
import { lawfulHistory } from './lawful.ts'

const history = lawfulHistory(1, Number(process.argv[2] ?? 1_000_000))
const lines = history.map((event) => JSON.stringify(event))

function measure(name: string, run: (checker: HistoryChecker) => void): void {
  const checker = new HistoryChecker()
  const before = process.cpuUsage()
  run(checker)
  const { events, faultCount } = checker.verdict()
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1_000_000
  console.log(
    `${name}: ${events} events, ${faultCount} faults, ${Math.round(events / seconds / 1000)} thousand events a second`,
  )
}

for (let round = 0; round < 3; round++) {
  measure('events', (checker) => {
    for (const event of history) checker.add(event)
  })
  measure('lines of JSON', (checker) => {
    for (const line of lines) checker.add(parseEvent(line))
  })
}
