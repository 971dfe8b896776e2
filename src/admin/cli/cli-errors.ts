/** Errors of the command line. */
import { defineErrors } from '../../base/errors.ts'

export const cliErrors = defineErrors({
  usage: {
    code: 'CLI_USAGE',
    sentence: '{detail}',
    remedy: 'See `headwater --help`, or `--help` behind the command.',
    retriable: false,
  },
  fileUnreadable: {
    code: 'CLI_FILE_UNREADABLE',
    sentence: 'cannot read {file}: {detail}',
    remedy: 'Name a file that exists and may be read.',
    retriable: false,
  },
})
