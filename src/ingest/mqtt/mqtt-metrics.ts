import { defineMetrics } from '../../base/metric-def.ts'

/** Figures of the MQTT door. */
export const mqttMetrics = defineMetrics({
  connections: {
    name: 'headwater_mqtt_connections',
    kind: 'gauge',
    help: 'Open MQTT connections.',
    labels: [],
  },
  connectionsRefused: {
    name: 'headwater_mqtt_connections_refused_total',
    kind: 'counter',
    help: 'MQTT connections beyond a limit, by limit: connections, listener_connections, address_connections, rate.',
    labels: ['reason'],
  },
  sessions: {
    name: 'headwater_mqtt_sessions',
    kind: 'gauge',
    help: 'MQTT sessions kept, connected or not.',
    labels: [],
  },
  subscriptions: {
    name: 'headwater_mqtt_subscriptions',
    kind: 'gauge',
    help: 'Subscriptions of MQTT clients.',
    labels: [],
  },
  replays: {
    name: 'headwater_mqtt_replays',
    kind: 'gauge',
    help: 'Kafka topics that MQTT clients read by $log.',
    labels: [],
  },
  schemaChecks: {
    name: 'headwater_mqtt_schema_checks_total',
    kind: 'counter',
    help: 'Messages that were checked by the schema of their route, by route (its filter) and outcome: valid, invalid.',
    labels: ['route', 'outcome'],
  },
  sparkplugDecodings: {
    name: 'headwater_mqtt_sparkplug_decodings_total',
    kind: 'counter',
    help: 'Sparkplug messages that were stored and were to be decoded, by outcome: decoded, unnamed (decoded, with aliases that no known birth gives), malformed, too_large, not_stored.',
    labels: ['outcome'],
  },
  commands: {
    name: 'headwater_mqtt_commands_total',
    kind: 'counter',
    help: 'Records of command routes, by what became of them: given, unmatched (skipped), expired, invalid, ordinary (they came by MQTT), lost (retention was faster).',
    labels: ['route', 'outcome'],
  },
  commandsWaiting: {
    name: 'headwater_mqtt_commands_waiting',
    kind: 'gauge',
    help: 'Commands that wait for a subscriber, or for the acknowledgement of one whose session is not kept.',
    labels: ['route'],
  },
  queuedBytes: {
    name: 'headwater_mqtt_queued_bytes',
    kind: 'gauge',
    help: 'Bytes of messages that wait for MQTT subscribers, or for their acknowledgement.',
    labels: [],
  },
  retainedMessages: {
    name: 'headwater_mqtt_retained_messages',
    kind: 'gauge',
    help: 'Topics that have a retained message.',
    labels: [],
  },
  retainedBytes: {
    name: 'headwater_mqtt_retained_bytes',
    kind: 'gauge',
    help: 'What retained messages take of their budget.',
    labels: [],
  },
  published: {
    name: 'headwater_mqtt_published_messages_total',
    kind: 'counter',
    help: 'Messages received from MQTT clients and committed.',
    labels: [],
  },
  publishedBytes: {
    name: 'headwater_mqtt_published_bytes_total',
    kind: 'counter',
    help: 'Bytes (topic and payload) of messages received from MQTT clients and committed.',
    labels: [],
  },
  refused: {
    name: 'headwater_mqtt_refused_messages_total',
    kind: 'counter',
    help: 'Messages from MQTT clients that were not stored, by reason.',
    labels: ['reason'],
  },
  delivered: {
    name: 'headwater_mqtt_delivered_messages_total',
    kind: 'counter',
    help: 'Messages sent to MQTT subscribers.',
    labels: [],
  },
  dropped: {
    name: 'headwater_mqtt_dropped_deliveries_total',
    kind: 'counter',
    help: 'Messages that were not delivered to an MQTT subscriber, by reason.',
    labels: ['reason'],
  },
  backlogReadBytes: {
    name: 'headwater_mqtt_backlog_read_bytes_total',
    kind: 'counter',
    help: 'Bytes read from the log for MQTT sessions that were away or slow; one read serves all of a partition.',
    labels: [],
  },
  backlogPassed: {
    name: 'headwater_mqtt_backlog_passed_offsets_total',
    kind: 'counter',
    help: 'Offsets that were passed over for MQTT sessions that were away or slow, because nothing there is for any of them.',
    labels: [],
  },
  overtaken: {
    name: 'headwater_mqtt_overtaken_positions_total',
    kind: 'counter',
    help: 'Places of MQTT sessions and shared subscriptions in a partition that records were gone from before they had them, by reason: retention, compaction, damage, unreadable.',
    labels: ['reason'],
  },
  disconnects: {
    name: 'headwater_mqtt_disconnects_total',
    kind: 'counter',
    help: 'MQTT connections that the server closed, by reason.',
    labels: ['reason'],
  },
})
