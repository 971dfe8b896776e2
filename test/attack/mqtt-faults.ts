/** Packets that break the rules of MQTT, with the reason code that 5.0 is told (sections of the specification in the names' order). */
import { int16 } from './batch-bytes.ts'
import { doorBounds } from './door-world.ts'
import {
  connectPacket,
  field,
  type Level,
  packet,
  properties,
  publishPacket,
  subscribePacket,
  variable,
} from './mqtt-talk.ts'

const malformed = 0x81
const protocolError = 0x82

export interface MqttFault {
  readonly name: string
  readonly bytes: (level: Level) => Uint8Array
  /** What DISCONNECT says in 5.0. In 3.1.1 the connection is closed without a word. */
  readonly reason: number
  /** Only in one version is it a fault. */
  readonly only?: Level
}

/** Sent on a connection that is open. */
export const faultsOfOpen: readonly MqttFault[] = [
  { name: 'a second CONNECT', bytes: (level) => connectPacket(level, 'again'), reason: protocolError },
  { name: 'CONNACK', bytes: () => packet(0x20, Buffer.from([0, 0])), reason: protocolError },
  {
    name: 'SUBACK',
    bytes: (level) => packet(0x90, int16(1), properties(level), Buffer.from([0])),
    reason: protocolError,
  },
  { name: 'PINGRESP', bytes: () => packet(0xd0), reason: protocolError },
  { name: 'AUTH', bytes: () => packet(0xf0), reason: protocolError },
  { name: 'packet type 0', bytes: () => packet(0x00), reason: malformed },
  {
    name: 'a remaining length of five bytes',
    bytes: () => Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
    reason: malformed,
  },
  {
    name: 'a remaining length not in its shortest form',
    bytes: () => Buffer.from([0xc0, 0x80, 0x00]),
    reason: malformed,
  },
  {
    name: 'a packet larger than the maximum',
    bytes: () => Buffer.concat([Buffer.from([0x30]), variable(doorBounds.mqttPacketBytesMax)]),
    reason: 0x95,
  },
  {
    name: 'a packet of 256 MiB',
    bytes: () => Buffer.concat([Buffer.from([0x30]), variable(268_435_455)]),
    reason: 0x95,
  },
  {
    name: 'reserved flags of SUBSCRIBE',
    bytes: (level) => subscribePacket(level, 'a/b', 0, 0x80),
    reason: malformed,
  },
  {
    name: 'reserved flags of UNSUBSCRIBE',
    bytes: (level) => packet(0xa0, int16(1), properties(level), field('a/b')),
    reason: malformed,
  },
  { name: 'reserved flags of PUBREL', bytes: () => packet(0x60, int16(1)), reason: malformed },
  { name: 'reserved flags of PUBACK', bytes: () => packet(0x41, int16(1)), reason: malformed },
  { name: 'reserved flags of PINGREQ', bytes: () => packet(0xc1), reason: malformed },
  { name: 'reserved flags of DISCONNECT', bytes: () => packet(0xe1), reason: malformed },
  { name: 'PINGREQ with a body', bytes: () => packet(0xc0, Buffer.from([1])), reason: malformed },
  { name: 'QoS 3', bytes: (level) => publishPacket(level, { topic: 'a/b', firstByte: 0x36 }), reason: malformed },
  {
    name: 'DUP with QoS 0',
    bytes: (level) => publishPacket(level, { topic: 'a/b', firstByte: 0x38 }),
    reason: malformed,
  },
  { name: 'an empty topic', bytes: (level) => publishPacket(level, { topic: '' }), reason: protocolError },
  { name: 'a topic with #', bytes: (level) => publishPacket(level, { topic: 'plant/#' }), reason: 0x90 },
  { name: 'a topic with +', bytes: (level) => publishPacket(level, { topic: 'plant/+/t' }), reason: 0x90 },
  {
    name: 'a topic that is no UTF-8',
    bytes: (level) => publishPacket(level, { topic: hex('61c32862') }),
    reason: malformed,
  },
  {
    name: 'a topic with a surrogate',
    bytes: (level) => publishPacket(level, { topic: hex('61eda080') }),
    reason: malformed,
  },
  { name: 'a topic with U+0000', bytes: (level) => publishPacket(level, { topic: hex('610062') }), reason: malformed },
  {
    name: 'a topic in an overlong form',
    bytes: (level) => publishPacket(level, { topic: hex('c0af') }),
    reason: malformed,
  },
  { name: 'a topic longer than its packet', bytes: () => packet(0x30, hex('ffff6162')), reason: malformed },
  { name: 'a PUBLISH without a topic', bytes: () => packet(0x30), reason: malformed },
  { name: 'a QoS 1 PUBLISH without a packet id', bytes: () => packet(0x32, field('a/b')), reason: malformed },
  { name: 'packet id 0', bytes: (level) => publishPacket(level, { topic: 'a/b', packetId: 0 }), reason: protocolError },
  {
    name: 'SUBSCRIBE with packet id 0',
    bytes: (level) => packet(0x82, int16(0), properties(level), field('a'), Buffer.from([0])),
    reason: protocolError,
  },
  { name: 'PUBREL with packet id 0', bytes: () => packet(0x62, int16(0)), reason: protocolError },
  { name: 'PUBACK of one byte', bytes: () => packet(0x40, Buffer.from([1])), reason: malformed },
  {
    name: 'SUBSCRIBE without a filter',
    bytes: (level) => packet(0x82, int16(1), properties(level)),
    reason: protocolError,
  },
  {
    name: 'UNSUBSCRIBE without a filter',
    bytes: (level) => packet(0xa2, int16(1), properties(level)),
    reason: protocolError,
  },
  { name: 'SUBSCRIBE with QoS 3', bytes: (level) => subscribePacket(level, 'a/b', 3), reason: protocolError },
  { name: 'reserved options of SUBSCRIBE', bytes: (level) => subscribePacket(level, 'a/b', 0xc0), reason: malformed },
  { name: 'options of 5.0 in 3.1.1', bytes: (level) => subscribePacket(level, 'a/b', 4), reason: malformed, only: 4 },
  { name: 'retain handling 3', bytes: (level) => subscribePacket(level, 'a/b', 0x30), reason: protocolError, only: 5 },
  {
    name: 'a filter without options',
    bytes: (level) => packet(0x82, int16(1), properties(level), field('a')),
    reason: malformed,
  },
  { name: 'an empty filter', bytes: (level) => subscribePacket(level, '', 0), reason: malformed },
  { name: 'the filter a/#/b', bytes: (level) => subscribePacket(level, 'a/#/b', 0), reason: malformed },
  { name: 'the filter a+', bytes: (level) => subscribePacket(level, 'a+', 0), reason: malformed },
  { name: 'a filter that is no UTF-8', bytes: (level) => subscribePacket(level, hex('ff'), 0), reason: malformed },
  {
    name: 'DISCONNECT with a body in 3.1.1',
    bytes: () => packet(0xe0, Buffer.from([0])),
    reason: malformed,
    only: 4,
  },
  {
    name: 'a reason code that only servers send',
    bytes: () => packet(0xe0, Buffer.from([0x8b])),
    reason: protocolError,
    only: 5,
  },
  { name: 'an unknown property', bytes: withProperties(hex('7e01')), reason: malformed, only: 5 },
  { name: 'a property of another packet', bytes: withProperties(hex('1100000001')), reason: malformed, only: 5 },
  {
    name: 'a property twice',
    bytes: withProperties(hex('0200000001'), hex('0200000002')),
    reason: protocolError,
    only: 5,
  },
  {
    name: 'properties longer than the packet',
    bytes: () => packet(0x30, field('a/b'), hex('7f0200')),
    reason: malformed,
    only: 5,
  },
  { name: 'a property cut off', bytes: withProperties(hex('020000')), reason: malformed, only: 5 },
  { name: 'payload format 2', bytes: withProperties(hex('0102')), reason: protocolError, only: 5 },
  { name: 'subscription identifier in a PUBLISH', bytes: withProperties(hex('0b01')), reason: protocolError, only: 5 },
  {
    name: 'subscription identifier 0',
    bytes: () => packet(0x82, int16(1), hex('020b00'), field('a/b'), Buffer.from([0])),
    reason: protocolError,
    only: 5,
  },
  { name: 'topic alias 0', bytes: withProperties(hex('230000')), reason: 0x94, only: 5 },
  { name: 'topic alias above the maximum', bytes: withProperties(hex('23ffff')), reason: 0x94, only: 5 },
  {
    name: 'a topic alias that was never set',
    bytes: (level) => publishPacket(level, { topic: '', properties: [hex('230001')] }),
    reason: protocolError,
    only: 5,
  },
  {
    name: 'a response topic with a wildcard',
    bytes: withProperties(Buffer.concat([hex('08'), field('reply/#')])),
    reason: protocolError,
    only: 5,
  },
  {
    name: 'no-local on a shared subscription',
    bytes: (level) => subscribePacket(level, '$share/g/a', 4),
    reason: protocolError,
    only: 5,
  },
  {
    name: 'a session expiry in DISCONNECT where CONNECT had none',
    bytes: () => packet(0xe0, hex('00051100000010')),
    reason: protocolError,
    only: 5,
  },
  {
    name: 'more QoS 2 messages than Receive Maximum',
    bytes: (level) =>
      Buffer.concat(
        Array.from({ length: doorBounds.mqttReceiveMaximum + 1 }, (_, index) =>
          publishPacket(level, { topic: 'qos2/flood', firstByte: 0x34, packetId: index + 1 }),
        ),
      ),
    reason: 0x93,
  },
]

export interface ConnectFault {
  readonly name: string
  readonly bytes: Uint8Array
  /** Codes of a CONNACK that are lawful here; null = closed without a word. */
  readonly codes: readonly (number | null)[]
}

/** Sent first. */
export const faultsOfConnect: readonly ConnectFault[] = [
  { name: 'PUBLISH first', bytes: publishPacket(4, { topic: 'a/b' }), codes: [null] },
  { name: 'SUBSCRIBE first', bytes: subscribePacket(5, 'a/b', 0), codes: [null] },
  { name: 'PINGREQ first', bytes: packet(0xc0), codes: [null] },
  { name: 'packet type 0 first', bytes: packet(0x00), codes: [null] },
  { name: 'protocol name MQTX', bytes: connectPacket(4, 'c', { protocol: 'MQTX' }), codes: [null] },
  {
    name: 'protocol name MQTX in 5.0',
    bytes: connectPacket(5, 'c', { protocol: 'MQTX' }),
    codes: [null, malformed, 0x84],
  },
  { name: 'protocol name in small letters', bytes: connectPacket(4, 'c', { protocol: 'mqtt' }), codes: [null] },
  { name: 'protocol level 0', bytes: connectPacket(4, 'c', { levelByte: 0 }), codes: [1] },
  { name: 'protocol level 3 under the name MQTT', bytes: connectPacket(4, 'c', { levelByte: 3 }), codes: [1] },
  { name: 'protocol level 6', bytes: connectPacket(5, 'c', { levelByte: 6 }), codes: [0x84] },
  { name: 'protocol level 255', bytes: connectPacket(5, 'c', { levelByte: 255 }), codes: [0x84] },
  { name: 'reserved flags of CONNECT', bytes: flagged(connectPacket(4, 'c'), 0x11), codes: [null] },
  { name: 'reserved flags of CONNECT in 5.0', bytes: flagged(connectPacket(5, 'c'), 0x1f), codes: [malformed, null] },
  { name: 'the reserved connect flag', bytes: connectPacket(4, 'c', { flags: 3 }), codes: [null] },
  { name: 'the reserved connect flag in 5.0', bytes: connectPacket(5, 'c', { flags: 3 }), codes: [malformed] },
  { name: 'will QoS without a will', bytes: connectPacket(4, 'c', { flags: 0x0a }), codes: [null] },
  { name: 'will retain without a will in 5.0', bytes: connectPacket(5, 'c', { flags: 0x22 }), codes: [malformed] },
  { name: 'will QoS 3', bytes: connectPacket(5, 'c', { flags: 0x1e, payload: will(5, 'a/b') }), codes: [malformed] },
  {
    name: 'a will with a wildcard',
    bytes: connectPacket(5, 'c', { flags: 6, payload: will(5, 'a/#') }),
    codes: [0x90],
  },
  { name: 'a will flag without a will', bytes: connectPacket(4, 'c', { flags: 6 }), codes: [null] },
  {
    name: 'a password without a user name',
    bytes: connectPacket(4, 'c', { flags: 0x42, payload: [field('p')] }),
    codes: [null],
  },
  {
    name: 'a user name that is no UTF-8',
    bytes: connectPacket(4, 'c', { flags: 0x82, payload: [field(hex('fe'))] }),
    codes: [null],
  },
  { name: 'bytes behind the end', bytes: connectPacket(4, 'c', { payload: [hex('0102')] }), codes: [null] },
  { name: 'a client id cut off', bytes: Buffer.from('100e00044d5154540402003c00ff6162', 'hex'), codes: [null] },
  { name: 'no client id for a kept session', bytes: connectPacket(4, '', { flags: 0 }), codes: [2] },
  { name: 'a client id of 5,000 bytes', bytes: connectPacket(4, 'c'.repeat(5_000)), codes: [2] },
  { name: 'a client id of 5,000 bytes in 5.0', bytes: connectPacket(5, 'c'.repeat(5_000)), codes: [0x85] },
  { name: 'a client id with U+0000', bytes: connectPacket(5, 'c\0d'), codes: [malformed] },
  {
    name: 'a CONNECT of 200 KB',
    bytes: connectPacket(4, 'c'.repeat(60_000), { payload: [Buffer.alloc(140_000)] }),
    codes: [null],
  },
  {
    name: 'enhanced authentication',
    bytes: connectPacket(5, 'c', { properties: [hex('15'), field('SCRAM')] }),
    codes: [0x8c],
  },
  { name: 'Receive Maximum 0', bytes: connectPacket(5, 'c', { properties: [hex('210000')] }), codes: [protocolError] },
  {
    name: 'Maximum Packet Size 0',
    bytes: connectPacket(5, 'c', { properties: [hex('2700000000')] }),
    codes: [protocolError],
  },
  {
    name: 'a property twice',
    bytes: connectPacket(5, 'c', { properties: [hex('210001'), hex('210001')] }),
    codes: [protocolError],
  },
  { name: 'an unknown property', bytes: connectPacket(5, 'c', { properties: [hex('7d00')] }), codes: [malformed] },
  {
    name: 'a remaining length of five bytes',
    bytes: Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]),
    codes: [null],
  },
]

function withProperties(...list: readonly Uint8Array[]): (level: Level) => Uint8Array {
  return (level) => publishPacket(level, { topic: 'a/b', properties: list })
}

function will(level: Level, topic: string): readonly Uint8Array[] {
  return [properties(level), field(topic), field('gone')]
}

function flagged(bytes: Buffer, firstByte: number): Buffer {
  bytes[0] = firstByte
  return bytes
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}
