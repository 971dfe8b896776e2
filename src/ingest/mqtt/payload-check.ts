/** What payloads of a route must be. */
export interface PayloadCheck {
  /** Why the payload [start, end) is not as it must be, for the client; null when it is. */
  fault(source: Uint8Array, start: number, end: number): string | null
}

/** By the place of the rule in `mqtt.routes`, from 0. */
export type PayloadChecks = ReadonlyMap<number, PayloadCheck>

export const noPayloadChecks: PayloadChecks = new Map()
