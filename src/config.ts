/**
 * The configuration: one schema, from which validation, types, docs/configuration.md and `headwater config print` are derived.
 * Its written form is one YAML file; config-reader.ts adds the flags and HEADWATER_ variables and turns the text into this type.
 *
 * Every object is strict. Every number has its unit in its name or in its written value. Under `kafka` stand Kafka's own broker
 * settings under Kafka's own names, declared in cluster/metadata.
 */
import { z } from 'zod'
import { kafkaSettingFault } from './config-kafka.ts'
import { listenerCountMax, listeners } from './config-listeners.ts'
import { judgeKerberos, kerberos } from './config-kerberos.ts'
import { judgeOutbound, outboundSasl, outboundTls } from './config-outbound.ts'
import { judgeTokens, oauthbearer } from './config-tokens.ts'
import { bytes, bytesOrShare, count, durationMs, reachableAddress } from './config-values.ts'

const mirrorCountMax = 32
const routeCountMax = 1_000
const patternCountMax = 1_000

const node = z.strictObject({
  id: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .prefault(1)
    .describe('Broker id, as Kafka clients see it. Fixed when the data directory is formatted.'),
  site: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,100}$/, 'a site name is made of letters, digits, dot, underscore and hyphen (1 to 100)')
    .prefault('edge')
    .describe('Name of the place. Mirrors put it in front of the topic names at the central cluster.'),
})

const mqttRoute = z.strictObject({
  match: z.string().min(1).describe('MQTT topic filter. `{name}` captures one level, `{name...}` at the end the rest.'),
  topic: z.string().min(1).describe('Kafka topic, with the captures as `{name}`.'),
  key: z.string().min(1).prefault('{mqtt.topic}').describe('Record key, with the captures.'),
  partitionBy: z
    .string()
    .min(1)
    .nullable()
    .prefault(null)
    .describe('What chooses the partition (hashed, not stored), with the captures. Without it: the key.'),
  headers: z
    .enum(['none', 'minimal', 'full'])
    .prefault('minimal')
    .describe(
      'How much of the publish becomes record headers. `none` keeps nothing that subscribers of 5.0 could be told.',
    ),
  schema: z
    .string()
    .min(1)
    .nullable()
    .prefault(null)
    .describe('File of a JSON Schema (2020-12 or draft-07) that payloads must fit; others are refused (0x99).'),
  schemaPayloadMax: bytes({ min: 1, max: 1_048_576 })
    .prefault('64KiB')
    .describe('Where there is a schema: larger payloads are refused unread.'),
})

const commandRoute = z.strictObject({
  name: z.string().min(1).describe('Its consumer group is `headwater-mqtt-NAME`, which holds how far it is.'),
  kafkaTopic: z.string().min(1).describe('Kafka topic whose records are commands.'),
  mqttTopic: z
    .string()
    .min(1)
    .describe('MQTT topic, with `{key}`, `{header.NAME}`, `{partition}` and `{offset}` of the record.'),
  qos: z
    .literal([0, 1, 2])
    .prefault(1)
    .describe('Quality of service of a record without a header `mqtt.qos`; 0, 1 or 2.'),
  messageExpiry: durationMs({ min: 1000 })
    .prefault('1d')
    .describe(
      "How long a command counts from its record's timestamp on. A header `mqtt.expires` (wall ms) goes before.",
    ),
  unmatched: z
    .enum(['wait', 'skip'])
    .prefault('wait')
    .describe('What becomes of a command that nobody subscribes to: it waits until it expires, or is passed over.'),
  correlationData: z
    .string()
    .min(1)
    .prefault('mqtt.correlation')
    .describe('Record header that becomes the Correlation Data of 5.0.'),
  responseTopic: z
    .string()
    .min(1)
    .prefault('mqtt.response-topic')
    .describe('Record header that becomes the Response Topic of 5.0.'),
  contentType: z
    .string()
    .min(1)
    .prefault('content-type')
    .describe('Record header that becomes the Content Type of 5.0.'),
  userProperties: z.boolean().prefault(true).describe('All other headers that are text become user properties of 5.0.'),
})

const kafkaTopicName = z
  .string()
  .regex(
    /^(?!__|\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/,
    'a Kafka topic: letters, digits, dot, underscore and hyphen, not beginning with `__`',
  )

const sparkplug = z
  .strictObject({
    topic: kafkaTopicName
      .prefault('sparkplug')
      .describe('Kafka topic of all messages of Sparkplug, partitioned by group and edge node.'),
    certificatesTopic: kafkaTopicName
      .prefault('sparkplug.certificates')
      .describe('Kafka topic of the birth certificates, under their MQTT topics as keys: a good one to compact.'),
    decodedTopic: kafkaTopicName
      .nullable()
      .prefault(null)
      .describe(
        'Kafka topic of the messages as JSON, beside the messages themselves: with the names and data types of the births. Without it payloads are not looked into.',
      ),
    decodedPayloadMax: bytes({ min: 1024, max: 524_288 })
      .prefault('256KiB')
      .describe('Where messages are decoded: larger payloads are stored alone.'),
  })
  .refine(
    ({ topic, certificatesTopic }) => topic !== certificatesTopic,
    'births and their certificates need two topics',
  )
  .refine(
    ({ topic, certificatesTopic, decodedTopic }) => decodedTopic !== topic && decodedTopic !== certificatesTopic,
    'decoded messages need a topic of their own',
  )

const mqtt = z.strictObject({
  routes: z
    .array(mqttRoute)
    .max(routeCountMax)
    .prefault([])
    .describe(
      'Rules from MQTT topics to Kafka topics; the first that matches wins. Without a match the first level is the Kafka topic.',
    ),
  commandRoutes: z
    .array(commandRoute)
    .max(routeCountMax)
    .prefault([])
    .describe('Kafka topics whose records are given to MQTT subscribers under topics of a template.'),
  lastResortTopic: kafkaTopicName
    .prefault('mqtt.unrouted')
    .describe('Kafka topic of messages that no rule can take anywhere.'),
  sparkplug: sparkplug
    .nullable()
    .prefault(null)
    .describe(
      'Being an MQTT server that is aware of Sparkplug B: rules for `spBv1.0/#` behind `mqtt.routes` that keep the order of each edge node, and its births under `$sparkplug/certificates/`. Without it: as any other topics.',
    ),
  keepForSessions: z
    .array(
      z
        .string()
        .regex(/^[a-zA-Z0-9._-]*\*?$/, 'a Kafka topic, or what topics begin with and `*`')
        .min(1)
        .max(249),
    )
    .max(1000)
    .prefault([])
    .describe(
      'Kafka topics (`sensors`, `plant.*`) of which retention leaves what kept sessions have not had yet, within the budget of the disk. Elsewhere retention goes on without them.',
    ),
  checkPayloadFormat: z
    .boolean()
    .prefault(false)
    .describe(
      'Refuse (0x99) a message of 5.0 whose payload format indicator says that it is UTF-8 when it is not. At QoS 0 it is dropped and counted.',
    ),
  autoTopicsMax: count(0, 10_000)
    .prefault(64)
    .describe('Kafka topics that publishes may create in one run where the name depends on the MQTT topic.'),
  connectionsMax: count(1, 100_000).prefault(10_000).describe('Open connections.'),
  connectionsPerAddressMax: count(1, 100_000)
    .prefault(1000)
    .describe(
      'Open connections of one client address (of IPv6: one /64 network). Those of this machine itself are not counted.',
    ),
  connectionsPerSecondMax: count(1, 100_000)
    .nullable()
    .prefault(null)
    .describe('New connections a second, over all listeners. Without it there is no such bound.'),
  connectDeadline: durationMs({ min: 100 })
    .prefault('10s')
    .describe('A connection that has not sent CONNECT by then is closed.'),
  packetMax: bytes({ min: 1024, max: 268_435_455 })
    .prefault('256KiB')
    .describe('Largest packet; announced to 5.0 clients.'),
  receiveMaximum: count(1, 65_535)
    .prefault(1024)
    .describe('QoS 1 and 2 messages that a client may have unacknowledged.'),
  keepAliveMax: durationMs({ min: 1000, max: 65_535_000 })
    .prefault('20min')
    .describe('Longest keep-alive; a 5.0 client that asks for more is told this one.'),
  sessionsMax: count(1, 1_000_000).prefault(10_000).describe('Kept sessions, connected ones included.'),
  sessionExpiryMax: durationMs({ max: 4_294_967_294_000 })
    .prefault('7d')
    .describe('Longest time a session is kept without a connection.'),
  subscriptionsPerSessionMax: count(1, 100_000).prefault(1000).describe('Subscriptions of one session.'),
  replaysPerConnectionMax: count(0, 1000)
    .prefault(16)
    .describe('Kafka topics that a connection may read at a time by subscribing to `$log/TOPIC`. 0 = none.'),
  retainedMax: bytes({ min: 1024 })
    .prefault('16MiB')
    .describe(
      'What retained messages may take in memory, 0.25 KiB beside the bytes of topic, payload and properties of each: a million of 100 B take about 380 MiB; above it further ones are refused (0x97).',
    ),
  queuedMessagesMax: count(1, 1_000_000)
    .prefault(1000)
    .describe('QoS 1 and 2 messages waiting in memory for one subscriber; further ones wait in the log alone.'),
  queuedMax: bytes({ min: 1024 }).prefault('1MiB').describe('The same as a size.'),
  queuedTotalMax: bytes({ min: 1024 })
    .prefault('64MiB')
    .describe(
      'The same size over all sessions, with what is on its way to clients and not acknowledged; every client may have one such message whatever the others hold.',
    ),
  uncommittedMax: bytes({ min: 1024 })
    .prefault('256KiB')
    .describe('Messages of one connection that are not committed yet; above it the socket is paused.'),
  pendingMax: bytes({ min: 1024 })
    .prefault('8MiB')
    .describe('What waits for a commit in the whole broker; above it every publishing socket is paused.'),
})

const mirror = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a mirror name is made of small letters, digits and hyphens (1 to 63)')
      .describe('Name of the mirror, in status, metrics and logs. Its positions are kept under this name.'),
    bootstrapServers: z
      .array(reachableAddress())
      .min(1)
      .max(listenerCountMax)
      .describe('Brokers of the central cluster to ask first, HOST:PORT.'),
    tls: outboundTls,
    sasl: outboundSasl,
    topics: z
      .array(z.string().min(1))
      .min(1)
      .max(patternCountMax)
      .describe(
        'Which topics: anchored regular expressions. Internal topics are never mirrored, but for __headwater_audit where it is named so.',
      ),
    targetTopic: z
      .string()
      .min(1)
      .prefault('{site}.{topic}')
      .describe('Topic name at the central cluster, from `{topic}`, `{site}` and `{node}`.'),
    startFrom: z
      .enum(['earliest', 'latest'])
      .prefault('earliest')
      .describe(
        'Where a partition begins that has never been mirrored, or whose target topic was deleted and created anew.',
      ),
    untrustedTimestamps: z
      .enum(['restamp', 'hold'])
      .prefault('restamp')
      .describe(
        'Records received while this node did not know the time: `restamp` sends them, once the time is known, with the time they should have had; `hold` sends neither them nor what follows in the partition.',
      ),
    window: bytes({ min: 65_536 })
      .prefault('12MiB')
      .describe('Sent and not yet answered on one connection: link speed times round trip, and some.'),
    connectTimeout: durationMs({ min: 100 })
      .prefault('10s')
      .describe('A connection that is not made by then has failed.'),
    requestTimeout: durationMs({ min: 1000 })
      .prefault('60s')
      .describe('A connection with a request unanswered for this long counts as dead.'),
    backOffMax: durationMs({ min: 1000 })
      .prefault('60s')
      .describe('Longest pause between two tries of a failing link; it doubles from a quarter of a second.'),
  })
  .superRefine(judgeOutbound)

const log = z.strictObject({
  level: z
    .enum(['debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .prefault('info')
    .describe('Least level of the events that are written to stderr.'),
  format: z
    .enum(['auto', 'json', 'text'])
    .prefault('auto')
    .describe('`json`: one object a line. `text`: for eyes. `auto`: text on a terminal, else json.'),
})

const disk = z.strictObject({
  budget: bytesOrShare({ min: 32 * 2 ** 20 })
    .prefault('90%')
    .describe('Most that everything in dataDir may take: a size, or a share of the file system such as 90%.'),
  whenFull: z
    .enum(['reject', 'drop-oldest'])
    .prefault('reject')
    .describe(
      'When the budget is used up: refuse new data, or give up the oldest segments first; each loss is written to __headwater_loss_ledger.',
    ),
  reserve: bytes({ max: 2 ** 40 })
    .prefault('64MiB')
    .describe(
      'Size of the ballast, a file that is given up when the file system is full, so that what was begun can be finished. 0 = none.',
    ),
  ratedWrites: bytes()
    .prefault('0')
    .describe(
      'What the medium is rated to take in its life (TBW of its data sheet), for the estimate of how long it lasts. 0 = not known.',
    ),
  scrubRate: bytes({ max: 2 ** 40 })
    .prefault('1MiB')
    .describe('Bytes a second at which all stored bytes are looked through for damage. 0 = never.'),
  scrubEvery: durationMs({ min: 60_000 })
    .prefault('7d')
    .describe(
      'Time from the end of one look through all stored bytes to the begin of the next; the first begins ten minutes after a start at the latest.',
    ),
})

const audit = z.strictObject({
  keep: z
    .enum(['auto', 'always', 'never'])
    .prefault('auto')
    .describe(
      'Is an audit kept? `auto`: as soon as clients have names, by a listener that authenticates them or an authorizer.',
    ),
  fileSize: bytes({ min: 65_536, max: 2 ** 26 })
    .prefault('4MiB')
    .describe('Size of one file of the audit in dataDir; a full one is followed by the next.'),
  filesMax: count(2, 1_000).prefault(8).describe('Files of the audit that are kept.'),
})

/** Positions and figures of a mirror are kept under its name. */
function judgeMirrorNames(written: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  for (const [index, { name }] of written.entries()) {
    const first = written.findIndex((other) => other.name === name)
    if (first === index) continue
    context.addIssue({ code: 'custom', path: [index, 'name'], message: `mirrors[${first}] has this name already` })
  }
}

/** Checked by Kafka's own table, name by name, so that every fault has its place. */
const kafkaSettings = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
  .superRefine((settings, context) => {
    for (const [name, value] of Object.entries(settings)) {
      const message = kafkaSettingFault(name, value)
      if (message !== null) context.addIssue({ code: 'custom', path: [name], message })
    }
  })
  .transform((settings): ReadonlyMap<string, string> => new Map(Object.entries(settings)))

/** The schema of the whole file. */
export const configSchema = z
  .strictObject({
    dataDir: z
      .string()
      .min(1)
      .prefault('./data')
      .describe('Directory of the log and of all state. Created when missing. One daemon at a time.'),
    disk: disk.prefault({}),
    node: node.prefault({}),
    listeners: listeners.prefault({}),
    kafka: kafkaSettings
      .prefault({})
      .describe("Kafka's own broker settings under Kafka's own names; they are listed below."),
    mqtt: mqtt.prefault({}),
    mirrors: z
      .array(mirror)
      .max(mirrorCountMax)
      .superRefine(judgeMirrorNames)
      .prefault([])
      .describe('Copies of topics to a central Apache Kafka.'),
    oauthbearer: oauthbearer.prefault({}),
    kerberos: kerberos.describe('Kerberos, for listeners that offer GSSAPI.'),
    log: log.prefault({}),
    audit: audit.prefault({}),
  })
  .superRefine(judgeTokens)
  .superRefine(judgeKerberos)

type DeepReadonly<T> =
  T extends ReadonlyMap<string, string>
    ? T
    : T extends (infer E)[]
      ? readonly DeepReadonly<E>[]
      : T extends object
        ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
        : T

/** A valid configuration with every default filled in: bytes and milliseconds as numbers, addresses as host and port. */
export type ApplianceConfig = DeepReadonly<z.infer<typeof configSchema>>
export type TlsConfig = ApplianceConfig['listeners']['http']['tls']
export type MqttConfig = ApplianceConfig['mqtt']
export type DiskConfig = ApplianceConfig['disk']
export type MirrorConfig = ApplianceConfig['mirrors'][number]
