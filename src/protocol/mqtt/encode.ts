/** The packets a server sends, as bytes. Values come from our own code: what cannot be encoded is a programmer error. */
import {
  packetTypes,
  type ProtocolLevel,
  type QualityOfService,
  variableByteIntegerMax,
  variableByteIntegerSize,
  writeVariableByteInteger,
} from './packet-types.ts'
import { encodeProperties, type MqttProperties } from './properties.ts'
import { connectReturnCode } from './reason-codes.ts'

/** PINGRESP: always these two bytes. */
export const pingResponse: Uint8Array = Uint8Array.of(packetTypes.pingresp << 4, 0)

/**
 * CONNACK (3.2). `reasonCode` is always 5.0's; for 3.1 and 3.1.1 it becomes the return code that says the same, or null when there is none:
 * then the connection is closed without a word.
 */
export function encodeConnack(
  level: ProtocolLevel,
  sessionPresent: boolean,
  reasonCode: number,
  properties: MqttProperties = {},
): Uint8Array | null {
  // 3.1 has no Session Present: the byte is reserved there.
  const flags = sessionPresent && level !== 3 ? 1 : 0
  if (level === 5)
    return packet(packetTypes.connack << 4, [Uint8Array.of(flags, reasonCode), encodeProperties(properties)])
  const returnCode = connectReturnCode(reasonCode)
  return returnCode === null ? null : Uint8Array.of(packetTypes.connack << 4, 2, flags, returnCode)
}

/** SUBACK (3.9). `reasons` are 5.0's; before 5.0 every failure is 0x80. */
export function encodeSuback(
  level: ProtocolLevel,
  packetId: number,
  reasons: readonly number[],
  properties: MqttProperties = {},
): Uint8Array {
  const codes = Uint8Array.from(level === 5 ? reasons : reasons.map((reason) => (reason >= 0x80 ? 0x80 : reason)))
  const list = level === 5 ? [encodeProperties(properties)] : []
  return packet(packetTypes.suback << 4, [uint16(packetId), ...list, codes])
}

/** UNSUBACK (3.11). Before 5.0 it carries no reasons. */
export function encodeUnsuback(level: ProtocolLevel, packetId: number, reasons: readonly number[]): Uint8Array {
  return level === 5
    ? packet(packetTypes.unsuback << 4, [uint16(packetId), Uint8Array.of(0), Uint8Array.from(reasons)])
    : packet(packetTypes.unsuback << 4, [uint16(packetId)])
}

/** DISCONNECT of a server: 5.0 only. */
export function encodeDisconnect(reasonCode: number, properties: MqttProperties = {}): Uint8Array {
  return packet(packetTypes.disconnect << 4, [Uint8Array.of(reasonCode), encodeProperties(properties)])
}

/** AUTH (3.15) of a server: 5.0 only. */
export function encodeAuth(reasonCode: number, properties: MqttProperties): Uint8Array {
  return packet(packetTypes.auth << 4, [Uint8Array.of(reasonCode), encodeProperties(properties)])
}

/** PUBACK or PUBREC that says why it refuses: 5.0 only. */
export function encodeRefusal(type: number, packetId: number, reasonCode: number, reasonString: string): Uint8Array {
  return packet(type << 4, [uint16(packetId), Uint8Array.of(reasonCode), encodeProperties({ reasonString })])
}

/** Bytes that `writeAcknowledgement` needs for success, and at most. */
export const acknowledgementBytes = 4
export const acknowledgementBytesMax = 5

/**
 * Writes PUBACK, PUBREC, PUBREL or PUBCOMP at `at` and returns the position after it. A reason code other than success may be written for 5.0
 * only: earlier versions cannot say it.
 */
export function writeAcknowledgement(
  target: Uint8Array,
  at: number,
  type: number,
  packetId: number,
  reasonCode = 0,
): number {
  target[at] = (type << 4) | (type === packetTypes.pubrel ? 2 : 0)
  target[at + 2] = packetId >>> 8
  target[at + 3] = packetId
  if (reasonCode === 0) {
    target[at + 1] = 2
    return at + 4
  }
  target[at + 1] = 3
  target[at + 4] = reasonCode
  return at + 5
}

export interface PublishToEncode {
  readonly level: ProtocolLevel
  readonly qos: QualityOfService
  readonly retain: boolean
  readonly duplicate: boolean
  readonly topic: Uint8Array
  /** Ignored at QoS 0. */
  readonly packetId: number
  /** Property list with its length in front, as `encodeProperties` makes it; ignored before 5.0. */
  readonly properties: Uint8Array
  readonly payload: Uint8Array
}

/** An encoded PUBLISH: where it stands in memory that others may share, so that no view of it need be made. */
export class EncodedPublish {
  readonly memory: Uint8Array
  readonly start: number
  readonly end: number
  /** Position of the packet id in the memory; -1 at QoS 0. */
  readonly packetIdAt: number

  constructor(memory: Uint8Array, start: number, end: number, packetIdAt: number) {
    this.memory = memory
    this.start = start
    this.end = end
    this.packetIdAt = packetIdAt
  }
}

/** PUBLISH (3.3). Throws RangeError when the packet would exceed what MQTT can frame. At QoS 0 the memory is the packet and nothing else. */
export function encodePublish(publish: PublishToEncode): EncodedPublish {
  const idSize = publish.qos === 0 ? 0 : 2
  const properties = publish.level === 5 ? publish.properties : emptyBytes
  const remaining = 2 + publish.topic.length + idSize + properties.length + publish.payload.length
  if (remaining > variableByteIntegerMax || publish.topic.length > 65_535) {
    throw new RangeError(`a PUBLISH of ${remaining} bytes cannot be framed`)
  }
  const size = 1 + variableByteIntegerSize(remaining) + remaining
  const memory = publish.qos === 0 ? Buffer.allocUnsafe(size) : waitingMemory(size)
  const start = memory === shared ? sharedAt - size : 0
  memory[start] =
    (packetTypes.publish << 4) | (publish.duplicate ? 8 : 0) | (publish.qos << 1) | (publish.retain ? 1 : 0)
  let at = writeVariableByteInteger(memory, start + 1, remaining)
  memory[at] = publish.topic.length >>> 8
  memory[at + 1] = publish.topic.length
  memory.set(publish.topic, at + 2)
  at += 2 + publish.topic.length
  const packetIdAt = publish.qos === 0 ? -1 : at
  if (publish.qos > 0) {
    memory[at] = publish.packetId >>> 8
    memory[at + 1] = publish.packetId
    at += 2
  }
  memory.set(properties, at)
  memory.set(publish.payload, at + properties.length)
  return new EncodedPublish(memory, start, start + size, packetIdAt)
}

/** Writes a PUBLISH of QoS 1 or 2 at `at`, under this packet id; answers the position after it. */
export function writePublish(
  target: Uint8Array,
  at: number,
  publish: EncodedPublish,
  packetId: number,
  duplicate: boolean,
): number {
  const { memory, start, end, packetIdAt } = publish
  target.set(memory.subarray(start, end), at)
  const idAt = at + packetIdAt - start
  target[idAt] = packetId >>> 8
  target[idAt + 1] = packetId
  const firstByte = memory[start] as number
  target[at] = duplicate ? firstByte | 8 : firstByte & ~8
  return at + end - start
}

const emptyBytes = new Uint8Array(0)

/** Small packets share memory of this size: one of its own costs several times what a hundred bytes do. */
const sharedBytes = 1024
const sharedPacketBytesMax = 256
let shared = emptyBytes
let sharedAt = 0

/**
 * For what may wait for its acknowledgement: it holds little memory besides its own, whatever becomes of what was encoded beside it. In shared
 * memory it ends at `sharedAt`.
 */
function waitingMemory(size: number): Uint8Array {
  if (size > sharedPacketBytesMax) return new Uint8Array(size)
  if (sharedAt + size > shared.length) {
    shared = new Uint8Array(sharedBytes)
    sharedAt = 0
  }
  sharedAt += size
  return shared
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value)
}

function packet(firstByte: number, parts: readonly Uint8Array[]): Uint8Array {
  const remaining = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = new Uint8Array(1 + variableByteIntegerSize(remaining) + remaining)
  bytes[0] = firstByte
  let at = writeVariableByteInteger(bytes, 1, remaining)
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
