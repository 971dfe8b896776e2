/** Errors of the command line. */
import { defineErrors } from '../../base/errors.ts'

export const cliErrors = defineErrors({
  fileUnreadable: {
    code: 'CLI_FILE_UNREADABLE',
    sentence: 'cannot read {file}: {detail}',
    remedy: 'Name a file that exists and may be read.',
    retriable: false,
  },
})
