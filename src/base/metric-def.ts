/** Metrics, declared next to their users in `*-metrics.ts` tables; `/metrics` and docs/metrics.md are derived from them. */

export type MetricKind = 'counter' | 'gauge' | 'histogram'
export type MetricLabels = Readonly<Record<string, string>>

export interface MetricDefinition {
  /** Prometheus name, `headwater_...`, with its unit last; counters end in `_total`. */
  readonly name: string
  readonly kind: MetricKind
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, in the metric's unit. */
  readonly buckets?: readonly number[]
}

/** Declares a table of metrics; the result keeps the literal types. */
export function defineMetrics<const T extends Readonly<Record<string, MetricDefinition>>>(metrics: T): T {
  return metrics
}
