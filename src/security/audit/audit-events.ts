/** Log events of the audit. */
import { defineEvents } from '../../base/event-def.ts'

export const auditEvents = defineEvents({
  stalled: {
    id: 'audit-stalled',
    level: 'error',
    sentence: 'The audit cannot be written and is kept in memory as far as it fits; it is tried again: {reason}',
    fields: { reason: 'string' },
  },
  recovered: {
    id: 'audit-written-again',
    level: 'info',
    sentence: 'The audit is written again',
    fields: {},
  },
  resumed: {
    id: 'audit-resumed-unclean',
    level: 'warn',
    sentence: 'The audit goes on after an unclean stop behind record {sequence}; {missing}',
    fields: { sequence: 'number', missing: 'string' },
  },
})
