import type { Clock } from '../../base/ports.ts'

/** How long each half of a stop waits for what was taken to be committed, and how often it looks. */
const drainMs = 5000
const drainCheckMs = 5

/** Resolves when nothing waits for a commit any more, or when it has taken too long. */
export function settled(clock: Clock, isSettled: () => boolean): Promise<void> {
  const deadlineMs = clock.monotonicMs() + drainMs
  return new Promise((resolve) => {
    const look = (): void => {
      if (isSettled() || clock.monotonicMs() >= deadlineMs) resolve()
      else clock.schedule(drainCheckMs, look)
    }
    look()
  })
}
