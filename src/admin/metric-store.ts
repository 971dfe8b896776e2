/**
 * Where figures are kept: plain maps and numbers, because a batch must not pay for a metrics library. The library (prom-client) is
 * loaded at the first scrape and reads these maps (exposition.ts).
 */
import type { MetricDefinition, MetricLabels } from '../base/metric-def.ts'
import { observerMetrics } from './observer-metrics.ts'

/** Series of one metric. A metric with topic and partition labels has as many series as there are partitions; beyond this, somebody labels with client input. */
const seriesCountMax = 20_000

export interface Series {
  readonly labels: MetricLabels
  /** Counter or gauge. */
  value: number
  /** Histogram: observations at or below each bound, not cumulated, the last place for those above all; null for others. */
  readonly bucketCounts: Float64Array | null
  sum: number
  count: number
}

export class MetricStore {
  readonly #series = new Map<MetricDefinition, Map<string, Series>>()

  /** Makes a metric visible before its first use; one without labels starts at 0. */
  declare(definition: MetricDefinition): void {
    if (definition.labels.length === 0) this.#seriesOf(definition, undefined)
    else if (!this.#series.has(definition)) this.#series.set(definition, new Map())
  }

  add(definition: MetricDefinition, amount: number, labels?: MetricLabels): void {
    const series = this.#seriesOf(definition, labels)
    if (series !== null) series.value += amount
  }

  set(definition: MetricDefinition, value: number, labels?: MetricLabels): void {
    const series = this.#seriesOf(definition, labels)
    if (series !== null) series.value = value
  }

  observe(definition: MetricDefinition, value: number, labels?: MetricLabels): void {
    const series = this.#seriesOf(definition, labels)
    if (series === null || series.bucketCounts === null) return
    const bounds = definition.buckets ?? []
    let place = 0
    while (place < bounds.length && value > (bounds[place] ?? 0)) place++
    series.bucketCounts[place] = (series.bucketCounts[place] ?? 0) + 1
    series.sum += value
    series.count++
  }

  remove(definition: MetricDefinition, labels: MetricLabels): void {
    this.#series.get(definition)?.delete(seriesKey(definition, labels))
  }

  /** Every metric with its series now, in the order of first use. */
  metrics(): ReadonlyMap<MetricDefinition, ReadonlyMap<string, Series>> {
    return this.#series
  }

  /** Null when the metric has too many series. */
  #seriesOf(definition: MetricDefinition, labels: MetricLabels | undefined): Series | null {
    let all = this.#series.get(definition)
    if (all === undefined) {
      all = new Map()
      this.#series.set(definition, all)
    }
    const key = seriesKey(definition, labels)
    const known = all.get(key)
    if (known !== undefined) return known
    if (all.size >= seriesCountMax) {
      this.add(observerMetrics.seriesRefused, 1)
      return null
    }
    const bucketCounts =
      definition.kind === 'histogram' ? new Float64Array((definition.buckets?.length ?? 0) + 1) : null
    const series: Series = { labels: labels ?? {}, value: 0, bucketCounts, sum: 0, count: 0 }
    all.set(key, series)
    return series
  }
}

function seriesKey(definition: MetricDefinition, labels: MetricLabels | undefined): string {
  const names = definition.labels
  if (names.length === 0 || labels === undefined) return ''
  const first = labels[names[0] ?? ''] ?? ''
  if (names.length === 1) return first
  let key = first
  for (let place = 1; place < names.length; place++) key += `\u0000${labels[names[place] ?? ''] ?? ''}`
  return key
}
