/**
 * The packets that are rare enough to be objects: CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH, decoded from their bodies.
 * Versions: 3.1, 3.1.1, 5.0. Everything a decoder throws is an MqttProtocolError.
 */
import { copyBytes } from '../../base/bytes.ts'
import { MqttProtocolError } from './mqtt-protocol-error.ts'
import { propertyListAt } from './packet-columns.ts'
import type { ProtocolLevel, QualityOfService } from './packet-types.ts'
import { decodeProperties, type MqttProperties, type PropertyPlace } from './properties.ts'
import { reasonCodes } from './reason-codes.ts'
import { inspectUtf8, isValidTopicName, utf8Malformed, utf8Text } from './utf8.ts'

/** One packet's body inside a source: [start, end). */
export interface PacketBody {
  readonly source: Uint8Array
  readonly start: number
  readonly end: number
}

export interface WillMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: QualityOfService
  readonly retain: boolean
  readonly properties: MqttProperties
}

export interface ConnectPacket {
  readonly level: ProtocolLevel
  /** Clean Start in 5.0, Clean Session before. */
  readonly cleanStart: boolean
  /** Seconds; 0 = none. */
  readonly keepAliveSeconds: number
  readonly clientId: string
  readonly will: WillMessage | null
  readonly userName: string | null
  readonly password: Uint8Array | null
  readonly properties: MqttProperties
}

export interface SubscriptionRequest {
  readonly filter: string
  readonly qos: QualityOfService
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: 0 | 1 | 2
}

export interface SubscribePacket {
  readonly packetId: number
  readonly subscriptions: readonly SubscriptionRequest[]
  readonly properties: MqttProperties
}

export interface UnsubscribePacket {
  readonly packetId: number
  readonly filters: readonly string[]
  readonly properties: MqttProperties
}

export interface DisconnectPacket {
  readonly reasonCode: number
  readonly properties: MqttProperties
}

export interface AuthPacket {
  readonly reasonCode: number
  readonly properties: MqttProperties
}

const noProperties: MqttProperties = {}

/** Reads a body from front to end; every read is checked against what remains. */
class BodyReader {
  readonly source: Uint8Array
  at: number
  readonly end: number

  constructor(body: PacketBody) {
    this.source = body.source
    this.at = body.start
    this.end = body.end
  }

  get isAtEnd(): boolean {
    return this.at === this.end
  }

  byte(): number {
    if (this.at >= this.end) malformed('the packet ends too early')
    const value = this.source[this.at] as number
    this.at += 1
    return value
  }

  uint16(): number {
    return this.byte() * 256 + this.byte()
  }

  packetId(): number {
    const value = this.uint16()
    if (value === 0) protocolError('packet identifier 0') // [MQTT-2.2.1-3]
    return value
  }

  /** A length-prefixed field; answers its first byte and leaves `at` behind it. */
  private field(): number {
    const length = this.uint16()
    const start = this.at
    if (start + length > this.end) malformed('a field is longer than its packet')
    this.at = start + length
    return start
  }

  binary(): Uint8Array {
    const start = this.field()
    return copyBytes(this.source, start, this.at)
  }

  text(): string {
    const start = this.field()
    if ((inspectUtf8(this.source, start, this.at) & utf8Malformed) !== 0) malformed('a string is not well-formed UTF-8')
    return utf8Text(this.source, start, this.at)
  }

  topicName(): string {
    const start = this.field()
    if ((inspectUtf8(this.source, start, this.at) & utf8Malformed) !== 0) malformed('a topic is not well-formed UTF-8')
    if (!isValidTopicName(this.source, start, this.at)) {
      throw new MqttProtocolError(reasonCodes.topicNameInvalid, 'the topic is empty or holds a wildcard')
    }
    return utf8Text(this.source, start, this.at)
  }

  properties(place: PropertyPlace): MqttProperties {
    const list = propertyListAt(this.source, this.at, this.end)
    this.at = list.end
    return list.start === list.end ? noProperties : decodeProperties(this.source, list.start, list.end, place)
  }

  finish(): void {
    if (!this.isAtEnd) malformed('bytes behind the end of the packet')
  }
}

/** Decodes CONNECT (3.1). An unknown protocol level is reported before anything behind it is read: its layout is unknown. */
export function decodeConnect(firstByte: number, body: PacketBody): ConnectPacket {
  const reader = new BodyReader(body)
  const level = protocolLevel(reader)
  // 3.1 leaves open what stands there.
  if ((firstByte & 15) !== 0 && level !== 3) malformed('reserved flags of CONNECT are set')
  const flags = reader.byte()
  if ((flags & 1) !== 0 && level !== 3) malformed('the reserved connect flag is set') // [MQTT-3.1.2-3]
  const hasWill = (flags & 4) !== 0
  const willQos = (flags >>> 3) & 3
  if (willQos === 3) malformed('will QoS 3') // [MQTT-3.1.2-14]
  if (!hasWill && (flags & 0x38) !== 0) malformed('will flags without a will') // [MQTT-3.1.2-11]
  const hasUserName = (flags & 0x80) !== 0
  const hasPassword = (flags & 0x40) !== 0
  if (hasPassword && !hasUserName && level !== 5) malformed('a password without a user name') // 3.1.1: [MQTT-3.1.2-22]
  const keepAliveSeconds = reader.uint16()
  const properties = level === 5 ? reader.properties('connect') : noProperties
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    protocolError('authentication data without a method') // 3.1.2.11.10
  }
  const clientId = reader.text()
  const will = hasWill ? decodeWill(reader, level, flags) : null
  const userName = hasUserName ? reader.text() : null
  const password = hasPassword ? reader.binary() : null
  reader.finish()
  return { level, cleanStart: (flags & 2) !== 0, keepAliveSeconds, clientId, will, userName, password, properties }
}

function protocolLevel(reader: BodyReader): ProtocolLevel {
  const name = reader.text()
  if (name !== 'MQTT' && name !== 'MQIsdp') malformed('the protocol name is not MQTT') // [MQTT-3.1.2-1]
  const level = reader.byte()
  if (name === 'MQTT' ? level !== 4 && level !== 5 : level !== 3) {
    throw new MqttProtocolError(reasonCodes.unsupportedProtocolVersion, `protocol ${name} level ${level}`)
  }
  return level as ProtocolLevel
}

function decodeWill(reader: BodyReader, level: ProtocolLevel, flags: number): WillMessage {
  const properties = level === 5 ? reader.properties('will') : noProperties
  const topic = reader.topicName()
  const payload = reader.binary()
  return { topic, payload, qos: ((flags >>> 3) & 3) as QualityOfService, retain: (flags & 0x20) !== 0, properties }
}

/** Decodes SUBSCRIBE (3.8). Filters are well-formed strings; whether they are valid filters is said in SUBACK, one by one. */
export function decodeSubscribe(firstByte: number, body: PacketBody, level: ProtocolLevel): SubscribePacket {
  checkRequestFlags(firstByte, level)
  const reader = new BodyReader(body)
  const packetId = reader.packetId()
  const properties = level === 5 ? reader.properties('subscribe') : noProperties
  const subscriptions: SubscriptionRequest[] = []
  while (!reader.isAtEnd) {
    const filter = reader.text()
    subscriptions.push(subscriptionRequest(filter, reader.byte(), level))
  }
  if (subscriptions.length === 0) protocolError('SUBSCRIBE without a topic filter') // [MQTT-3.8.3-2]
  return { packetId, subscriptions, properties }
}

function subscriptionRequest(filter: string, options: number, level: ProtocolLevel): SubscriptionRequest {
  const qos = options & 3
  if (qos === 3) protocolError('subscription with QoS 3')
  if ((options & (level === 5 ? 0xc0 : 0xfc)) !== 0) malformed('reserved subscription options are set') // [MQTT-3.8.3-5]
  const retainHandling = (options >>> 4) & 3
  if (retainHandling === 3) protocolError('retain handling 3')
  return {
    filter,
    qos: qos as QualityOfService,
    noLocal: (options & 4) !== 0,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  }
}

/** Decodes UNSUBSCRIBE (3.10). */
export function decodeUnsubscribe(firstByte: number, body: PacketBody, level: ProtocolLevel): UnsubscribePacket {
  checkRequestFlags(firstByte, level)
  const reader = new BodyReader(body)
  const packetId = reader.packetId()
  const properties = level === 5 ? reader.properties('unsubscribe') : noProperties
  const filters: string[] = []
  while (!reader.isAtEnd) filters.push(reader.text())
  if (filters.length === 0) protocolError('UNSUBSCRIBE without a topic filter') // [MQTT-3.10.3-2]
  return { packetId, filters, properties }
}

/** Fixed header flags 0010 [MQTT-3.8.1-1], [MQTT-3.10.1-1]; 3.1 lets DUP be set. */
function checkRequestFlags(firstByte: number, level: ProtocolLevel): void {
  if ((level === 3 ? firstByte & 7 : firstByte & 15) !== 2) malformed('reserved flags are set')
}

/** Reason codes that a client may send in DISCONNECT (table 3-10, column "sent by"). */
const clientDisconnectReasons: ReadonlySet<number> = new Set([
  reasonCodes.success,
  reasonCodes.disconnectWithWill,
  reasonCodes.unspecifiedError,
  reasonCodes.malformedPacket,
  reasonCodes.protocolError,
  reasonCodes.implementationSpecificError,
  reasonCodes.topicNameInvalid,
  reasonCodes.receiveMaximumExceeded,
  reasonCodes.topicAliasInvalid,
  reasonCodes.packetTooLarge,
  reasonCodes.messageRateTooHigh,
  reasonCodes.quotaExceeded,
  reasonCodes.administrativeAction,
  reasonCodes.payloadFormatInvalid,
])

/** Decodes DISCONNECT (3.14). */
export function decodeDisconnect(firstByte: number, body: PacketBody, level: ProtocolLevel): DisconnectPacket {
  if ((firstByte & 15) !== 0) malformed('reserved flags of DISCONNECT are set') // [MQTT-3.14.1-1]
  const reader = new BodyReader(body)
  if (reader.isAtEnd) return { reasonCode: reasonCodes.success, properties: noProperties }
  if (level !== 5) malformed('DISCONNECT with a body')
  const reasonCode = reader.byte()
  if (!clientDisconnectReasons.has(reasonCode)) protocolError(`reason code ${reasonCode} in DISCONNECT from a client`)
  const properties = reader.isAtEnd ? noProperties : reader.properties('disconnect')
  reader.finish()
  return { reasonCode, properties }
}

/** Decodes AUTH of a client (3.15). Without a body it says success, which is for servers to say. */
export function decodeAuth(firstByte: number, body: PacketBody): AuthPacket {
  if ((firstByte & 15) !== 0) malformed('reserved flags of AUTH are set') // [MQTT-3.15.1-1]
  const reader = new BodyReader(body)
  const reasonCode = reader.isAtEnd ? reasonCodes.success : reader.byte()
  if (reasonCode !== reasonCodes.continueAuthentication && reasonCode !== reasonCodes.reAuthenticate) {
    protocolError(`reason code ${reasonCode} in AUTH from a client`) // [MQTT-3.15.2-1]
  }
  const properties = reader.isAtEnd ? noProperties : reader.properties('auth')
  reader.finish()
  if (properties.authenticationMethod === undefined) protocolError('AUTH without a method') // 3.15.2.2.2
  return { reasonCode, properties }
}

/** PINGREQ (3.12): nothing but its first byte. */
export function checkPingRequest(firstByte: number, body: PacketBody): void {
  if ((firstByte & 15) !== 0 || body.start !== body.end) malformed('PINGREQ with flags or a body')
}

function malformed(what: string): never {
  throw new MqttProtocolError(reasonCodes.malformedPacket, what)
}

function protocolError(what: string): never {
  throw new MqttProtocolError(reasonCodes.protocolError, what)
}
