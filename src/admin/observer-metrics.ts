/** Figures about the figures and the log. */
import { defineMetrics } from '../base/metric-def.ts'

export const observerMetrics = defineMetrics({
  logEvents: {
    name: 'headwater_log_events_total',
    kind: 'counter',
    help: 'Log events by level, whether the configured level lets them out or not.',
    labels: ['level'],
  },
  seriesRefused: {
    name: 'headwater_metric_series_refused_total',
    kind: 'counter',
    help: 'Updates of new metric series that were refused because their metric has too many.',
    labels: [],
  },
  buildInfo: {
    name: 'headwater_build_info',
    kind: 'gauge',
    help: 'Always 1; the version is in the label.',
    labels: ['version'],
  },
})
