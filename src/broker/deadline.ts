/** A bound on how long a caller waits; what it waited for goes on. */
import { asError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'

/** The answer of `work`, or `late()` when it has not come within `timeoutMs` (at least 1 ms). */
export function withinDeadline<T>(clock: Clock, timeoutMs: number, work: Promise<T>, late: () => T): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(Math.max(1, timeoutMs), () => resolve(late()))
    work.then(
      (answer) => {
        clock.cancel(timer)
        resolve(answer)
      },
      (error: unknown) => {
        clock.cancel(timer)
        reject(asError(error))
      },
    )
  })
}
