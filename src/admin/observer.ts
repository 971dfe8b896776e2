/** The Observer port of the real process: events through pino, figures into the store that `/metrics` reads. */
import type { EventDefinition, EventFields } from '../base/event-def.ts'
import type { MetricDefinition, MetricLabels } from '../base/metric-def.ts'
import type { Observer } from '../base/ports.ts'
import { EventLog, type EventLogOptions } from './event-log.ts'
import { Exposition } from './exposition.ts'
import { MetricStore } from './metric-store.ts'
import { observerMetrics } from './observer-metrics.ts'

export interface ProcessObserverOptions {
  readonly log: EventLogOptions
  readonly version: string
  /** Metrics to show before their first use: the tables of src/metric-tables.ts. */
  readonly declared?: readonly MetricDefinition[]
}

export class ProcessObserver implements Observer {
  readonly store = new MetricStore()
  /** The text of `/metrics`. */
  readonly metrics = new Exposition(this.store)
  readonly #log: EventLog

  constructor(options: ProcessObserverOptions) {
    this.#log = new EventLog(options.log)
    for (const metric of [...Object.values(observerMetrics), ...(options.declared ?? [])]) this.store.declare(metric)
    this.set(observerMetrics.buildInfo, 1, { version: options.version })
  }

  event<D extends EventDefinition>(definition: D, fields: EventFields<D>): void {
    this.add(observerMetrics.logEvents, 1, levelLabels[definition.level])
    this.#log.write(definition, fields)
  }

  add(metric: MetricDefinition, amount: number, labels?: MetricLabels): void {
    this.store.add(metric, amount, labels)
  }

  set(metric: MetricDefinition, value: number, labels?: MetricLabels): void {
    this.store.set(metric, value, labels)
  }

  observe(metric: MetricDefinition, value: number, labels?: MetricLabels): void {
    this.store.observe(metric, value, labels)
  }

  remove(metric: MetricDefinition, labels: MetricLabels): void {
    this.store.remove(metric, labels)
  }

  /** The last act of the process: hands over what was logged, as `EventLog.flush` says. */
  flush(): void {
    this.#log.flush()
  }
}

const levelLabels: Readonly<Record<EventDefinition['level'], MetricLabels>> = {
  debug: { level: 'debug' },
  info: { level: 'info' },
  warn: { level: 'warn' },
  error: { level: 'error' },
  fatal: { level: 'fatal' },
}
