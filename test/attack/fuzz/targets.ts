/** What bytes of strangers reach before anybody knows who sends them, and what they reach on a listener that asks for no name. */
import { strangersFrames } from '../../../src/ingest/kafka/connection-security.ts'
import { readProxyHeader } from '../../../src/node/proxy-header.ts'
import {
  apiVersionsApi,
  clientApiByKey,
  kafkaClientApis,
  saslAuthenticateApi,
  saslHandshakeApi,
} from '../../../src/protocol/kafka/apis.ts'
import { decodeMessage } from '../../../src/protocol/kafka/compile.ts'
import { FrameAssembler } from '../../../src/protocol/kafka/frame.ts'
import { decodeRequestHeader } from '../../../src/protocol/kafka/header.ts'
import { ProtocolError } from '../../../src/protocol/kafka/protocol-error.ts'
import { createPacketColumns, type PacketColumns } from '../../../src/protocol/mqtt/packet-columns.ts'
import { packetTypes, type ProtocolLevel } from '../../../src/protocol/mqtt/packet-types.ts'
import {
  checkPingRequest,
  decodeAuth,
  decodeConnect,
  decodeDisconnect,
  decodeSubscribe,
  decodeUnsubscribe,
} from '../../../src/protocol/mqtt/packets.ts'
import { decodeProperties } from '../../../src/protocol/mqtt/properties.ts'
import { MqttProtocolError } from '../../../src/protocol/mqtt/mqtt-protocol-error.ts'
import { MqttStreamDecoder } from '../../../src/protocol/mqtt/stream-decoder.ts'
import { readBearer } from '../../../src/security/sasl/oauth-bearer-messages.ts'
import { readPlain } from '../../../src/security/sasl/plain-server.ts'
import { readClientFinal, readClientFirst } from '../../../src/security/sasl/scram-messages.ts'
import { sparkplugCodec } from '../../../src/protocol/sparkplug/payload-codec.ts'
import { finished, foreignPayloads, jsonOf, knownReasons } from '../../protocol/sparkplug/foreign-payloads.ts'
import * as seeds from './seeds.ts'

export interface FuzzTarget {
  readonly name: string
  readonly protocol: 'kafka' | 'mqtt'
  /** What it makes out of an input is held against four times its size. */
  readonly isBeforeAuthentication: boolean
  readonly seeds: readonly Uint8Array[]
  /** Answers how many messages it found; 0 when it refused the input. Throws what must not be thrown. */
  read(input: Uint8Array): number
}

/** A decoder whose refusals are of one class. */
function refusing(read: (input: Uint8Array) => number, refusal: new (...words: never[]) => Error) {
  return (input: Uint8Array): number => {
    try {
      return read(input)
    } catch (thrown) {
      if (thrown instanceof refusal) return 0
      throw thrown
    }
  }
}

// -------------------------------------------------------------------------------------------------------- Kafka

const strangersKeys = new Set([apiVersionsApi.key, saslHandshakeApi.key, saslAuthenticateApi.key])

function readRequest(frame: Uint8Array, isStranger: boolean): number {
  const { apiKey, apiVersion, end } = decodeRequestHeader(frame)
  if (isStranger && !strangersKeys.has(apiKey)) return 0
  const api = clientApiByKey.get(apiKey)
  if (api === undefined || apiVersion < api.minVersion || apiVersion > api.maxVersion) return 0
  const read = decodeMessage(api.request, apiVersion, frame, end)
  if (read.end > frame.length) throw new Error(`it read ${read.end} of ${frame.length} bytes`)
  return 1
}

/** As a connection does: in two pieces, whose border the input itself names, and up to the first frame that cannot be read. */
function readStream(input: Uint8Array): number {
  const readFrame = refusing((frame) => readRequest(frame, true) + 1, ProtocolError)
  let frames = 0
  let isOver = false
  const assembler = new FrameAssembler({
    ...strangersFrames(9_437_184),
    onFrame: (frame) => {
      frames++
      isOver ||= readFrame(frame) === 0
    },
    onOversize: () => {},
  })
  const border = input.length === 0 ? 0 : (input[input.length - 1] as number) % input.length
  assembler.push(input.subarray(0, border))
  assembler.push(input.subarray(border))
  return frames
}

// --------------------------------------------------------------------------------------------------------- MQTT

const columns = createPacketColumns(16)
const connectBytesMax = 65_536

function readPackets(input: Uint8Array, levelAtFirst: 0 | ProtocolLevel): number {
  let packets = 0
  const limits = { connectBytesMax, packetBytesMax: connectBytesMax }
  const decoder = new MqttStreamDecoder(columns, limits, {
    onRows: (source, rows) => {
      for (let row = 0; row < rows.count; row++) {
        // What comes behind CONNECT waits until the client is known; AUTH is how it becomes known.
        const type = (rows.firstByte[row] as number) >>> 4
        if (levelAtFirst === 0 && decoder.level !== 0 && type !== packetTypes.auth) return row
        readRow(source, rows, row, decoder)
        packets++
      }
      return rows.count
    },
  })
  decoder.level = levelAtFirst
  const border = input.length === 0 ? 0 : (input[input.length - 1] as number) % input.length
  decoder.push(input.subarray(0, border))
  decoder.push(input.subarray(border))
  return packets
}

function readRow(source: Uint8Array, rows: PacketColumns, row: number, decoder: MqttStreamDecoder): void {
  const firstByte = rows.firstByte[row] as number
  const type = firstByte >>> 4
  const body = { source, start: rows.bodyStart[row] as number, end: rows.bodyEnd[row] as number }
  if (decoder.level === 0) {
    if (type !== packetTypes.connect) throw new MqttProtocolError(0x82, 'not a CONNECT')
    decoder.level = decodeConnect(firstByte, body).level
    return
  }
  const level = decoder.level
  switch (type) {
    case packetTypes.publish:
      decodeProperties(source, rows.propertiesStart[row] as number, rows.propertiesEnd[row] as number, 'publish')
      return
    case packetTypes.connect:
      decodeConnect(firstByte, body)
      return
    case packetTypes.subscribe:
      decodeSubscribe(firstByte, body, level)
      return
    case packetTypes.unsubscribe:
      decodeUnsubscribe(firstByte, body, level)
      return
    case packetTypes.disconnect:
      decodeDisconnect(firstByte, body, level)
      return
    case packetTypes.auth:
      decodeAuth(firstByte, body)
      return
    case packetTypes.pingreq:
      checkPingRequest(firstByte, body)
      return
    default:
  }
}

const countOf = (verdict: unknown): number => (typeof verdict === 'string' ? 0 : 1)

/** Nothing is thrown, and a refusal is one that the room knows: another would be a fault of ours that was caught. */
function readSparkplug(input: Uint8Array): number {
  const names = finished(sparkplugCodec.namesOf(input))
  const own = 'reason' in names ? null : names
  const made = jsonOf(input, { own, node: own })
  if (!('reason' in made)) return 1
  if (!knownReasons.test(made.reason)) throw new Error(made.reason)
  return 0
}

export const targets: readonly FuzzTarget[] = [
  {
    name: 'Kafka frames of strangers',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.strangersStreams(),
    read: readStream,
  },
  {
    name: 'Kafka requests of strangers',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.strangersRequests(),
    read: refusing((input) => readRequest(input, true), ProtocolError),
  },
  {
    name: 'SASL PLAIN',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.plainMessages(),
    read: (input) => countOf(readPlain(input)),
  },
  {
    name: 'SCRAM client-first',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.clientFirstMessages(),
    read: (input) => countOf(readClientFirst(input)),
  },
  {
    name: 'SCRAM client-final',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.clientFinalMessages(),
    read: (input) => countOf(readClientFinal(input)),
  },
  {
    name: 'OAUTHBEARER',
    protocol: 'kafka',
    isBeforeAuthentication: true,
    seeds: seeds.bearerMessages(),
    read: (input) => countOf(readBearer(input)),
  },
  {
    name: 'Kafka requests of every API and version',
    protocol: 'kafka',
    isBeforeAuthentication: false,
    seeds: seeds.requestsOf(kafkaClientApis),
    read: refusing((input) => readRequest(input, false), ProtocolError),
  },
  {
    name: 'MQTT packets of strangers',
    protocol: 'mqtt',
    isBeforeAuthentication: true,
    seeds: seeds.connectPackets(),
    read: refusing((input) => readPackets(input, 0), MqttProtocolError),
  },
  {
    name: 'Sparkplug payloads',
    protocol: 'mqtt',
    isBeforeAuthentication: false,
    seeds: [...foreignPayloads.values()],
    read: readSparkplug,
  },
  {
    name: 'PROXY headers',
    protocol: 'mqtt',
    isBeforeAuthentication: true,
    seeds: seeds.proxyHeaders(),
    read: (input) => {
      const header = readProxyHeader(Buffer.from(input.buffer, input.byteOffset, Math.min(input.length, 536)))
      return header.kind === 'read' ? 1 : 0
    },
  },
  ...([3, 4, 5] as const).map(
    (level): FuzzTarget => ({
      name: `MQTT packets of level ${level} behind CONNECT`,
      protocol: 'mqtt',
      isBeforeAuthentication: false,
      seeds: seeds.packetsOf(level),
      read: refusing((input) => readPackets(input, level), MqttProtocolError),
    }),
  ),
]
