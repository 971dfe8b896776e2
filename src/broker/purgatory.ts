/**
 * Requests that wait for partitions to move or for their deadline, whichever comes first; each is completed exactly once.
 *
 * A waiter watches its partitions through their own lists, so that an append looks at nobody but those who asked for it.
 */
import type { Clock } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'

export interface Waiting {
  /** Gives up: nothing is called any more. */
  cancel(): void
}

/**
 * Calls `onDone` once: in the turn after `isSatisfied` answered true, which is asked when one of the partitions advanced, or when
 * `deadlineMs` have passed.
 */
export function waitForPartitions(
  clock: Clock,
  partitions: Iterable<Partition>,
  deadlineMs: number,
  on: { readonly isSatisfied: () => boolean; readonly onDone: () => void },
): Waiting {
  const unsubscribes: (() => void)[] = []
  let isOver = false
  const finish = (): void => {
    if (isOver) return
    cancel()
    on.onDone()
  }
  const cancel = (): void => {
    isOver = true
    clock.cancel(timer)
    for (const unsubscribe of unsubscribes) unsubscribe()
  }
  const timer = clock.schedule(Math.max(1, deadlineMs), finish)
  const check = (): void => {
    if (!isOver && on.isSatisfied()) finish()
  }
  for (const partition of partitions) unsubscribes.push(partition.onAdvance(check))
  return { cancel }
}
