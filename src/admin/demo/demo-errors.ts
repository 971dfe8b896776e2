/** Errors of the demo. */
import { defineErrors } from '../../base/errors.ts'

export const demoErrors = defineErrors({
  daemonFailed: {
    code: 'DEMO_DAEMON_FAILED',
    sentence: 'a daemon of the demo did not start: {detail}',
    remedy: 'The lines above are its own; `headwater start` shows more.',
    retriable: false,
  },
})
