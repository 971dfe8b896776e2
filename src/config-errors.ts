/** Errors of reading a configuration. */
import { defineErrors } from './base/errors.ts'

export const configErrors = defineErrors({
  dataDirEmpty: {
    code: 'DATA_DIR_EMPTY',
    sentence: '{path} is not a data directory: it has no log/meta.properties',
    remedy: 'Name the directory that the daemon ran on, by --data-dir or dataDir in the configuration.',
    retriable: false,
  },
  configInvalid: {
    code: 'CONFIG_INVALID',
    sentence: 'the configuration is not valid:\n  {problems}',
    remedy:
      'Correct the named keys; `headwater config check` tells when all is well, docs/configuration.md lists every key.',
    retriable: false,
  },
})
