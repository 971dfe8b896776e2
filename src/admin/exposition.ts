/**
 * Prometheus text (version 0.0.4) of the metric store and of the process, through prom-client, which is loaded at the first scrape.
 */
import type { Metric, Registry } from 'prom-client'
import type { MetricDefinition } from '../base/metric-def.ts'
import type { MetricStore, Series } from './metric-store.ts'

export const expositionContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Gauges of prom-client whose names `promtool check metrics` faults (`_total` on a gauge). */
const faultyNames = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export class Exposition {
  readonly #store: MetricStore
  #process: Promise<Registry> | null = null

  constructor(store: MetricStore) {
    this.#store = store
  }

  /** The text of all metrics. */
  async text(): Promise<string> {
    this.#process ??= processRegistry()
    const client = await import('prom-client')
    const registry = new client.Registry()
    for (const [definition, series] of this.#store.metrics()) registry.registerMetric(metricView(definition, series))
    const all = client.Registry.merge([registry, await this.#process])
    return all.metrics()
  }
}

async function processRegistry(): Promise<Registry> {
  const client = await import('prom-client')
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry })
  for (const name of faultyNames) registry.removeSingleMetric(name)
  return registry
}

interface MetricValue {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
}

/** What prom-client's registry asks of a metric: a name and its values on demand. */
function metricView(definition: MetricDefinition, series: ReadonlyMap<string, Series>): Metric {
  const view = {
    name: definition.name,
    get: () =>
      Promise.resolve({
        name: definition.name,
        help: definition.help,
        type: definition.kind,
        values: [...series.values()].flatMap((one) => valuesOf(definition, one)),
        aggregator: 'sum',
      }),
  }
  return view as unknown as Metric
}

function valuesOf(definition: MetricDefinition, series: Series): MetricValue[] {
  if (series.bucketCounts === null) return [{ labels: series.labels, value: series.value }]
  const values: MetricValue[] = []
  let atMost = 0
  for (const [place, count] of series.bucketCounts.entries()) {
    atMost += count
    const le = definition.buckets?.[place] ?? '+Inf'
    values.push({ labels: { ...series.labels, le }, value: atMost, metricName: `${definition.name}_bucket` })
  }
  values.push({ labels: series.labels, value: series.sum, metricName: `${definition.name}_sum` })
  values.push({ labels: series.labels, value: series.count, metricName: `${definition.name}_count` })
  return values
}
