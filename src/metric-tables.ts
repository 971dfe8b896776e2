/** Every metric of the appliance, so that `/metrics` shows a counter before it first counts. */
import type { MetricDefinition } from './base/metric-def.ts'
import { clockMetrics } from './clock-metrics.ts'
import { groupMetrics } from './coordinator/group/group-metrics.ts'
import { kafkaDoorMetrics } from './ingest/kafka/door-metrics.ts'
import { mqttMetrics } from './ingest/mqtt/mqtt-metrics.ts'
import { logMetrics } from './log/log-metrics.ts'
import { mirrorMetrics } from './mirror/mirror-metrics.ts'
import { nodeMetrics } from './node/node-metrics.ts'
import { auditMetrics } from './security/audit/audit-metrics.ts'
import { securityMetrics } from './security/security-metrics.ts'

export const metricTables: readonly MetricDefinition[] = [
  ...Object.values(nodeMetrics),
  ...Object.values(clockMetrics),
  ...Object.values(securityMetrics),
  ...Object.values(auditMetrics),
  ...Object.values(logMetrics),
  ...Object.values(groupMetrics),
  ...Object.values(kafkaDoorMetrics),
  ...Object.values(mqttMetrics),
  ...Object.values(mirrorMetrics),
]
