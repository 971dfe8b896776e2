/** The observer of a simulated process: events go into the world's trace, figures into maps that tests can ask. */
import type { EventDefinition, EventFields } from '../../src/base/event-def.ts'
import type { MetricDefinition, MetricLabels } from '../../src/base/metric-def.ts'
import type { Observer } from '../../src/base/ports.ts'

/** Events kept for questions; older ones are only in the trace. */
const eventsKeptMax = 10_000

export interface SeenEvent {
  readonly atMs: number
  readonly id: string
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
}

export class SimObserver implements Observer {
  readonly events: SeenEvent[] = []
  readonly #figures = new Map<string, number>()
  readonly #nowMs: () => number
  readonly #note: (line: string) => void

  constructor(nowMs: () => number, note: (line: string) => void) {
    this.#nowMs = nowMs
    this.#note = note
  }

  event<D extends EventDefinition>(definition: D, fields: EventFields<D>): void {
    const seen = { atMs: this.#nowMs(), id: definition.id, level: definition.level, fields }
    if (this.events.length < eventsKeptMax) this.events.push(seen)
    this.#note(`event ${definition.id} ${JSON.stringify(fields)}`)
  }

  add(metric: MetricDefinition, amount: number, labels?: MetricLabels): void {
    const key = seriesKey(metric.name, labels)
    this.#figures.set(key, (this.#figures.get(key) ?? 0) + amount)
  }

  set(metric: MetricDefinition, value: number, labels?: MetricLabels): void {
    this.#figures.set(seriesKey(metric.name, labels), value)
  }

  /** A histogram is kept as the number of its observations. */
  observe(metric: MetricDefinition, _value: number, labels?: MetricLabels): void {
    this.add(metric, 1, labels)
  }

  remove(metric: MetricDefinition, labels: MetricLabels): void {
    this.#figures.delete(seriesKey(metric.name, labels))
  }

  /** The value of a series: a counter's sum, a gauge's value, a histogram's count; 0 when never touched. */
  figure(name: string, labels?: MetricLabels): number {
    return this.#figures.get(seriesKey(name, labels)) ?? 0
  }

  /** Events with this id, oldest first. */
  eventsOf(id: string): readonly SeenEvent[] {
    return this.events.filter((event) => event.id === id)
  }
}

function seriesKey(name: string, labels: MetricLabels = {}): string {
  const parts = Object.keys(labels)
    .sort()
    .map((label) => `${label}=${labels[label]}`)
  return `${name}{${parts.join(',')}}`
}
