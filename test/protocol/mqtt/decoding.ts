/** Runs bytes through the stream decoder the way a connection does, and keeps what came out as plain objects. */
import { createPacketColumns, type PacketColumns } from '../../../src/protocol/mqtt/packet-columns.ts'
import { packetTypes, type ProtocolLevel } from '../../../src/protocol/mqtt/packet-types.ts'
import {
  checkPingRequest,
  decodeConnect,
  decodeDisconnect,
  decodeSubscribe,
  decodeUnsubscribe,
} from '../../../src/protocol/mqtt/packets.ts'
import { decodeProperties, type MqttProperties } from '../../../src/protocol/mqtt/properties.ts'
import { MqttStreamDecoder } from '../../../src/protocol/mqtt/stream-decoder.ts'
import { isValidTopicName } from '../../../src/protocol/mqtt/utf8.ts'

export interface DecodedPublish {
  readonly type: 'publish'
  readonly qos: number
  readonly retain: boolean
  readonly duplicate: boolean
  readonly topic: string
  readonly hasValidTopic: boolean
  readonly packetId: number
  readonly topicAlias: number
  readonly properties: MqttProperties
  readonly payload: string
}

export type Decoded =
  | DecodedPublish
  | {
      readonly type: 'acknowledgement'
      readonly packetType: number
      readonly packetId: number
      readonly reasonCode: number
    }
  | { readonly type: 'object'; readonly packetType: number; readonly packet: unknown }

function decodeRow(source: Uint8Array, columns: PacketColumns, row: number, level: ProtocolLevel): Decoded {
  const firstByte = columns.firstByte[row] as number
  const packetType = firstByte >>> 4
  const body = { source, start: columns.bodyStart[row] as number, end: columns.bodyEnd[row] as number }
  const text = (start: number, end: number): string => Buffer.from(source.subarray(start, end)).toString('latin1')
  if (packetType === packetTypes.publish) {
    const topicStart = columns.topicStart[row] as number
    const topicEnd = columns.topicEnd[row] as number
    return {
      type: 'publish',
      qos: (firstByte >>> 1) & 3,
      retain: (firstByte & 1) !== 0,
      duplicate: (firstByte & 8) !== 0,
      topic: text(topicStart, topicEnd),
      hasValidTopic: isValidTopicName(source, topicStart, topicEnd),
      packetId: columns.packetId[row] as number,
      topicAlias: columns.topicAlias[row] as number,
      properties: decodeProperties(
        source,
        columns.propertiesStart[row] as number,
        columns.propertiesEnd[row] as number,
        'publish',
      ),
      payload: text(columns.payloadStart[row] as number, body.end),
    }
  }
  if (packetType >= packetTypes.puback && packetType <= packetTypes.pubcomp) {
    const packetId = columns.packetId[row] as number
    return { type: 'acknowledgement', packetType, packetId, reasonCode: columns.reasonCode[row] as number }
  }
  const object = (packet: unknown): Decoded => ({ type: 'object', packetType, packet })
  switch (packetType) {
    case packetTypes.connect:
      return object(decodeConnect(firstByte, body))
    case packetTypes.subscribe:
      return object(decodeSubscribe(firstByte, body, level))
    case packetTypes.unsubscribe:
      return object(decodeUnsubscribe(firstByte, body, level))
    case packetTypes.disconnect:
      return object(decodeDisconnect(firstByte, body, level))
    case packetTypes.pingreq:
      checkPingRequest(firstByte, body)
      return object('pingreq')
    default:
      return object('unexpected')
  }
}

export interface DecodingOptions {
  readonly level?: ProtocolLevel
  readonly packetBytesMax?: number
  /** Sizes of the chunks, used in turn; whole when absent. */
  readonly chunks?: readonly number[]
  /** Take only this many rows at a time. */
  readonly rowsTaken?: number
  readonly rowsMax?: number
}

/** Decodes a stream; throws what the decoder throws, after pushing what came before into `into`. */
export function decodeAll(bytes: Uint8Array, options: DecodingOptions = {}, into: Decoded[] = []): Decoded[] {
  const level = options.level ?? 4
  const limits = { connectBytesMax: 65_536, packetBytesMax: options.packetBytesMax ?? 1_000_000 }
  const decoder = new MqttStreamDecoder(createPacketColumns(options.rowsMax ?? 7), limits, {
    onRows: (source, columns) => {
      const taken = Math.min(columns.count, options.rowsTaken ?? columns.count)
      for (let row = 0; row < taken; row += 1) into.push(decodeRow(source, columns, row, level))
      return taken
    },
  })
  decoder.level = level
  const scratch = new Uint8Array(65_536)
  let at = 0
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = options.chunks === undefined ? bytes.length : (options.chunks[turn % options.chunks.length] as number)
    const window = decoder.window()
    const target = window ?? scratch
    const chunk = bytes.subarray(at, at + Math.min(size, target.length))
    target.set(chunk)
    decoder.push(target.subarray(0, chunk.length))
    // The scratch buffer is used again for the next connection's read.
    scratch.fill(0xee)
    at += chunk.length
    while (decoder.isStalled) decoder.resume()
  }
  return into
}

/** Bytes of a written hexadecimal text; blanks are free. */
export function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(/\s+/g, ''), 'hex')
}
