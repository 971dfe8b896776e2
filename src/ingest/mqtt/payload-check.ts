/** What payloads of a route must be. */
export interface PayloadCheck {
  /** Why the payload [start, end) is not as it must be, for the client; null when it is. */
  fault(source: Uint8Array, start: number, end: number): string | null
}

/** By the place of the rule in `mqtt.routes`, from 0. */
export type PayloadChecks = ReadonlyMap<number, PayloadCheck>

export const noPayloadChecks: PayloadChecks = new Map()

/** A payload that is to be stored. */
export interface JudgedPayload {
  readonly source: Uint8Array
  readonly start: number
  readonly end: number
  readonly retain: boolean
}

/**
 * What the schema of a rule has against the payload; null = nothing, or the rule has none. An empty one with the retain flag takes a retained message
 * away and need not be anything. `counters` are told of each payload that was looked at; null = it will be looked at again.
 */
export function payloadFault(
  checks: PayloadChecks,
  rule: number | null,
  { source, start, end, retain }: JudgedPayload,
  counters: { checked(rule: number, isValid: boolean): void } | null,
): string | null {
  const check = rule === null ? undefined : checks.get(rule)
  if (rule === null || check === undefined || (retain && start === end)) return null
  const fault = check.fault(source, start, end)
  counters?.checked(rule, fault === null)
  return fault
}
