import { defineMetrics } from '../base/metric-def.ts'

const partition = ['mirror', 'topic', 'partition'] as const

/** What a mirror counts. Gauges are set by `Mirror.refreshGauges`, before a scrape. */
export const mirrorMetrics = defineMetrics({
  records: {
    name: 'headwater_mirror_records_total',
    kind: 'counter',
    help: 'Records that the central cluster has confirmed.',
    labels: ['mirror'],
  },
  bytes: {
    name: 'headwater_mirror_bytes_total',
    kind: 'counter',
    help: 'Bytes of record batches that the central cluster has confirmed, as sent.',
    labels: ['mirror'],
  },
  requests: {
    name: 'headwater_mirror_requests_total',
    kind: 'counter',
    help: 'Produce requests that were answered.',
    labels: ['mirror'],
  },
  requestSeconds: {
    name: 'headwater_mirror_request_seconds',
    kind: 'histogram',
    help: 'Time from sending a Produce request to its answer.',
    labels: ['mirror'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
  },
  refusals: {
    name: 'headwater_mirror_refusals_total',
    kind: 'counter',
    help: 'Batches that the central cluster refused, by its error.',
    labels: ['mirror', 'error'],
  },
  linkFailures: {
    name: 'headwater_mirror_link_failures_total',
    kind: 'counter',
    help: 'Attempts to reach the central cluster that failed, and connections to it that broke.',
    labels: ['mirror'],
  },
  resumes: {
    name: 'headwater_mirror_resumes_total',
    kind: 'counter',
    help: 'Times that a partition asked the target where it was, by what proved the answer.',
    labels: ['mirror', 'proof'],
  },
  lostRecords: {
    name: 'headwater_mirror_lost_records_total',
    kind: 'counter',
    help: 'Offsets that were deleted here before they were mirrored.',
    labels: ['mirror'],
  },
  throttledSeconds: {
    name: 'headwater_mirror_throttled_seconds_total',
    kind: 'counter',
    help: 'Time that quotas of the central cluster asked us to wait.',
    labels: ['mirror'],
  },
  linkUp: {
    name: 'headwater_mirror_link_up',
    kind: 'gauge',
    help: '1 while the central cluster is connected.',
    labels: ['mirror'],
  },
  windowBytes: {
    name: 'headwater_mirror_window_bytes',
    kind: 'gauge',
    help: 'Bytes that may be under way on all connections of the mirror together, as the links allow it now.',
    labels: ['mirror'],
  },
  lagRecords: {
    name: 'headwater_mirror_lag_records',
    kind: 'gauge',
    help: 'Offsets between what the central cluster has confirmed and the durable end here.',
    labels: partition,
  },
  parkedPartitions: {
    name: 'headwater_mirror_parked_partitions',
    kind: 'gauge',
    help: 'Partitions that wait for an operator.',
    labels: ['mirror'],
  },
})
