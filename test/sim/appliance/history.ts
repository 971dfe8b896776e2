/**
 * What clients were told during one run, and the checks over it (invariants I1, I3, I4, I7, I9, I10, I11 of a log with clients).
 *
 * A record's value is unique: `<stream>-<counter>`, perhaps followed by a space and padding. A stream goes to one partition in the
 * order of its counters. What is told twice must be the same; what was told must be there at the end.
 */

/** Values by offset of each `topic-partition`, from offset 0 on. */
export type Dump = ReadonlyMap<string, readonly DumpedRecord[]>

export interface DumpedRecord {
  readonly key: string
  readonly value: string
}

/** How often a value may be in the log at the end. */
export type Delivery = 'exactly-once' | 'at-least-once' | 'at-most-once'

interface Sent {
  readonly delivery: Delivery
  acknowledged: boolean
  /** Failed answers that leave open whether it was stored: each allows one more copy. */
  failures: number
}

interface Committed {
  acknowledged: number
  attempted: number
}

export class History {
  /** Broken promises, in the order in which they were noticed. */
  readonly broken: string[] = []
  readonly #told = new Map<string, Map<number, string>>()
  readonly #sent = new Map<string, Sent>()
  readonly #committed = new Map<string, Committed>()
  readonly #highWatermarks = new Map<string, number>()
  readonly #owners = new Map<string, string>()
  readonly #producerIds = new Set<string>()
  readonly #disordered = new Set<string>()

  break(sentence: string): void {
    this.broken.push(sentence)
  }

  // ------------------------------------------------------------------------------------- what was sent

  send(value: string, delivery: Delivery): void {
    this.#sent.set(value, { delivery, acknowledged: false, failures: 0 })
  }

  acknowledge(value: string): void {
    const sent = this.#sent.get(value)
    if (sent === undefined) this.break(`${value} is acknowledged and was never sent`)
    else sent.acknowledged = true
  }

  /** It was refused in a way that leaves open whether it is stored; it will be sent as a new message. */
  fail(value: string): void {
    const sent = this.#sent.get(value)
    if (sent !== undefined) sent.failures++
    this.#disordered.add(streamOf(value))
  }

  get acknowledgedCount(): number {
    let count = 0
    for (const { acknowledged } of this.#sent.values()) if (acknowledged) count++
    return count
  }

  producerId(id: string): void {
    if (this.#producerIds.has(id)) this.break(`producer id ${id} is given out twice`)
    this.#producerIds.add(id)
  }

  // -------------------------------------------------------------------------------------- what was told

  /** Somebody was told that this value stands there: by an acknowledgement or a fetch. */
  tell(place: string, offset: number, value: string, by: string): void {
    let offsets = this.#told.get(place)
    if (offsets === undefined) {
      offsets = new Map()
      this.#told.set(place, offsets)
    }
    const known = offsets.get(offset)
    if (known === undefined) offsets.set(offset, value)
    else if (known !== value) this.break(`${by}: ${place}@${offset} is ${value} and was ${known}`)
  }

  /** The newest high watermark that anybody saw. */
  highWatermark(place: string): number {
    return this.#highWatermarks.get(place) ?? 0
  }

  /** A high watermark of an answer to a question that was asked when `least` was the newest. */
  sawHighWatermark(place: string, seen: number, least: number, by: string): void {
    if (seen < least) this.break(`${by}: the high watermark of ${place} went from ${least} to ${seen}`)
    if (seen > this.highWatermark(place)) this.#highWatermarks.set(place, seen)
  }

  // ---------------------------------------------------------------------------------------------- groups

  owns(generation: number, place: string, member: string): void {
    const key = `${generation} ${place}`
    const owner = this.#owners.get(key) ?? member
    if (owner !== member) this.break(`generation ${generation}: ${owner} and ${member} own ${place}`)
    this.#owners.set(key, owner)
  }

  committed(place: string): Committed {
    let committed = this.#committed.get(place)
    if (committed === undefined) {
      committed = { acknowledged: 0, attempted: 0 }
      this.#committed.set(place, committed)
    }
    return committed
  }

  /** A committed offset was read by a question that was asked when `least` was the last acknowledged one. */
  sawCommitted(place: string, offset: number, least: number, by: string): void {
    const { attempted } = this.committed(place)
    if (offset < least || offset > attempted) {
      this.break(`${by}: ${place} is committed at ${offset}, acknowledged ${least}, attempted ${attempted}`)
    }
  }

  // -------------------------------------------------------------------------------------------- the end

  /** Judges the whole log after everybody has finished. */
  judge(dump: Dump): void {
    for (const [place, offsets] of this.#told) {
      const records = dump.get(place) ?? []
      for (const [offset, value] of offsets) {
        const found = records[offset]?.value
        if (found !== value) this.break(`${place}@${offset} was told as ${value} and is ${found ?? 'not there'}`)
      }
    }
    for (const [place, seen] of this.#highWatermarks) {
      const end = dump.get(place)?.length ?? 0
      if (end < seen) this.break(`${place} ends at ${end}, its high watermark was ${seen}`)
    }
    this.#judgeCopies(dump)
    for (const [place, records] of dump) this.#judgeOrder(place, records)
  }

  #judgeCopies(dump: Dump): void {
    const copies = new Map<string, number>()
    for (const [place, records] of dump) {
      for (const { value } of records) {
        if (!this.#sent.has(value)) this.break(`${place} holds ${value}, which nobody sent`)
        copies.set(value, (copies.get(value) ?? 0) + 1)
      }
    }
    for (const [value, { delivery, acknowledged, failures }] of this.#sent) {
      const count = copies.get(value) ?? 0
      if (!acknowledged && delivery !== 'at-most-once') this.break(`${value} was never acknowledged`)
      if (acknowledged && count === 0) this.break(`${value} was acknowledged and is not there`)
      if (delivery !== 'at-least-once' && count > 1 + failures) this.break(`${value} is there ${count} times`)
    }
  }

  /** First occurrences of each stream rise. */
  #judgeOrder(place: string, records: readonly DumpedRecord[]): void {
    const last = new Map<string, number>()
    const seen = new Set<string>()
    for (const { value } of records) {
      if (seen.has(value)) continue
      seen.add(value)
      const stream = streamOf(value)
      const counter = Number(value.slice(stream.length + 1))
      const before = last.get(stream) ?? -1
      if (counter < before && !this.#disordered.has(stream)) {
        this.break(`${place}: ${value} stands behind ${stream}-${before}`)
      }
      last.set(stream, Math.max(before, counter))
    }
  }
}

function streamOf(value: string): string {
  return value.slice(0, value.lastIndexOf('-'))
}

/** The unique part of a record's value. */
export function valueOf(bytes: Uint8Array | null): string {
  if (bytes === null) return 'null'
  const text = Buffer.from(bytes).toString()
  const end = text.indexOf(' ')
  return end < 0 ? text : text.slice(0, end)
}
