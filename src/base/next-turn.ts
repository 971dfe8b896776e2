import type { Clock } from './ports.ts'

/** Resolves in a later turn of the loop, when others have been served. */
export function nextTurn(clock: Pick<Clock, 'defer'>): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve))
}
