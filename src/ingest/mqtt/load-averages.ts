/**
 * How much of something there is a minute, averaged over 1, 5 and 15 minutes, as the load of a system is: what is long ago counts less and less. Told
 * the totals now and then, at any distance; between two times they are taken to have grown evenly. Pure.
 */

const minuteMs = 60_000
export const loadWindows = { '1min': 1, '5min': 5, '15min': 15 } as const
const minutesOf = Object.values(loadWindows)

export class LoadAverages<Name extends string> {
  private readonly names: readonly Name[]
  private readonly before: Record<Name, number>
  private readonly averages = new Map<Name, number[]>()
  private beforeMs: number

  /** Everything was 0 at this time. */
  constructor(names: readonly Name[], nowMs: number) {
    this.names = names
    this.beforeMs = nowMs
    this.before = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>
    for (const name of names)
      this.averages.set(
        name,
        minutesOf.map(() => 0),
      )
  }

  /** The totals at this time, which never fall. */
  advance(totals: Readonly<Record<Name, number>>, nowMs: number): void {
    const passedMs = nowMs - this.beforeMs
    if (passedMs <= 0) return
    this.beforeMs = nowMs
    const kept = minutesOf.map((minutes) => Math.exp(-passedMs / (minutes * minuteMs)))
    for (const name of this.names) {
      const aMinute = ((totals[name] - this.before[name]) * minuteMs) / passedMs
      this.before[name] = totals[name]
      const averages = this.averages.get(name) as number[]
      for (const [at, share] of kept.entries()) averages[at] = aMinute + share * ((averages[at] as number) - aMinute)
    }
  }

  /** Of the last time that it was told: over 1, 5 and 15 minutes. */
  of(name: Name): readonly number[] {
    return this.averages.get(name) as number[]
  }
}
