/** Metrics of the Kafka door; the names in brackets are Kafka's for the same figure. */
import { defineMetrics } from '../../base/metric-def.ts'

export const kafkaDoorMetrics = defineMetrics({
  connections: {
    name: 'headwater_kafka_connections',
    kind: 'gauge',
    help: 'Open connections of Kafka clients (connection-count).',
    labels: ['listener'],
  },
  connectionsAccepted: {
    name: 'headwater_kafka_connections_accepted_total',
    kind: 'counter',
    help: 'Connections accepted (connection-creation-total).',
    labels: [],
  },
  connectionsClosed: {
    name: 'headwater_kafka_connections_closed_total',
    kind: 'counter',
    help: 'Connections closed, by the reason: client, refused, unauthenticated, failed, idle, stalled, stop.',
    labels: ['reason'],
  },
  connectionsRefused: {
    name: 'headwater_kafka_connections_refused_total',
    kind: 'counter',
    help: 'Kafka connections closed because they were beyond a limit, by limit: connections, address_connections, rate.',
    labels: ['reason'],
  },
  requests: {
    name: 'headwater_kafka_requests_total',
    kind: 'counter',
    help: 'Requests begun (RequestsPerSec).',
    labels: ['api'],
  },
  requestSeconds: {
    name: 'headwater_kafka_request_seconds',
    kind: 'histogram',
    help: 'Time from the last byte of a request until its answer is ready (TotalTimeMs without the sending).',
    labels: ['api'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  },
  receivedBytes: {
    name: 'headwater_kafka_received_bytes_total',
    kind: 'counter',
    help: 'Bytes received from Kafka clients (incoming-byte-total).',
    labels: [],
  },
  sentBytes: {
    name: 'headwater_kafka_sent_bytes_total',
    kind: 'counter',
    help: 'Bytes of answers handed to the network (outgoing-byte-total).',
    labels: [],
  },
  throttledSeconds: {
    name: 'headwater_kafka_throttled_seconds_total',
    kind: 'counter',
    help: 'Time for which clients above a quota were told to pause (produce-throttle-time, fetch-throttle-time, request-throttle-time).',
    labels: [],
  },
  requestMemoryBytes: {
    name: 'headwater_kafka_request_memory_bytes',
    kind: 'gauge',
    help: 'Bytes of requests that are being received or handled.',
    labels: [],
  },
  responseMemoryBytes: {
    name: 'headwater_kafka_response_memory_bytes',
    kind: 'gauge',
    help: 'Bytes of answers that wait for their turn or for a slow reader.',
    labels: [],
  },
})

const labels = new Map<string, { readonly api: string }>()

/** One object a name: metrics are told of every request. The names are those of our own table. */
export function labelsOf(api: string): { readonly api: string } {
  let known = labels.get(api)
  if (known === undefined) {
    known = { api }
    labels.set(api, known)
  }
  return known
}
