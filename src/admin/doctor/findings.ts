/** What `headwater doctor` says: one finding for each thing that it looks at. */

export type Verdict = 'ok' | 'note' | 'warning' | 'fault'

export interface Finding {
  /** Name of what was looked at, `mount-options`. */
  readonly check: string
  /** `fault`: acknowledged records are not safe, or the daemon will not serve. `note`: nothing is wrong, but it could be better. */
  readonly verdict: Verdict
  readonly found: string
  /** What to do; null where nothing is to do. */
  readonly remedy: string | null
}

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found, remedy: null }
}

export function advice(check: string, verdict: Exclude<Verdict, 'ok'>, found: string, remedy: string): Finding {
  return { check, verdict, found, remedy }
}
