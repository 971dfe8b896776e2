/**
 * What of a PUBLISH is kept in a record's headers, so that the PUBLISH can be rebuilt, and the way back.
 *
 * Names: `mqtt.client`, `mqtt.qos`, `mqtt.retain` (only when 1), `mqtt.will` (only when 1), `mqtt.topic` (only when the key is not the MQTT
 * topic), `mqtt.pfi`, `mqtt.expires` (absolute wall ms), `mqtt.response-topic`, `mqtt.correlation`, `content-type`; level `full` adds
 * `mqtt.user` and `mqtt.protocol`; `mqtt.clock` marks a record received while the time was not known. User properties stand verbatim, in order, repeats kept; one that would be taken for a header of ours becomes
 * `mqtt.up.<name>`. Level `none` keeps nothing: such a record is delivered at QoS 1 and without properties.
 */
import { clockHeader, type ClockMark, formatClockMark } from '../../base/clock-mark.ts'
import { copyBytes } from '../../base/bytes.ts'
import { decodeProperties, type MqttProperties, type UserProperty } from '../../protocol/mqtt/properties.ts'
import { inspectUtf8, utf8Bytes, utf8Malformed, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { encodeHeaders, noHeaders, type RecordHeader } from '../../protocol/records/record.ts'
import type { HeaderLevel } from './topic-mapping.ts'

/** Names of our headers. */
export const headerNames = {
  client: 'mqtt.client',
  qos: 'mqtt.qos',
  retain: 'mqtt.retain',
  will: 'mqtt.will',
  topic: 'mqtt.topic',
  payloadFormat: 'mqtt.pfi',
  expires: 'mqtt.expires',
  responseTopic: 'mqtt.response-topic',
  correlation: 'mqtt.correlation',
  contentType: 'content-type',
  user: 'mqtt.user',
  protocol: 'mqtt.protocol',
} as const

const reservedPrefix = 'mqtt.'
const userPropertyPrefix = 'mqtt.up.'

/** Who publishes. */
export interface PublisherFacts {
  readonly clientId: string
  readonly userName: string | null
  readonly level: 3 | 4 | 5
}

/** What one message adds to the facts of its publisher. */
export interface MessageFacts {
  readonly headers: HeaderLevel
  readonly qos: number
  readonly retain: boolean
  readonly isWill: boolean
  /** The MQTT topic when the record's key is something else, else null. */
  readonly topic: Uint8Array | null
  readonly properties: MqttProperties
  readonly wallMs: number
  /** Set while the time is not known: the record tells then when it was received by what is known. */
  readonly clockMark: ClockMark | null
}

const noProperties: MqttProperties = {}

/** Builds the header sections of one connection. A message without properties and with the topic as its key costs nothing. */
export class RecordHeaderEncoder {
  private readonly facts: PublisherFacts
  private readonly cache: (Uint8Array | undefined)[] = []

  constructor(facts: PublisherFacts) {
    this.facts = facts
  }

  /** The section of a message that has no properties and whose key is its topic. */
  plain(headers: HeaderLevel, qos: number, retain: boolean): Uint8Array {
    if (headers === 'none') return noHeaders
    const slot = (headers === 'full' ? 8 : 0) | (retain ? 4 : 0) | qos
    let section = this.cache[slot]
    if (section === undefined) {
      section = this.build({
        headers,
        qos,
        retain,
        isWill: false,
        topic: null,
        properties: noProperties,
        wallMs: 0,
        clockMark: null,
      })
      this.cache[slot] = section
    }
    return section
  }

  /** The section of a message with the properties [start, end) of a PUBLISH. */
  withProperties(facts: Omit<MessageFacts, 'properties'>, source: Uint8Array, start: number, end: number): Uint8Array {
    const properties = start === end ? noProperties : decodeProperties(source, start, end, 'publish')
    return this.build({ ...facts, properties })
  }

  /** The section of any message. */
  build(message: MessageFacts): Uint8Array {
    const headers = this.list(message)
    return headers.length === 0 ? noHeaders : encodeHeaders(headers)
  }

  /** The headers of any message, in their order. */
  list(message: MessageFacts): readonly RecordHeader[] {
    const headers: RecordHeader[] = []
    const add = (key: string, value: string | Uint8Array): void => {
      headers.push({ key, value: typeof value === 'string' ? utf8Bytes(value) : value })
    }
    // Whatever the level: without it nobody could tell later that the record's time is wrong.
    if (message.clockMark !== null) add(clockHeader, formatClockMark(message.clockMark))
    if (message.headers === 'none') return headers
    add(headerNames.client, this.facts.clientId)
    add(headerNames.qos, String(message.qos))
    if (message.retain) add(headerNames.retain, '1')
    if (message.isWill) add(headerNames.will, '1')
    if (message.topic !== null) add(headerNames.topic, message.topic)
    if (message.headers === 'full') {
      if (this.facts.userName !== null) add(headerNames.user, this.facts.userName)
      add(headerNames.protocol, protocolNames[this.facts.level])
    }
    addProperties(message.properties, message.wallMs, add)
    return headers
  }
}

const protocolNames = { 3: '3.1', 4: '3.1.1', 5: '5.0' } as const

function addProperties(
  properties: MqttProperties,
  wallMs: number,
  add: (key: string, value: string | Uint8Array) => void,
): void {
  const { payloadFormatIndicator, messageExpiryInterval, responseTopic, correlationData, contentType } = properties
  if (payloadFormatIndicator !== undefined) add(headerNames.payloadFormat, String(payloadFormatIndicator))
  if (messageExpiryInterval !== undefined) add(headerNames.expires, String(wallMs + messageExpiryInterval * 1000))
  if (responseTopic !== undefined) add(headerNames.responseTopic, responseTopic)
  if (correlationData !== undefined) add(headerNames.correlation, correlationData)
  if (contentType !== undefined) add(headerNames.contentType, contentType)
  for (const [name, value] of properties.userProperties ?? []) {
    const isTaken = name.startsWith(reservedPrefix) || name === headerNames.contentType
    add(isTaken ? `${userPropertyPrefix}${name}` : name, value)
  }
}

/** What a record's headers say about the PUBLISH it came from, or for a Kafka client's record: what is assumed. */
export interface DecodedHeaders {
  /** The MQTT topic when it is not the key. */
  readonly topic: Uint8Array | null
  readonly clientId: string | null
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Wall ms, or null. */
  readonly expiresMs: number | null
  /** All but the expiry. */
  readonly properties: MqttProperties
}

/**
 * Reads a record's headers. A header that is not ours becomes a user property when its value is text (5.0 has no place for another);
 * ours with a value that we would not have written is left out.
 */
export function decodeRecordHeaders(headers: readonly RecordHeader[]): DecodedHeaders {
  const found = new Map<string, Uint8Array>()
  const userProperties: UserProperty[] = []
  for (const { key, value } of headers) {
    const bytes = value ?? emptyBytes
    if (key.startsWith(userPropertyPrefix)) addUserProperty(userProperties, key.slice(userPropertyPrefix.length), bytes)
    else if (!key.startsWith(reservedPrefix) && (key !== headerNames.contentType || found.has(key))) {
      addUserProperty(userProperties, key, bytes)
    } else if (!found.has(key)) found.set(key, bytes)
  }
  const text = (name: string): string | undefined => mqttText(found.get(name))
  const qos = text(headerNames.qos)
  const payloadFormat = text(headerNames.payloadFormat)
  const responseTopic = text(headerNames.responseTopic)
  const properties: MqttProperties = {
    payloadFormatIndicator: payloadFormat === '0' || payloadFormat === '1' ? Number(payloadFormat) : undefined,
    contentType: text(headerNames.contentType),
    responseTopic: responseTopic === undefined || /^$|[+#]/.test(responseTopic) ? undefined : responseTopic,
    correlationData: correlationOf(found.get(headerNames.correlation)),
    userProperties: userProperties.length === 0 ? undefined : userProperties,
  }
  return {
    topic: found.get(headerNames.topic) ?? null,
    clientId: text(headerNames.client) ?? null,
    qos: qos === '0' ? 0 : qos === '2' ? 2 : 1,
    retain: text(headerNames.retain) === '1',
    expiresMs: expiryOf(text(headerNames.expires)),
    properties,
  }
}

const emptyBytes = new Uint8Array(0)

function addUserProperty(list: UserProperty[], name: string, value: Uint8Array): void {
  const text = mqttText(value)
  if (text !== undefined && Buffer.byteLength(name) <= 65_535 && !name.includes('\0')) list.push([name, text])
}

/** The text of a value that MQTT can carry as a string. */
export function mqttText(bytes: Uint8Array | null | undefined): string | undefined {
  if (bytes == null || bytes.length > 65_535) return undefined
  if ((inspectUtf8(bytes, 0, bytes.length) & utf8Malformed) !== 0) return undefined
  return utf8Text(bytes, 0, bytes.length)
}

function correlationOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined || bytes.length > 65_535 ? undefined : copyBytes(bytes)
}

/** Wall ms of the header `mqtt.expires`; null where it holds none. */
export function expiryOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
