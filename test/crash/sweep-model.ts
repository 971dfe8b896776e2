/** What the syscall sweep knows of a directory, life after life, and what it demands of the next one. */

/** What a load asked for and what was acknowledged. Values are unique. */
export interface Told {
  readonly sent: readonly (readonly [topic: string, value: string])[]
  /** Partition and offset are -1 where the acknowledgement names none (MQTT). */
  readonly acked: readonly (readonly [topic: string, partition: number, offset: number, value: string])[]
  readonly asked: Steps
  readonly done: Steps
  readonly finished: boolean
  readonly why?: string
}

/** Things that are done or not. */
export interface Steps {
  readonly created?: string
  readonly removed?: readonly string[]
  /** The offset of a group. */
  readonly committed?: number
  /** New log starts of `sweep`, by partition. */
  readonly trimmed?: Readonly<Record<string, number>>
  readonly retained?: string
}

export interface Found {
  readonly error?: string
  readonly topics: readonly string[]
  /** By `<topic>-<partition>`. */
  readonly lows: Readonly<Record<string, number>>
  readonly ends: Readonly<Record<string, number>>
  readonly records: readonly (readonly [topic: string, partition: number, offset: number, value: string])[]
  readonly group: number | null
  readonly retained: string | null
}

/** Of these retention takes segments, so a low offset may rise by itself. */
const isShort = (place: string): boolean => place.startsWith('rolling-')
/** Of these compaction takes records that have a newer one. */
const isCompacted = (place: string): boolean => place.startsWith('latest-')

export class SweepModel {
  #found: Found = { topics: [], lows: {}, ends: {}, records: [], group: null, retained: null }
  /** Every value that was ever sent. */
  readonly #sent = new Set<string>()

  /** Log ends of `sweep` as last read, by partition: the next load trims to them. */
  get sweepEnds(): Record<string, number> {
    const places = Object.entries(this.#found.ends).filter(([place]) => place.startsWith('sweep-'))
    return Object.fromEntries(places.map(([place, end]) => [place.slice('sweep-'.length), end]))
  }

  /** Takes in what was told in the life that ended and what the next one shows; answers what is wrong with it. */
  check(told: Told | null, found: Found): string[] {
    if (found.error !== undefined) return [`cannot be read: ${found.error}`]
    for (const [, value] of told?.sent ?? []) this.#sent.add(value)
    const faults = [
      ...this.#recordFaults(told, found),
      ...this.#lowFaults(told, found),
      ...this.#stepFaults(told, found),
    ]
    this.#found = found
    return faults
  }

  #recordFaults(told: Told | null, found: Found): string[] {
    const faults: string[] = []
    const at = new Map<string, string>()
    const places = new Map<string, string>()
    const newest = new Map<string, number>()
    for (const [topic, partition, offset, value] of found.records) {
      const place = `${topic}-${partition}`
      if (places.has(value)) faults.push(`${value} stands twice: ${places.get(value)} and ${place}@${offset}`)
      if (!this.#sent.has(value)) faults.push(`${value} at ${place}@${offset} was never sent`)
      places.set(value, `${place}@${offset}`)
      at.set(`${place}@${offset}`, value)
      if (isCompacted(place)) newest.set(keyOf(value), Math.max(newest.get(keyOf(value)) ?? -1, numberOf(value)))
    }
    const mustStand = (topic: string, partition: number, offset: number, value: string, why: string): void => {
      const place = `${topic}-${partition}`
      if (offset >= 0 && offset < (found.lows[place] ?? 0)) return
      if (isCompacted(place) && (newest.get(keyOf(value)) ?? -1) > numberOf(value)) return
      const stands = offset < 0 ? (places.has(value) ? value : undefined) : at.get(`${place}@${offset}`)
      if (stands !== value) faults.push(`${value} ${why} at ${place}@${offset}, there is ${stands ?? 'nothing'}`)
    }
    for (const [topic, partition, offset, value] of this.#found.records)
      mustStand(topic, partition, offset, value, 'was seen')
    for (const [topic, partition, offset, value] of told?.acked ?? [])
      mustStand(topic, partition, offset, value, 'was acknowledged')
    return faults
  }

  #lowFaults(told: Told | null, found: Found): string[] {
    const faults: string[] = []
    for (const [place, low] of Object.entries(found.lows)) {
      if (isShort(place)) continue
      const before = this.#found.lows[place] ?? 0
      const partition = place.startsWith('sweep-') ? place.slice('sweep-'.length) : ''
      const least = Math.max(before, told?.done.trimmed?.[partition] ?? 0)
      const most = Math.max(before, told?.asked.trimmed?.[partition] ?? 0)
      if (low < least || low > most) faults.push(`${place} begins at ${low}, not between ${least} and ${most}`)
      if ((found.ends[place] ?? 0) < low) faults.push(`${place} ends at ${found.ends[place]}, before its begin ${low}`)
    }
    return faults
  }

  #stepFaults(told: Told | null, found: Found): string[] {
    const faults: string[] = []
    const { asked = {}, done = {} } = told ?? {}
    const oneOf = <T>(what: string, is: T, before: T, askedFor: T | undefined, doneWith: T | undefined): void => {
      const allowed = doneWith !== undefined ? [doneWith] : [before, ...(askedFor === undefined ? [] : [askedFor])]
      if (!allowed.includes(is)) faults.push(`${what} is ${String(is)}, not ${allowed.map(String).join(' or ')}`)
    }
    oneOf('the offset of the group', found.group, this.#found.group, asked.committed, done.committed)
    oneOf('the retained message', found.retained, this.#found.retained, asked.retained, done.retained)
    const topics = new Set(found.topics)
    if (done.created !== undefined && !topics.has(done.created)) faults.push(`topic ${done.created} is gone`)
    for (const name of done.removed ?? []) if (topics.has(name)) faults.push(`topic ${name} is back`)
    for (const name of this.#found.topics)
      if (!topics.has(name) && !(asked.removed ?? []).includes(name)) faults.push(`topic ${name} is gone`)
    return faults
  }
}

function keyOf(value: string): string {
  return value.slice(0, value.lastIndexOf('-'))
}

function numberOf(value: string): number {
  return Number(value.slice(value.lastIndexOf('-') + 1))
}
