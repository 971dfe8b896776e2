/**
 * What becomes of a command when its stdout takes no more. A reader that has seen enough (`| head -1`) ends it quietly and is no failure;
 * anything else (a full disk) is one, told in a sentence.
 */
import { ApplianceError, asError } from '../../base/errors.ts'
import { cliErrors } from './cli-errors.ts'

let failure: NodeJS.ErrnoException | null = null
let isWatched = false

/** Without this Node ends the process with a stack trace at the first error of either stream. */
export function watchStandardStreams(): void {
  if (isWatched) return
  isWatched = true
  process.stdout.on('error', (error) => {
    failure ??= error
  })
  // Nobody is left to be told.
  process.stderr.on('error', () => {})
}

/** True when nothing that is printed arrives any more: whoever prints without end stops. */
export function isOutputGone(): boolean {
  return failure !== null
}

/** Throws CLI_OUTPUT_FAILED when what was printed has not arrived, and it was not the reader who went. */
export async function settleOutput(): Promise<void> {
  // A stream tells of its errors in the turn behind the write.
  await new Promise((resolve) => setImmediate(resolve))
  const fault = failure === null ? null : outputFault(failure)
  if (fault !== null) throw fault
}

/** What is to be told of a failure: nothing (null) when the reader of stdout went, its own sentence when stdout takes no more. */
export function outputFault(thrown: unknown): Error | null {
  if (failure === null || thrown !== failure) return asError(thrown)
  if (failure.code === 'EPIPE') return null
  return new ApplianceError(cliErrors.outputFailed, { detail: failure.code ?? failure.message })
}
