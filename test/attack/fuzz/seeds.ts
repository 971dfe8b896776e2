/** Good messages to begin with. Those of Kafka are random values of the declared messages, of one seed. */
import fc from 'fast-check'
import {
  apiVersionsApi,
  type KafkaApi,
  saslAuthenticateApi,
  saslHandshakeApi,
} from '../../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../../src/protocol/kafka/header.ts'
import { arbitraryMessage } from '../../protocol/kafka/arbitrary-message.ts'
import { connectPacket, field, type Level, packet, properties, publishPacket, subscribePacket } from '../mqtt-talk.ts'

const latin = (text: string): Buffer => Buffer.from(text, 'latin1')
const proof = Buffer.alloc(32, 7).toString('base64')
const strangersApis: readonly KafkaApi[] = [apiVersionsApi, saslHandshakeApi, saslAuthenticateApi]

/** Frames with their length. */
function framesOf(apis: readonly KafkaApi[], perVersion: number): Buffer[] {
  return apis.flatMap((api) => {
    const frames: Buffer[] = []
    for (let version = api.minVersion; version <= api.maxVersion; version++) {
      const values = fc.sample(arbitraryMessage(api.request, version), { numRuns: perVersion, seed: 1 })
      for (const value of values) frames.push(Buffer.concat(encodeRequest(api, version, 7, 'fuzz', value as never)))
    }
    return frames
  })
}

export function requestsOf(apis: readonly KafkaApi[]): Buffer[] {
  return framesOf(apis, 4).map((frame) => frame.subarray(4))
}

export function strangersRequests(): Buffer[] {
  const tokens = [...plainMessages(), ...clientFirstMessages(), ...bearerMessages()]
  const carried = tokens.flatMap((authBytes) =>
    [0, 1, 2].map((version) =>
      Buffer.concat(encodeRequest(saslAuthenticateApi, version, 9, null, { authBytes })).subarray(4),
    ),
  )
  return [...framesOf(strangersApis, 8).map((frame) => frame.subarray(4)), ...carried]
}

/** Several frames in a row. */
export function strangersStreams(): Buffer[] {
  const frames = framesOf(strangersApis, 2)
  return frames.map((frame, index) => Buffer.concat([frame, frames[(index * 7 + 3) % frames.length] ?? frame]))
}

export function plainMessages(): Buffer[] {
  return [
    '\0alice\0secret',
    'alice\0alice\0secret',
    '\0\u00fcser\0p\u00e4ss',
    `\0${'u'.repeat(200)}\0${'p'.repeat(300)}`,
  ].map((text) => Buffer.from(text))
}

export function clientFirstMessages(): Buffer[] {
  return [
    'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
    'y,a=user,n=user,r=abc',
    'n,,n=a=2Cb=3Dc,r=xyz,t=1',
    'n,,n=user,r=abc,t=1,u=2',
  ].map(latin)
}

export function clientFinalMessages(): Buffer[] {
  return [`c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=${proof}`, `c=eSw=,r=abc,x=ext,p=${proof}`].map(latin)
}

export function bearerMessages(): Buffer[] {
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"press-1"}').toString('base64url')}.c2ln`
  return [
    `n,,\x01auth=Bearer ${token}\x01\x01`,
    `n,a=user,\x01host=edge\x01port=9092\x01auth=Bearer ${token}\x01\x01`,
  ].map(latin)
}

export function connectPackets(): Buffer[] {
  const method = Buffer.concat([
    Buffer.from([0x15]),
    field('SCRAM-SHA-256'),
    Buffer.from([0x16]),
    field(clientFirstMessages()[0] ?? ''),
  ])
  const user = Buffer.concat([Buffer.from([0x26]), field('site'), field('plant-7')])
  const variableHeader = (level: number, flags: number): Buffer =>
    Buffer.concat([field('MQTT'), Buffer.from([level, flags, 0, 60])])
  const will = [properties(5, Buffer.from([0x18, 0, 0, 0, 9]), user), field('will/topic'), field('gone')]
  return [
    connectPacket(4, 'sensor-1'),
    connectPacket(5, 'sensor-1'),
    packet(0x10, field('MQIsdp'), Buffer.from([3, 2, 0, 60]), field('old')),
    packet(0x10, variableHeader(4, 0xc2), field('sensor-2'), field('alice'), field('secret')),
    packet(0x10, variableHeader(5, 0x02), properties(5, method, user), field('sensor-3')),
    packet(
      0x10,
      variableHeader(5, 0xee),
      properties(5, user, user, Buffer.from([0x11, 0, 0, 0, 60, 0x21, 0, 10])),
      field('sensor-4'),
      ...will,
      field('alice'),
      field('secret'),
    ),
    Buffer.concat([connectPacket(5, 'sensor-5'), packet(0xf0, Buffer.from([0x18]), properties(5, method))]),
    Buffer.concat([connectPacket(4, 'sensor-6'), ...packetsOf(4)]),
    Buffer.concat([connectPacket(5, 'sensor-7'), ...packetsOf(5)]),
  ]
}

export function packetsOf(level: 3 | Level): Buffer[] {
  const written: Level = level === 5 ? 5 : 4
  const payload = Buffer.from('21.5')
  const id = Buffer.from([0, 7])
  return [
    publishPacket(written, { topic: 'a/b', packetId: 3, payload }),
    packet(0x30, field('plant/press/temperature'), properties(written), payload),
    subscribePacket(written, 'a/+/#', 1),
    subscribePacket(written, '$share/group/a', 2),
    packet(0xa2, id, properties(written), field('a/+/#')),
    ...[0x40, 0x50, 0x62, 0x70].map((first) => packet(first, id)),
    packet(0xc0),
    packet(0xe0),
    ...(level === 5
      ? [
          packet(0xe0, Buffer.from([4]), properties(5, Buffer.from([0x1f]), field('bye'))),
          packet(
            0xf0,
            Buffer.from([0x18]),
            properties(5, Buffer.from([0x15]), field('SCRAM-SHA-256'), Buffer.from([0x16]), field('n,,n=a,r=b')),
          ),
          packet(
            0x32,
            field('a'),
            id,
            properties(
              5,
              Buffer.from([0x23, 0, 1]),
              Buffer.from([0x01, 1]),
              Buffer.from([0x26]),
              field('k'),
              field('v'),
            ),
            payload,
          ),
        ]
      : []),
  ]
}

export function proxyHeaders(): Buffer[] {
  const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
  const addresses = Buffer.from([10, 0, 0, 7, 10, 0, 0, 1, 0x1f, 0x90, 0x07, 0x5b])
  const extension = Buffer.from([0x04, 0, 3, 1, 2, 3])
  return [
    latin('PROXY TCP4 10.0.0.7 10.0.0.1 34567 1883\r\n'),
    latin('PROXY TCP6 2001:db8::7 2001:db8::1 34567 1883\r\n'),
    latin('PROXY UNKNOWN\r\n'),
    Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 12]), addresses]),
    Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 18]), addresses, extension]),
    Buffer.concat([signature, Buffer.from([0x20, 0x00, 0, 0])]),
    Buffer.concat([signature, Buffer.from([0x21, 0x21, 0, 36]), Buffer.alloc(36, 1)]),
  ]
}
