/** The Observer port of the real process: events through pino, figures into the store that `/metrics` reads. */
import type { EventDefinition, EventFields } from '../base/event-def.ts'
import type { MetricDefinition, MetricLabels } from '../base/metric-def.ts'
import type { Observer } from '../base/ports.ts'
import { EventLog, type EventLogOptions } from './event-log.ts'
import { MetricStore } from './metric-store.ts'
import { observerMetrics } from './observer-metrics.ts'

export interface ProcessObserverOptions {
  readonly log: EventLogOptions
  readonly version: string
  /** Metrics to show before their first use: the tables of metric-tables.ts. */
  readonly declared?: readonly MetricDefinition[]
}

export class ProcessObserver implements Observer {
  readonly metrics = new MetricStore()
  readonly #log: EventLog

  constructor(options: ProcessObserverOptions) {
    this.#log = new EventLog(options.log)
    for (const metric of [...Object.values(observerMetrics), ...(options.declared ?? [])]) this.metrics.declare(metric)
    this.set(observerMetrics.buildInfo, 1, { version: options.version })
  }

  event<D extends EventDefinition>(definition: D, fields: EventFields<D>): void {
    this.add(observerMetrics.logEvents, 1, levelLabels[definition.level])
    this.#log.write(definition, fields)
  }

  add(metric: MetricDefinition, amount: number, labels?: MetricLabels): void {
    this.metrics.add(metric, amount, labels)
  }

  set(metric: MetricDefinition, value: number, labels?: MetricLabels): void {
    this.metrics.set(metric, value, labels)
  }

  observe(metric: MetricDefinition, value: number, labels?: MetricLabels): void {
    this.metrics.observe(metric, value, labels)
  }

  remove(metric: MetricDefinition, labels: MetricLabels): void {
    this.metrics.remove(metric, labels)
  }

  /** The last act of the process: what was logged is with the kernel when this returns. */
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
