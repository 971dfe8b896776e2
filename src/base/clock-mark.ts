/**
 * The mark of a record that was received while the time was not known: which boot of this node that was, and how long it had been up.
 * With it the time can be told later, exactly by the same boot and by whoever kept the log of it.
 */

/** The name of the record header. */
export const clockHeader = 'mqtt.clock'

export interface ClockMark {
  readonly bootId: string
  readonly uptimeMs: number
}

/** The value of the header. */
export function formatClockMark({ bootId, uptimeMs }: ClockMark): string {
  return `untrusted boot=${bootId} uptime=${Math.floor(uptimeMs)}`
}

/** Null for a value that is none of ours. */
export function parseClockMark(value: string): ClockMark | null {
  const found = /^untrusted boot=([0-9a-f]{1,32}) uptime=(\d{1,15})$/.exec(value)
  return found === null ? null : { bootId: found[1] as string, uptimeMs: Number(found[2]) }
}
