/** What became of a Sparkplug message that was to be decoded. */
export type DecodingOutcome = 'decoded' | 'unnamed' | 'malformed' | 'too_large' | 'not_stored'

/** Counted in plain numbers, handed to the observer once in a while: per batch, not per message. */
export class DoorCounters {
  delivered = 0
  /** Since the start. */
  readonly totals = {
    connectedMax: 0,
    receivedMessages: 0,
    receivedMessageBytes: 0,
    sentMessages: 0,
    sentMessageBytes: 0,
    droppedMessages: 0,
    receivedBytes: 0,
    sentBytes: 0,
    /** Of every type. */
    receivedPackets: 0,
    sentPackets: 0,
    /** Connections that were opened, and CONNECT packets on them. */
    sockets: 0,
    connects: 0,
    /** Kept sessions whose client was away for too long. */
    expiredSessions: 0,
  }
  readonly dropped = new Map<string, number>()
  readonly refused = new Map<string, number>()
  /** By the place of the rule: [valid, invalid]. */
  readonly schemaChecks = new Map<number, [valid: number, invalid: number]>()

  readonly decodings = new Map<DecodingOutcome, number>()

  /** A message of so many bytes is on its way to a client. */
  deliver(bytes: number): void {
    this.delivered += 1
    this.totals.sentMessages += 1
    this.totals.sentMessageBytes += bytes
  }

  /** So many packets have been taken; answers as many. */
  take(packets: number): number {
    this.totals.receivedPackets += packets
    return packets
  }

  drop(reason: string): void {
    this.totals.droppedMessages += 1
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1)
  }

  checked(rule: number, isValid: boolean): void {
    const known = this.schemaChecks.get(rule) ?? [0, 0]
    known[isValid ? 0 : 1] += 1
    this.schemaChecks.set(rule, known)
  }

  decoded(outcome: DecodingOutcome): void {
    this.decodings.set(outcome, (this.decodings.get(outcome) ?? 0) + 1)
  }

  refuse(reason: string): void {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1)
  }
}

export type DoorTotals = DoorCounters['totals']
