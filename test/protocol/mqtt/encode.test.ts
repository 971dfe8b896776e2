import fc from 'fast-check'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import {
  encodeConnack,
  encodeDisconnect,
  encodePublish,
  encodeSuback,
  encodeUnsuback,
  pingResponse,
  writeAcknowledgement,
  writePublish,
} from '../../../src/protocol/mqtt/encode.ts'
import { packetTypes } from '../../../src/protocol/mqtt/packet-types.ts'
import { encodeProperties } from '../../../src/protocol/mqtt/properties.ts'
import { reasonCodes } from '../../../src/protocol/mqtt/reason-codes.ts'

/** What the foreign reader makes of the bytes: exactly one packet. */
function foreign(bytes: Uint8Array | null, protocolVersion: 4 | 5): Packet {
  const parser = mqttPacket.parser({ protocolVersion })
  const packets: Packet[] = []
  parser.on('packet', (packet) => packets.push(packet))
  parser.on('error', (error) => {
    throw error
  })
  parser.parse(Buffer.from(bytes ?? []))
  expect(packets).toHaveLength(1)
  return packets[0] as Packet
}

describe('what a server sends, read by mqtt-packet', () => {
  it('CONNACK', () => {
    expect(foreign(encodeConnack(4, true, 0), 4)).toMatchObject({ cmd: 'connack', sessionPresent: true, returnCode: 0 })
    expect(foreign(encodeConnack(4, false, reasonCodes.clientIdentifierNotValid), 4)).toMatchObject({ returnCode: 2 })
    expect(encodeConnack(4, false, reasonCodes.topicNameInvalid)).toBeNull()
    const properties = {
      sessionExpiryInterval: 4_000_000_000,
      receiveMaximum: 100,
      retainAvailable: 0,
      maximumPacketSize: 262_144,
      assignedClientIdentifier: 'hw-1',
      topicAliasMaximum: 32,
      sharedSubscriptionAvailable: 0,
      serverKeepAlive: 60,
    }
    expect(foreign(encodeConnack(5, false, 0, properties), 5)).toMatchObject({
      reasonCode: 0,
      properties: { ...properties, retainAvailable: false, sharedSubscriptionAvailable: false },
    })
  })

  it('SUBACK, UNSUBACK, DISCONNECT, PINGRESP', () => {
    expect(foreign(encodeSuback(4, 300, [1, 0x9e]), 4)).toMatchObject({
      cmd: 'suback',
      messageId: 300,
      granted: [1, 0x80],
    })
    expect(foreign(encodeSuback(5, 300, [1, 0x9e]), 5)).toMatchObject({ messageId: 300, granted: [1, 0x9e] })
    expect(foreign(encodeUnsuback(4, 7, [0]), 4)).toMatchObject({ cmd: 'unsuback', messageId: 7 })
    expect(foreign(encodeUnsuback(5, 7, [0, 0x11]), 5)).toMatchObject({ cmd: 'unsuback', granted: [0, 0x11] })
    expect(foreign(encodeDisconnect(0x8e, { reasonString: 'why' }), 5)).toMatchObject({
      cmd: 'disconnect',
      reasonCode: 0x8e,
      properties: { reasonString: 'why' },
    })
    expect(foreign(pingResponse, 4)).toMatchObject({ cmd: 'pingresp' })
  })

  it.each([
    ['puback', packetTypes.puback],
    ['pubrec', packetTypes.pubrec],
    ['pubrel', packetTypes.pubrel],
    ['pubcomp', packetTypes.pubcomp],
  ])('%s', (cmd, type) => {
    const bytes = new Uint8Array(8)
    const plain = bytes.slice(0, writeAcknowledgement(bytes, 0, type, 513))
    expect(foreign(plain, 4)).toMatchObject({ cmd, messageId: 513 })
    const failed = bytes.slice(0, writeAcknowledgement(bytes, 0, type, 513, 0x97))
    if (type !== packetTypes.pubrel && type !== packetTypes.pubcomp) {
      expect(foreign(failed, 5)).toMatchObject({ cmd, messageId: 513, reasonCode: 0x97 })
    }
  })

  it('PUBLISH of every shape', () => {
    const shapes = fc.record({
      level: fc.constantFrom(4 as const, 5 as const),
      qos: fc.constantFrom(0 as const, 1 as const),
      retain: fc.boolean(),
      topic: fc.constantFrom('a', 'sensors/s1/temp', 'x'.repeat(300)),
      payload: fc.uint8Array({ maxLength: 400 }),
      packetId: fc.integer({ min: 1, max: 65_535 }),
      correlation: fc.uint8Array({ minLength: 1, maxLength: 5 }),
      ids: fc.uniqueArray(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(shapes, ({ level, qos, retain, topic, payload, packetId, correlation, ids }) => {
        const properties = encodeProperties({ correlationData: correlation, responseTopic: 'r/1' }, ids)
        const encoded = encodePublish({
          level,
          qos,
          retain,
          duplicate: false,
          topic: Buffer.from(topic),
          packetId,
          properties,
          payload,
        })
        const bytes = encoded.memory.slice(encoded.start, encoded.end)
        if (qos > 0) expect(writePublish(bytes, 0, encoded, packetId, true)).toBe(bytes.length)
        const packet = foreign(bytes, level) as Packet & { properties?: Record<string, unknown> }
        expect(packet).toMatchObject({ cmd: 'publish', qos, retain, topic, payload: Buffer.from(payload) })
        if (qos > 0) expect(packet).toMatchObject({ messageId: packetId, dup: true })
        if (level === 4) return
        expect(packet.properties).toMatchObject({ responseTopic: 'r/1', correlationData: Buffer.from(correlation) })
        const found = packet.properties?.['subscriptionIdentifier']
        expect(ids.length === 0 ? [] : [found].flat()).toEqual(ids)
      }),
      { numRuns: 200 },
    )
  })
})

describe('the memory of a PUBLISH that may wait for its acknowledgement', () => {
  const encoded = (payloadBytes: number, fill: number): Uint8Array => {
    const { memory, start, end } = encodePublish({
      level: 4,
      qos: 1,
      retain: false,
      duplicate: false,
      topic: new TextEncoder().encode('a/b'),
      packetId: 7,
      properties: new Uint8Array(0),
      payload: new Uint8Array(payloadBytes).fill(fill),
    })
    return memory.subarray(start, end)
  }

  it('is its own, however many are encoded behind it', () => {
    const packets = Array.from({ length: 200 }, (_, index) => encoded(index, index))
    for (const [index, packet] of packets.entries()) {
      expect(packet.subarray(packet.length - index)).toEqual(new Uint8Array(index).fill(index))
    }
  })

  it('is not much more than its own', () => {
    for (const payloadBytes of [0, 10, 100, 200, 240, 260, 1000, 100_000]) {
      const packet = encoded(payloadBytes, 1)
      expect(packet.buffer.byteLength).toBeLessThanOrEqual(packet.length > 256 ? packet.length : 1024)
    }
  })
})
