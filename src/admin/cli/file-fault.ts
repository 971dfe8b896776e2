import { ApplianceError, asError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'

/** CLI_FILE_UNREADABLE, with what the system says of the file. */
export function unreadableFile(file: string, thrown: unknown): ApplianceError {
  const error: NodeJS.ErrnoException = asError(thrown)
  return new ApplianceError(cliErrors.fileUnreadable, { file, detail: error.code ?? error.message })
}
