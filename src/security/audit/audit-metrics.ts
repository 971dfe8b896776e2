/** Metrics of the audit. */
import { defineMetrics } from '../../base/metric-def.ts'

export const auditMetrics = defineMetrics({
  records: {
    name: 'headwater_audit_records_total',
    kind: 'counter',
    help: 'Records of the audit that are kept.',
    labels: [],
  },
  lost: {
    name: 'headwater_audit_records_lost_total',
    kind: 'counter',
    help: 'Records of the audit that could not be kept; the chain tells their number too.',
    labels: [],
  },
})
