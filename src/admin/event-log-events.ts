/** What the log says about itself. */
import { defineEvents } from '../base/event-def.ts'

export const eventLogEvents = defineEvents({
  linesLost: {
    id: 'log-lines-lost',
    level: 'warn',
    sentence: '{count} log lines were lost here: stderr failed, or its reader did not take them',
    fields: { count: 'number' },
  },
})
