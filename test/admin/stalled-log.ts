/** Logs far more than any bound to a stderr that nobody reads, says a last word, and ends as the daemon does: by having nothing to do. */
import { EventLog } from '../../src/admin/event-log.ts'
import { defineEvents } from '../../src/base/event-def.ts'

const events = defineEvents({
  filler: { id: 'filler', level: 'info', sentence: '{text}', fields: { text: 'string' } },
  last: { id: 'last-word', level: 'fatal', sentence: 'the last word', fields: {} },
})

const log = new EventLog({ level: 'info', format: 'json', descriptor: 2, isTerminal: process.stderr.isTTY })
const text = 'x'.repeat(1_000)
globalThis.gc?.()
const before = process.memoryUsage().rss
for (let round = 0; round < 200; round++) {
  for (let line = 0; line < 500; line++) log.write(events.filler, { text })
  // The loop turns: this is no flood within one turn.
  await new Promise((resolve) => setImmediate(resolve))
}
log.write(events.last, {})
log.flush()
globalThis.gc?.()
const grownMiB = Math.round((process.memoryUsage().rss - before) / 1_048_576)
process.stdout.write(JSON.stringify({ grownMiB }))
