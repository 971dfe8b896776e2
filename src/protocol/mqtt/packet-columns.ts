import { MqttProtocolError } from './mqtt-protocol-error.ts'
import { packetTypes } from './packet-types.ts'
import { decodeProperties, type PublishPropertyScan, scanPublishProperties } from './properties.ts'
import { reasonCodes } from './reason-codes.ts'

/**
 * Packets of one read chunk as columns: row `i` describes one packet by offsets into the source it was decoded from, so that a PUBLISH or an
 * acknowledgement costs no object. The arrays are reused: they and the source are valid only while `PacketRowsHandler` runs.
 */
export interface PacketColumns {
  /** Rows filled. */
  count: number
  /** First byte of the packet: type and flags. */
  readonly firstByte: Uint8Array
  /** First byte of the fixed header. */
  readonly packetStart: Int32Array
  /** First byte after the fixed header. */
  readonly bodyStart: Int32Array
  /** First byte after the packet. For a PUBLISH this is the end of the payload. */
  readonly bodyEnd: Int32Array
  /** PUBLISH with QoS above 0 and the four acknowledgements; else 0. */
  readonly packetId: Uint16Array
  /** Acknowledgements: 5.0's reason code, else 0. */
  readonly reasonCode: Uint8Array
  /** PUBLISH: topic name. Its UTF-8 is NOT checked here: see `isValidTopicName`; a topic that is known already needs no check. */
  readonly topicStart: Int32Array
  readonly topicEnd: Int32Array
  /** PUBLISH, 5.0: 0 when there is none. */
  readonly topicAlias: Uint16Array
  /** PUBLISH, 5.0: properties without their length; checked. Start = end when a record has nothing to keep of them. */
  readonly propertiesStart: Int32Array
  readonly propertiesEnd: Int32Array
  /** PUBLISH, 5.0: 1 when the payload format indicator says that the payload is UTF-8. It is not checked here. */
  readonly claimsText: Uint8Array
  /** PUBLISH: first byte of the payload. */
  readonly payloadStart: Int32Array
}

/** Columns for up to `capacity` packets: 41 bytes a row. */
export function createPacketColumns(capacity: number): PacketColumns {
  const offsets = (): Int32Array => new Int32Array(capacity)
  return {
    count: 0,
    firstByte: new Uint8Array(capacity),
    packetStart: offsets(),
    bodyStart: offsets(),
    bodyEnd: offsets(),
    packetId: new Uint16Array(capacity),
    reasonCode: new Uint8Array(capacity),
    topicStart: offsets(),
    topicEnd: offsets(),
    topicAlias: new Uint16Array(capacity),
    propertiesStart: offsets(),
    propertiesEnd: offsets(),
    claimsText: new Uint8Array(capacity),
    payloadStart: offsets(),
  }
}

const scan: PublishPropertyScan = { topicAlias: 0, carriesMore: false, claimsText: false }

/**
 * Fills the next row. The caller has set its `packetStart`, `bodyStart` and `bodyEnd`. PUBLISH and the acknowledgements are decoded; every
 * other packet is only framed. `level` 0 = no CONNECT seen yet. Throws MqttProtocolError.
 */
export function fillRow(columns: PacketColumns, source: Uint8Array, level: number): void {
  const row = columns.count
  const firstByte = source[columns.packetStart[row] as number] as number
  columns.firstByte[row] = firstByte
  columns.packetId[row] = 0
  columns.reasonCode[row] = 0
  const type = firstByte >>> 4
  if (type === packetTypes.publish) fillPublish(columns, source, level)
  else if (type >= packetTypes.puback && type <= packetTypes.pubcomp) fillAcknowledgement(columns, source, level)
  else if (type === 0) malformed('packet type 0')
  columns.count = row + 1
}

function fillPublish(columns: PacketColumns, source: Uint8Array, level: number): void {
  const row = columns.count
  const flags = columns.firstByte[row] as number
  const start = columns.bodyStart[row] as number
  const end = columns.bodyEnd[row] as number
  const qos = (flags >>> 1) & 3
  if (qos === 3) malformed('PUBLISH with QoS 3') // [MQTT-3.3.1-4]
  if (qos === 0 && (flags & 8) !== 0) malformed('PUBLISH with QoS 0 and DUP') // [MQTT-3.3.1-2]
  if (start + 2 > end) malformed('PUBLISH without a topic')
  const topicStart = start + 2
  let at = topicStart + (((source[start] as number) << 8) | (source[start + 1] as number))
  if (at > end) malformed('the topic is longer than its packet')
  columns.topicStart[row] = topicStart
  columns.topicEnd[row] = at
  if (qos > 0) {
    at = fillPacketId(columns, source, at)
  }
  columns.topicAlias[row] = 0
  columns.claimsText[row] = 0
  columns.propertiesStart[row] = at
  columns.propertiesEnd[row] = at
  if (level === 5) {
    if (at < end && source[at] === 0) at += 1
    else at = fillPublishProperties(columns, source, at)
  }
  columns.payloadStart[row] = at
}

function fillPublishProperties(columns: PacketColumns, source: Uint8Array, at: number): number {
  const row = columns.count
  const start = propertiesStartAt(source, at, columns.bodyEnd[row] as number)
  const end = start + propertiesLength
  scanPublishProperties(source, start, end, scan)
  columns.topicAlias[row] = scan.topicAlias
  columns.claimsText[row] = scan.claimsText ? 1 : 0
  if (scan.carriesMore) {
    columns.propertiesStart[row] = start
    columns.propertiesEnd[row] = end
  }
  return end
}

function fillPacketId(columns: PacketColumns, source: Uint8Array, at: number): number {
  const row = columns.count
  if (at + 2 > (columns.bodyEnd[row] as number)) malformed('no packet identifier')
  const packetId = ((source[at] as number) << 8) | (source[at + 1] as number)
  if (packetId === 0) protocolError('packet identifier 0') // [MQTT-2.2.1-3]
  columns.packetId[row] = packetId
  return at + 2
}

function fillAcknowledgement(columns: PacketColumns, source: Uint8Array, level: number): void {
  const row = columns.count
  const firstByte = columns.firstByte[row] as number
  const required = firstByte >>> 4 === packetTypes.pubrel ? 2 : 0
  // 3.1 lets PUBREL carry DUP; later versions fix all four bits [MQTT-3.6.1-1].
  const flags = level === 3 ? firstByte & 7 : firstByte & 15
  if (flags !== required) malformed('reserved flags of an acknowledgement are set')
  const end = columns.bodyEnd[row] as number
  const at = fillPacketId(columns, source, columns.bodyStart[row] as number)
  if (level !== 5) {
    if (at !== end) malformed('an acknowledgement is longer than two bytes')
    return
  }
  if (at === end) return
  const reason = source[at] as number
  if (!acknowledgementReasons[(firstByte >>> 4) as 4 | 5 | 6 | 7].includes(reason)) {
    protocolError(`reason code ${reason} does not belong into this acknowledgement`)
  }
  columns.reasonCode[row] = reason
  if (at + 1 === end) return
  const list = propertyListAt(source, at + 1, end)
  if (list.end !== end) malformed('bytes after the properties of an acknowledgement')
  if (list.start < end) decodeProperties(source, list.start, end, 'acknowledgement')
}

/** Tables 3-4 to 3-7. */
const publishReasons: readonly number[] = [
  reasonCodes.success,
  reasonCodes.noMatchingSubscribers,
  reasonCodes.unspecifiedError,
  reasonCodes.implementationSpecificError,
  reasonCodes.notAuthorized,
  reasonCodes.topicNameInvalid,
  reasonCodes.packetIdentifierInUse,
  reasonCodes.quotaExceeded,
  reasonCodes.payloadFormatInvalid,
]
const releaseReasons: readonly number[] = [reasonCodes.success, reasonCodes.packetIdentifierNotFound]
const acknowledgementReasons = { 4: publishReasons, 5: publishReasons, 6: releaseReasons, 7: releaseReasons } as const

/** Length that the last call of `propertiesStartAt` read. */
let propertiesLength = 0

/** First byte of the property list whose length stands at `at`; its length is left in `propertiesLength`. */
function propertiesStartAt(source: Uint8Array, at: number, end: number): number {
  let length = 0
  for (let index = 0; index < 4; index += 1) {
    if (at + index >= end) malformed('no property length')
    const byte = source[at + index] as number
    length += (byte & 127) * 2 ** (7 * index)
    if (byte < 128) {
      if (byte === 0 && index > 0) break
      const start = at + index + 1
      if (start + length > end) malformed('the properties are longer than their packet')
      propertiesLength = length
      return start
    }
  }
  malformed('the property length is not in its shortest form') // [MQTT-1.5.5-1]
}

/** Position of a property list whose length stands at `at`. Throws MqttProtocolError. */
export function propertyListAt(
  source: Uint8Array,
  at: number,
  end: number,
): { readonly start: number; readonly end: number } {
  const start = propertiesStartAt(source, at, end)
  return { start, end: start + propertiesLength }
}

function malformed(what: string): never {
  throw new MqttProtocolError(reasonCodes.malformedPacket, what)
}

function protocolError(what: string): never {
  throw new MqttProtocolError(reasonCodes.protocolError, what)
}
