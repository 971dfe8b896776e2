import fc from 'fast-check'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { MqttProtocolError } from '../../../src/protocol/mqtt/mqtt-protocol-error.ts'
import { createPacketColumns } from '../../../src/protocol/mqtt/packet-columns.ts'
import { packetTypes } from '../../../src/protocol/mqtt/packet-types.ts'
import { reasonCodes, reasonName } from '../../../src/protocol/mqtt/reason-codes.ts'
import { MqttStreamDecoder } from '../../../src/protocol/mqtt/stream-decoder.ts'
import { type Decoded, decodeAll, type DecodedPublish, hex } from './decoding.ts'

/** Bytes by the foreign writer. */
function foreign(packet: Packet, protocolVersion: 4 | 5): Uint8Array {
  return mqttPacket.generate(packet, { protocolVersion })
}

function failureOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof MqttProtocolError) return reasonName(error.reasonCode)
    throw error
  }
  return 'none'
}

const words = fc.constantFrom('a', 'sensors', 'site-1', 'temp', 'Grüße', '温度', '')
const topics = fc
  .array(words, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((topic) => topic.length > 0)
/** Names that an object can hold as its own: the foreign writer takes user properties as one. */
const pairs = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  {
    noNullPrototype: true,
    maxKeys: 3,
  },
)

const publishes = fc.record({
  level: fc.constantFrom(4 as const, 5 as const),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
  topic: topics,
  payload: fc.uint8Array({ maxLength: 300 }),
  messageId: fc.integer({ min: 1, max: 65_535 }),
  contentType: fc.option(fc.string({ maxLength: 9 }).filter((text) => !text.includes('\0'))),
  expiry: fc.option(fc.nat(0xffff_ffff)),
  alias: fc.option(fc.integer({ min: 1, max: 65_535 })),
  userProperties: pairs,
})

describe('the stream decoder', () => {
  it('reads every PUBLISH that mqtt-packet writes, however the stream is cut', () => {
    const streams = fc.tuple(
      fc.array(publishes, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(4 as const, 5 as const),
    )
    const chunkSizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(streams, chunkSizes, fc.integer({ min: 1, max: 3 }), ([list, level], chunks, rowsTaken) => {
        const bytes = Buffer.concat(
          list.map((item) => {
            const properties = {
              ...(item.contentType === null ? {} : { contentType: item.contentType }),
              ...(item.expiry === null ? {} : { messageExpiryInterval: item.expiry }),
              ...(item.alias === null ? {} : { topicAlias: item.alias }),
              // mqtt-packet writes nothing at all for an empty list.
              ...(Object.keys(item.userProperties).length === 0 ? {} : { userProperties: item.userProperties }),
            }
            const { qos, retain, topic, messageId } = item
            const payload = Buffer.from(item.payload)
            return foreign({ cmd: 'publish', dup: false, qos, retain, topic, payload, messageId, properties }, level)
          }),
        )
        const decoded = decodeAll(bytes, { level, chunks, rowsTaken }) as DecodedPublish[]
        expect(decoded).toHaveLength(list.length)
        decoded.forEach((actual, index) => {
          const item = list[index] as (typeof list)[number]
          expect(actual.topic).toBe(Buffer.from(item.topic, 'utf8').toString('latin1'))
          expect(actual.payload).toBe(Buffer.from(item.payload).toString('latin1'))
          expect([actual.qos, actual.retain]).toEqual([item.qos, item.retain])
          expect(actual.packetId).toBe(item.qos === 0 ? 0 : item.messageId)
          if (level === 4) return
          expect(actual.topicAlias).toBe(item.alias ?? 0)
          expect(actual.properties.contentType).toBe(item.contentType ?? undefined)
          expect(actual.properties.messageExpiryInterval).toBe(item.expiry ?? undefined)
          expect(actual.properties.userProperties ?? []).toEqual(Object.entries(item.userProperties))
        })
      }),
      { numRuns: 300 },
    )
  })

  it('reads the requests that mqtt-packet writes', () => {
    const will = { topic: 'last/words', payload: Buffer.from('gone'), qos: 1 as const, retain: false }
    const willProperties = { willDelayInterval: 30, contentType: 'text/plain', userProperties: { why: 'lost' } }
    const connect = foreign(
      {
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 5,
        clean: true,
        clientId: 'sensor-7',
        keepalive: 30,
        username: 'u',
        password: Buffer.from('p'),
        will: { ...will, properties: willProperties },
        properties: { sessionExpiryInterval: 60, receiveMaximum: 10, userProperties: { site: 'north' } },
      } as unknown as Packet,
      5,
    )
    expect(decodeAll(connect, { level: 5 })).toMatchObject([
      {
        packet: {
          level: 5,
          cleanStart: true,
          clientId: 'sensor-7',
          keepAliveSeconds: 30,
          userName: 'u',
          password: Uint8Array.of(0x70),
          properties: { sessionExpiryInterval: 60, receiveMaximum: 10, userProperties: [['site', 'north']] },
          will: {
            topic: 'last/words',
            qos: 1,
            retain: false,
            properties: { willDelayInterval: 30, contentType: 'text/plain', userProperties: [['why', 'lost']] },
          },
        },
      },
    ])
    const subscribe = foreign(
      {
        cmd: 'subscribe',
        messageId: 7,
        subscriptions: [{ topic: 'a/#', qos: 2, nl: true, rap: true, rh: 2 }],
        properties: { subscriptionIdentifier: 268_435_455 },
      } as unknown as Packet,
      5,
    )
    expect(decodeAll(subscribe, { level: 5 })).toMatchObject([
      {
        packet: {
          packetId: 7,
          properties: { subscriptionIdentifier: 268_435_455 },
          subscriptions: [{ filter: 'a/#', qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
        },
      },
    ])
    const unsubscribe = foreign({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['a/#', 'b'] } as Packet, 4)
    expect(decodeAll(unsubscribe)).toMatchObject([{ packet: { packetId: 9, filters: ['a/#', 'b'] } }])
    const disconnect = foreign(
      { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } } as Packet,
      5,
    )
    expect(decodeAll(disconnect, { level: 5 })).toMatchObject([
      { packet: { reasonCode: 4, properties: { sessionExpiryInterval: 5 } } },
    ])
    const puback = foreign({ cmd: 'puback', messageId: 3, reasonCode: 0x97 } as Packet, 5)
    expect(decodeAll(puback, { level: 5 })).toEqual([
      { type: 'acknowledgement', packetType: packetTypes.puback, packetId: 3, reasonCode: 0x97 },
    ])
  })

  it('reads the CONNECT example of the 3.1.1 specification (figure 3.6)', () => {
    const bytes = hex('10 10 0004 4d515454 04 02 000a 0004 61626364')
    expect(decodeAll(bytes)).toMatchObject([
      { packet: { level: 4, cleanStart: true, keepAliveSeconds: 10, clientId: 'abcd' } },
    ])
  })

  it('reads MQTT 3.1 with its own name and its DUP flag on PUBREL', () => {
    const connect = hex('10 11 0006 4d5149736470 03 02 000a 0003 616263')
    expect(decodeAll(connect)).toMatchObject([{ packet: { level: 3, clientId: 'abc' } }])
    expect(decodeAll(hex('6a 02 0001'), { level: 3 })).toMatchObject([{ packetId: 1 }])
    expect(failureOf(() => decodeAll(hex('6a 02 0001'), { level: 4 }))).toBe('malformedPacket')
  })

  it('keeps user properties in order and with their repeats', () => {
    const bytes = hex('30 19 0001 61 15 26 0001 62 0001 31  26 0001 61 0001 32  26 0001 62 0001 33')
    const [publish] = decodeAll(bytes, { level: 5 }) as DecodedPublish[]
    expect(publish?.properties.userProperties).toEqual([
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ])
  })

  it('hands over what came before a bad packet', () => {
    const into: Decoded[] = []
    const bytes = Buffer.concat([hex('30 03 0001 61'), hex('36 05 0001 61 0001')])
    expect(failureOf(() => decodeAll(bytes, {}, into))).toBe('malformedPacket')
    expect(into).toHaveLength(1)
  })

  it('refuses a size at the fixed header, before the packet has come', () => {
    const columns = createPacketColumns(4)
    const limits = { connectBytesMax: 1000, packetBytesMax: 5000 }
    const taker = { onRows: () => 0 }
    const decoder = new MqttStreamDecoder(columns, limits, taker)
    expect(failureOf(() => decoder.push(hex('10 e9 07')))).toBe('packetTooLarge')
    const connected = new MqttStreamDecoder(columns, limits, taker)
    connected.level = 5
    connected.push(hex('30 e9 07'))
    expect(connected.heldBytes).toBe(3)
    const large = new MqttStreamDecoder(columns, limits, taker)
    large.level = 5
    expect(failureOf(() => large.push(hex('30 ff ff ff 7f')))).toBe('packetTooLarge')
  })

  it('lets a large packet be read into its place', () => {
    const payload = Buffer.alloc(300_000, 'x')
    const bytes = foreign({ cmd: 'publish', topic: 'big', payload, qos: 0, dup: false, retain: false }, 4)
    const [publish] = decodeAll(bytes, { chunks: [65_536] }) as DecodedPublish[]
    expect(publish?.payload.length).toBe(payload.length)
  })

  it.each<[string, 4 | 5, string, string]>([
    ['packet type 0', 4, '00 00', 'malformedPacket'],
    ['five bytes of remaining length', 4, '30 ff ff ff ff 01', 'malformedPacket'],
    ['a remaining length that is not minimal', 4, 'c0 80 00', 'malformedPacket'],
    ['QoS 3', 4, '36 05 0001 61 0001', 'malformedPacket'],
    ['DUP at QoS 0', 4, '38 03 0001 61', 'malformedPacket'],
    ['packet id 0 in PUBLISH', 4, '32 05 0001 61 0000', 'protocolError'],
    ['packet id 0 in SUBSCRIBE', 4, '82 06 0000 0001 61 00', 'protocolError'],
    ['packet id 0 in PUBACK', 4, '40 02 0000', 'protocolError'],
    ['a topic longer than its packet', 4, '30 03 0005 61', 'malformedPacket'],
    ['PUBLISH without a packet id', 4, '32 03 0001 61', 'malformedPacket'],
    ['SUBSCRIBE with wrong flags', 4, '80 06 0001 0001 61 00', 'malformedPacket'],
    ['SUBSCRIBE without a filter', 4, '82 02 0001', 'protocolError'],
    ['SUBSCRIBE with QoS 3', 4, '82 06 0001 0001 61 03', 'protocolError'],
    ['SUBSCRIBE of 3.1.1 with options of 5.0', 4, '82 06 0001 0001 61 04', 'malformedPacket'],
    ['reserved subscription options', 5, '82 07 0001 00 0001 61 40', 'malformedPacket'],
    ['retain handling 3', 5, '82 07 0001 00 0001 61 30', 'protocolError'],
    ['UNSUBSCRIBE with wrong flags', 4, 'a0 05 0001 0001 61', 'malformedPacket'],
    ['PUBREL with wrong flags', 4, '60 02 0001', 'malformedPacket'],
    ['PUBACK with flags', 4, '41 02 0001', 'malformedPacket'],
    ['a long PUBACK in 3.1.1', 4, '40 03 0001 00', 'malformedPacket'],
    ['an unknown reason code in PUBACK', 5, '40 03 0001 92', 'protocolError'],
    ['PINGREQ with a body', 4, 'c0 01 00', 'malformedPacket'],
    ['DISCONNECT with flags', 4, 'e1 00', 'malformedPacket'],
    ['DISCONNECT with a body in 3.1.1', 4, 'e0 01 00', 'malformedPacket'],
    ['a reason code of servers in DISCONNECT', 5, 'e0 01 8e', 'protocolError'],
    ['a wrong protocol name', 4, '10 10 0004 4d515455 04 02 000a 0004 61626364', 'malformedPacket'],
    ['protocol level 6', 4, '10 10 0004 4d515454 06 02 000a 0004 61626364', 'unsupportedProtocolVersion'],
    ['the reserved connect flag', 4, '10 10 0004 4d515454 04 03 000a 0004 61626364', 'malformedPacket'],
    ['will QoS 3', 4, '10 16 0004 4d515454 04 1e 000a 0004 61626364 0001 74 0001 70', 'malformedPacket'],
    ['will flags without a will', 4, '10 10 0004 4d515454 04 22 000a 0004 61626364', 'malformedPacket'],
    [
      'a password without a user name in 3.1.1',
      4,
      '10 13 0004 4d515454 04 42 000a 0004 61626364 0001 70',
      'malformedPacket',
    ],
    ['bytes behind CONNECT', 4, '10 11 0004 4d515454 04 02 000a 0004 61626364 00', 'malformedPacket'],
    ['a client id that is not UTF-8', 4, '10 0e 0004 4d515454 04 02 000a 0002 c328', 'malformedPacket'],
    ['U+0000 in a filter', 4, '82 08 0001 0003 610061 00', 'malformedPacket'],
    ['an unknown property', 5, '30 06 0001 61 02 7f00', 'malformedPacket'],
    ['a property in the wrong packet', 5, '30 09 0001 61 05 11 00000001', 'malformedPacket'],
    ['a property twice', 5, '30 08 0001 61 04 0100 0101', 'protocolError'],
    ['payload format 2', 5, '30 06 0001 61 02 0102', 'protocolError'],
    ['topic alias 0', 5, '30 07 0001 61 03 230000', 'topicAliasInvalid'],
    ['a subscription identifier from a client', 5, '30 06 0001 61 02 0b01', 'protocolError'],
    ['subscription identifier 0', 5, '82 09 0001 02 0b00 0001 61 00', 'protocolError'],
    ['a wildcard in the response topic', 5, '30 08 0001 61 04 08 0001 23', 'protocolError'],
    ['properties longer than their packet', 5, '30 05 0001 61 09 01', 'malformedPacket'],
    ['a user property that is not UTF-8', 5, '30 0b 0001 61 07 26 0001 ff 0001 61', 'malformedPacket'],
    ['receive maximum 0', 5, '10 14 0004 4d515454 05 02 000a 03 210000 0004 61626364', 'protocolError'],
    [
      'authentication data without a method',
      5,
      '10 15 0004 4d515454 05 02 000a 04 16 0001 61 0004 61626364',
      'protocolError',
    ],
  ])('refuses %s', (_what, level, bytes, reason) => {
    expect(failureOf(() => decodeAll(hex(bytes), { level }))).toBe(reason)
  })

  it('throws nothing but its own error, whatever comes', () => {
    const starts = fc.constantFrom(...Array.from({ length: 16 }, (_, type) => type))
    const packets = fc.tuple(starts, fc.nat(15), fc.uint8Array({ maxLength: 60 })).map(([type, flags, body]) => {
      return Buffer.concat([Uint8Array.of((type << 4) | flags, body.length), body])
    })
    const streams = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(packets, { maxLength: 8 }).map((list) => Buffer.concat(list)),
    )
    fc.assert(
      fc.property(streams, fc.constantFrom(3 as const, 4 as const, 5 as const), (bytes, level) => {
        failureOf(() => decodeAll(bytes, { level }))
      }),
      { numRuns: 3000 },
    )
  })

  it('refuses a mutated packet or reads it whole, however the stream is cut', () => {
    const valid = foreign(
      {
        cmd: 'publish',
        topic: 'sensors/a',
        payload: 'x',
        qos: 2,
        dup: false,
        retain: false,
        messageId: 5,
        properties: {
          contentType: 'a',
          correlationData: Buffer.from('cd'),
          responseTopic: 'r',
          userProperties: { a: 'b' },
        },
      },
      5,
    )
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.integer({ min: 1, max: 9 }), (at, value, chunk) => {
        const mutated = Uint8Array.from(valid)
        mutated[at] = value
        const outcome = (chunks: readonly number[] | undefined): unknown => {
          const into: Decoded[] = []
          const options = chunks === undefined ? { level: 5 as const } : { level: 5 as const, chunks }
          return [failureOf(() => decodeAll(mutated, options, into)), into]
        }
        expect(outcome([chunk])).toEqual(outcome(undefined))
      }),
      { numRuns: 1000 },
    )
  })

  it('has one number for each reason', () => {
    expect(new Set(Object.values(reasonCodes)).size).toBe(Object.keys(reasonCodes).length)
  })
})
