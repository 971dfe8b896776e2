/** Metrics of the ports on the operating system. */
import { defineMetrics } from '../base/metric-def.ts'

const secondsBuckets = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const

export const nodeMetrics = defineMetrics({
  diskGroupSeconds: {
    name: 'headwater_disk_group_seconds',
    kind: 'histogram',
    help: 'Time from the submission of an ordered group of disk operations to its completion.',
    labels: [],
    buckets: secondsBuckets,
  },
  diskGroupsFailed: {
    name: 'headwater_disk_groups_failed_total',
    kind: 'counter',
    help: 'Groups of disk operations that failed, by the system error.',
    labels: ['code'],
  },
  diskSyncs: {
    name: 'headwater_disk_syncs_total',
    kind: 'counter',
    help: 'Calls of fdatasync and fsync by the writer thread.',
    labels: [],
  },
  diskSyncSeconds: {
    name: 'headwater_disk_sync_seconds_total',
    kind: 'counter',
    help: 'Time spent in fdatasync and fsync; divided by the number of syncs it is the device’s mean flush time.',
    labels: [],
  },
  diskDescriptors: {
    name: 'headwater_disk_open_descriptors',
    kind: 'gauge',
    help: 'Descriptors of data files held open, by side.',
    labels: ['side'],
  },
  connectionsRefused: {
    name: 'headwater_connections_refused_total',
    kind: 'counter',
    help: 'Connections closed before their first byte was read, by listener and reason: crowded, late, proxy, proxy_source, upgrade.',
    labels: ['listener', 'reason'],
  },
  tlsHandshakesFailed: {
    name: 'headwater_tls_handshakes_failed_total',
    kind: 'counter',
    help: 'TLS handshakes that failed or were refused, by listener.',
    labels: ['listener'],
  },
})
