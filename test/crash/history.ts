/** What the clients of the crash suite were told and what readers found afterwards, as a history for the checker. */
import type { HistoryEvent } from '../history/checker.ts'

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

export interface Outcome {
  /** Reports of idempotent producers: each value once, at this offset. */
  readonly acknowledged: readonly Acknowledged[]
  readonly records: readonly Found[]
  /** Payloads of QoS 1 with a PUBACK: each at least once. */
  readonly published: readonly string[]
  readonly readings: readonly Found[]
}

/** Values are `<stream>-<counter>`; what was stored and not acknowledged had an end that nobody knows. */
export function eventsOf(outcome: Outcome): HistoryEvent[] {
  const { acknowledged, records, published, readings } = outcome
  const told = new Map(acknowledged.map((each) => [each.value, each]))
  const unknown = records.filter(({ value }) => !told.has(value)).map((record) => ({ ...record, offset: -1 }))
  const sends = [...acknowledged, ...new Map(unknown.map((each) => [each.value, each])).values()]
  sends.sort((a, b) => counterOf(a.value) - counterOf(b.value))
  const puback = new Set(published)
  const placeOf = new Map(readings.map((reading) => [reading.value, `mqtt-${reading.partition}`]))
  const payloads = new Set([...published, ...readings.map(({ value }) => value)])
  return [
    ...sends.map(
      ({ value, partition, offset }): HistoryEvent => ({
        op: 'send',
        proc: streamOf(value),
        place: `kafka-${partition}`,
        value,
        result: told.has(value) ? 'ok' : 'info',
        offset,
        delivery: 'exactly-once',
      }),
    ),
    ...[...payloads].map(
      (value): HistoryEvent => ({
        op: 'send',
        proc: streamOf(value),
        place: placeOf.get(value) ?? 'mqtt-0',
        value,
        result: puback.has(value) ? 'ok' : 'info',
        offset: -1,
        delivery: 'at-least-once',
      }),
    ),
    ...records.map(({ partition, offset, value }) => finalOf(`kafka-${partition}`, offset, value)),
    ...readings.map(({ partition, offset, value }) => finalOf(`mqtt-${partition}`, offset, value)),
  ]
}

function finalOf(place: string, offset: number, value: string): HistoryEvent {
  return { op: 'final', place, offset, value }
}

function streamOf(value: string): string {
  return value.slice(0, value.lastIndexOf('-'))
}

function counterOf(value: string): number {
  return Number(value.slice(value.lastIndexOf('-') + 1))
}
