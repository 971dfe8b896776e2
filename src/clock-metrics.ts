import { defineMetrics } from './base/metric-def.ts'

/** Figures of the host's clock. */
export const clockMetrics = defineMetrics({
  trusted: {
    name: 'headwater_clock_trusted',
    kind: 'gauge',
    help: "1 while the host's clock is believed.",
    labels: [],
  },
})
