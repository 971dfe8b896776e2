/**
 * The checker: what the clients were promised against what a reader finds afterwards. Linear in the number of records, no
 * search, because each record's value is unique and each promise names its offset.
 */

export interface Acknowledged {
  readonly value: string
  readonly partition: number
  readonly offset: number
}

export interface Found {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

export interface Verdict {
  readonly acknowledged: number
  readonly found: number
  /** Acknowledged and not there, or not where the acknowledgement said. */
  readonly lost: readonly string[]
  /** Idempotent values that are there more than once. */
  readonly duplicates: readonly string[]
  /** Values of one producer and partition whose counters do not rise. */
  readonly disordered: readonly string[]
  /** Offsets that are missing between the first and the last of a partition. */
  readonly gaps: readonly string[]
}

/** Judges idempotent Kafka writes: each acknowledged value once, at its offset; no value twice; counters rise; no offset missing. */
export function judgeIdempotent(acknowledged: readonly Acknowledged[], found: readonly Found[]): Verdict {
  const placeOf = new Map<string, string>()
  const duplicates: string[] = []
  const disordered: string[] = []
  const gaps: string[] = []
  const lastCounter = new Map<string, number>()
  const nextOffset = new Map<number, number>()
  for (const record of found) {
    const place = `${record.partition}@${record.offset}`
    const earlier = placeOf.get(record.value)
    if (earlier !== undefined) duplicates.push(`${record.value} at ${earlier} and ${place}`)
    else placeOf.set(record.value, place)
    const dash = record.value.lastIndexOf('-')
    const stream = `${record.value.slice(0, dash)}/${record.partition}`
    const counter = Number(record.value.slice(dash + 1))
    if (earlier === undefined && counter <= (lastCounter.get(stream) ?? -1))
      disordered.push(`${record.value} at ${place}`)
    lastCounter.set(stream, Math.max(counter, lastCounter.get(stream) ?? -1))
    const expected = nextOffset.get(record.partition) ?? record.offset
    if (record.offset !== expected) gaps.push(`partition ${record.partition}: ${expected} to ${record.offset}`)
    nextOffset.set(record.partition, record.offset + 1)
  }
  const lost = acknowledged
    .filter((promise) => placeOf.get(promise.value) !== `${promise.partition}@${promise.offset}`)
    .map(
      (promise) =>
        `${promise.value} promised at ${promise.partition}@${promise.offset}, found ${placeOf.get(promise.value) ?? 'nowhere'}`,
    )
  return { acknowledged: acknowledged.length, found: found.length, lost, duplicates, disordered, gaps }
}

/** Judges QoS 1: each acknowledged payload is there at least once; repeats are lawful. */
export function judgeAtLeastOnce(acknowledged: readonly string[], found: readonly Found[]): readonly string[] {
  const values = new Set(found.map((record) => record.value))
  return acknowledged.filter((value) => !values.has(value))
}
