import type { CommandRoute } from './command-route.ts'
import type { SparkplugOptions } from './sparkplug.ts'
import type { TopicRoute } from './topic-mapping.ts'

/** Settings of the MQTT door; every bound says why it is there. */
export interface MqttDoorOptions {
  /** Rules from MQTT topics to Kafka topics, the first match wins; after them comes the default rule. */
  readonly routes: readonly TopicRoute[]
  /** From Kafka topics to MQTT topics. */
  readonly commandRoutes: readonly CommandRoute[]
  /** Null = the server is not aware of Sparkplug. Its rules stand in `routes`. */
  readonly sparkplug: SparkplugOptions | null
  /** Kafka topic of messages that no rule takes anywhere. */
  readonly lastResortTopic: string
  /** Refuse payloads that a client says are UTF-8 (payload format indicator 1) and that are not. */
  readonly checkPayloadFormat: boolean
  /** Kafka topics of which retention leaves what kept sessions have not had; a name that ends in `*` is what names begin with. */
  readonly keepForSessions: readonly string[]
  /** Kafka topics that publishes may create in one run where the name depends on the MQTT topic: a stray client must not fill the broker with topics. */
  readonly autoTopicsMax: number

  /** Open connections; each costs memory before anything is known of its client. */
  readonly connectionsMax: number
  /** Open connections of one address, this machine's own excepted: one faulty host must not shut everybody out. */
  readonly connectionsPerAddressMax: number
  /** New connections a second; null = no bound. */
  readonly connectionsPerSecondMax: number | null
  /** A connection that has not sent CONNECT by then is closed; TLS and WebSocket handshakes are within it. */
  readonly connectDeadlineMs: number
  /** Largest CONNECT: bytes held for a client that is not known yet. */
  readonly connectBytesMax: number
  /** Largest packet afterwards; announced as Maximum Packet Size. */
  readonly packetBytesMax: number
  /** Client ids stand in every record's headers. */
  readonly clientIdBytesMax: number
  /** QoS 1 and 2 messages that a client may have unacknowledged: announced as Receive Maximum and enforced for 5.0; before, only for QoS 2. */
  readonly receiveMaximum: number
  /** Topic aliases a client may set up, and that we set up towards it if it takes so many; each holds a topic name. */
  readonly topicAliasMaximum: number
  /** Longest keep-alive: a 5.0 client that asks for more, or for none, is told this one. */
  readonly keepAliveSecondsMax: number

  /** Kept sessions, connected ones included; the one without a connection for longest makes room. */
  readonly sessionsMax: number
  /** Longest time a session is kept without a connection; 3.1.1 clients cannot say and get this. */
  readonly sessionExpirySecondsMax: number
  readonly subscriptionsPerSessionMax: number
  readonly subscriptionsMax: number
  /** Replays (`$log/TOPIC`) of one connection. */
  readonly replaysPerConnectionMax: number
  /** Partitions that all replays together read: each has a cursor, and is looked at when its partition grows. */
  readonly replayPartitionsMax: number
  /** Characters of all filters together. */
  readonly filterCharactersMax: number
  /** What all retained messages may take in memory, their overhead included: above it a client is told 0x97. */
  readonly retainedBytesMax: number
  /** Unfinished QoS 1 and 2 messages on their way to one subscriber, however many it would take. */
  readonly sendWindowMax: number
  /** QoS 1 and 2 messages waiting for one subscriber; further ones wait in the log alone. */
  readonly queuedMessagesMax: number
  readonly queuedBytesMax: number
  /** The same over all sessions, with what is in flight. */
  readonly queuedBytesTotalMax: number
  /** Finished QoS 2 messages of one session whose ids are still kept: a client that leaves an older one unacknowledged is sent no more. */
  readonly finishedIdsMax: number

  /** Messages of one connection that are not committed yet, in bytes: above it the socket is paused. */
  readonly uncommittedBytesMax: number
  /** Bytes that wait for a commit in the whole broker: above it every publishing socket is paused. */
  readonly pendingBytesMax: number
  /** A client that takes nothing of what is sent to it (the socket's backlog is full) is closed after this. */
  readonly drainDeadlineMs: number
  /** After a failed append a client that cannot be told the reason is kept waiting this long before its connection is closed. */
  readonly failurePauseMs: number

  /** Readers whose places are written in one turn of the loop: each has up to its window and its queue of messages to look at. */
  readonly checkpointReaders: number

  /** Bytes of one read of a partition's tail, and of one turn's work on it. */
  readonly tailReadBytes: number
  /** What may be remembered of which topics are where in the log, so that those who were away need not read all of it. */
  readonly summaryBytesMax: number
  /** Length of a stretch of the log that is remembered as one: what is read in vain for one message. */
  readonly summaryStretchBytes: number
  /** A compressed batch is decompressed up to this size for delivery. */
  readonly decompressedBytesMax: number
}

/** Defaults: a box with 512 MB serving up to 10,000 clients. */
export const mqttDoorDefaults: MqttDoorOptions = {
  routes: [],
  commandRoutes: [],
  sparkplug: null,
  lastResortTopic: 'mqtt.unrouted',
  checkPayloadFormat: false,
  keepForSessions: [],
  autoTopicsMax: 64,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 1000,
  connectionsPerSecondMax: null,
  connectDeadlineMs: 10_000,
  connectBytesMax: 65_536,
  packetBytesMax: 262_144,
  clientIdBytesMax: 256,
  receiveMaximum: 1024,
  topicAliasMaximum: 32,
  keepAliveSecondsMax: 1200,
  sessionsMax: 10_000,
  sessionExpirySecondsMax: 7 * 86_400,
  subscriptionsPerSessionMax: 1000,
  subscriptionsMax: 100_000,
  replaysPerConnectionMax: 16,
  replayPartitionsMax: 16_384,
  filterCharactersMax: 8_388_608,
  retainedBytesMax: 16_777_216,
  sendWindowMax: 256,
  queuedMessagesMax: 1000,
  queuedBytesMax: 1_048_576,
  queuedBytesTotalMax: 67_108_864,
  finishedIdsMax: 8192,
  uncommittedBytesMax: 262_144,
  pendingBytesMax: 8_388_608,
  drainDeadlineMs: 60_000,
  failurePauseMs: 2000,
  checkpointReaders: 64,
  tailReadBytes: 262_144,
  summaryBytesMax: 16_777_216,
  summaryStretchBytes: 16_777_216,
  decompressedBytesMax: 33_554_432,
}
