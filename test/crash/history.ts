/** What the clients of the crash suite were told and what readers found afterwards, as a history for the checker. */
import { HistoryChecker, type HistoryEvent } from '../history/checker.ts'

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

export interface Published {
  readonly value: string
}

/** Values are `<stream>-<counter>`; the first letter of the stream says which load it is of. */
export interface Outcome {
  /** Reports of idempotent producers: k = `idempotent`, r = `short`, c = `latest`. */
  readonly acknowledged: readonly Acknowledged[]
  /** MQTT messages with PUBACK (s) or PUBCOMP (q): stored at least once, exactly once. */
  readonly published: readonly Published[]
  readonly idempotent: readonly Found[]
  /** Its beginning has gone by retention. */
  readonly short: readonly Found[]
  /** Compacted: of each stream only the last record has to be there. */
  readonly latest: readonly Found[]
  readonly readings: readonly Found[]
}

export interface Judgement {
  readonly faultCount: number
  /** The first ones. */
  readonly sentences: readonly string[]
}

const sentencesMax = 5

export function judge(outcome: Outcome): Judgement {
  const checker = new HistoryChecker()
  for (const event of eventsOf(outcome)) checker.add(event)
  const { faults, faultCount } = checker.verdict()
  const stale = latestFaults(outcome.acknowledged.filter(isOf('c')), outcome.latest)
  const sentences = [...faults.map(({ fault, sentence }) => `${fault}: ${sentence}`), ...stale]
  return { faultCount: faultCount + stale.length, sentences: sentences.slice(0, sentencesMax) }
}

export function eventsOf(outcome: Outcome): HistoryEvent[] {
  const { acknowledged, idempotent, short, published, readings } = outcome
  return [
    ...idempotentEvents('kafka', acknowledged.filter(isOf('k')), idempotent),
    ...idempotentEvents('short', acknowledged.filter(isOf('r')), short),
    ...publishedEvents(published, readings),
    ...startsOf('short', short),
    ...idempotent.map(finalIn('kafka')),
    ...short.map(finalIn('short')),
    ...readings.map(finalIn('mqtt')),
  ]
}

/** What was stored and not acknowledged had an end that nobody knows. */
function idempotentEvents(
  place: string,
  acknowledged: readonly Acknowledged[],
  found: readonly Found[],
): HistoryEvent[] {
  const told = new Set(acknowledged.map(({ value }) => value))
  const unknown = found.filter(({ value }) => !told.has(value)).map((record) => ({ ...record, offset: -1 }))
  const sends = [...acknowledged, ...new Map(unknown.map((each) => [each.value, each])).values()]
  sends.sort((a, b) => counterOf(a.value) - counterOf(b.value))
  return sends.map(({ value, partition, offset }) => ({
    op: 'send',
    proc: streamOf(value),
    place: `${place}-${partition}`,
    value,
    result: told.has(value) ? 'ok' : 'info',
    offset,
    delivery: 'exactly-once',
  }))
}

function publishedEvents(published: readonly Published[], readings: readonly Found[]): HistoryEvent[] {
  const told = new Set(published.map(({ value }) => value))
  const placeOf = new Map(readings.map((reading) => [reading.value, `mqtt-${reading.partition}`]))
  const values = [...new Set([...told, ...placeOf.keys()])].sort((a, b) => counterOf(a) - counterOf(b))
  return values.map((value) => ({
    op: 'send',
    proc: streamOf(value),
    place: placeOf.get(value) ?? 'mqtt-0',
    value,
    result: told.has(value) ? 'ok' : 'info',
    offset: -1,
    delivery: value.startsWith('q') ? 'exactly-once' : 'at-least-once',
  }))
}

/** Retention has taken what stands before the first record of each partition. */
function startsOf(place: string, found: readonly Found[]): HistoryEvent[] {
  const starts = new Map<number, number>()
  for (const { partition, offset } of found) if (!starts.has(partition)) starts.set(partition, offset)
  return [...starts].map(([partition, offset]) => ({ op: 'start', place: `${place}-${partition}`, offset }))
}

/** Of each stream the last acknowledged value or a later one must be there; what is there stands once, in order, where it was told. */
export function latestFaults(acknowledged: readonly Acknowledged[], found: readonly Found[]): string[] {
  const faults: string[] = []
  const told = new Map(acknowledged.map((each) => [each.value, each]))
  const last = new Map<string, number>()
  for (const { value, partition, offset } of found) {
    const before = last.get(streamOf(value)) ?? -1
    if (counterOf(value) <= before) faults.push(`disorder: ${value} stands behind number ${before} of its key`)
    else last.set(streamOf(value), counterOf(value))
    const place = told.get(value)
    if (place !== undefined && (place.partition !== partition || place.offset !== offset))
      faults.push(`two-offsets: ${value} was acknowledged at ${place.offset} and stands at ${offset}`)
  }
  const newest = new Map<string, number>()
  for (const { value } of acknowledged)
    newest.set(streamOf(value), Math.max(newest.get(streamOf(value)) ?? -1, counterOf(value)))
  for (const [stream, counter] of newest) {
    const stands = last.get(stream) ?? -1
    if (stands < counter) faults.push(`lost: ${stream}-${counter} was acknowledged, number ${stands} is the last there`)
  }
  return faults
}

function isOf(letter: string): (each: { readonly value: string }) => boolean {
  return ({ value }) => value.startsWith(letter)
}

function finalIn(place: string): (found: Found) => HistoryEvent {
  return ({ partition, offset, value }) => ({ op: 'final', place: `${place}-${partition}`, offset, value })
}

function streamOf(value: string): string {
  return value.slice(0, value.lastIndexOf('-'))
}

function counterOf(value: string): number {
  return Number(value.slice(value.lastIndexOf('-') + 1))
}
