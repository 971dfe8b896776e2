/** Errors of reading a configuration. */
import { defineErrors } from './base/errors.ts'

export const configErrors = defineErrors({
  configInvalid: {
    code: 'CONFIG_INVALID',
    sentence: 'the configuration is not valid:\n  {problems}',
    remedy:
      'Correct the named keys; `headwater config check` tells when all is well, docs/configuration.md lists every key.',
    retriable: false,
  },
})
