import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Connection } from '../../../src/base/ports.ts'
import { ConnectionOutput } from '../../../src/ingest/mqtt/connection-output.ts'
import { DoorCounters } from '../../../src/ingest/mqtt/door-counters.ts'
import { encodePublish } from '../../../src/protocol/mqtt/encode.ts'
import { packetBytes } from './packet-bytes.ts'

describe('what a connection sends', () => {
  it('is what was queued, in its order, messages at any QoS between other packets, each under its own id', () => {
    const aMessage = fc.record({
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      payloadBytes: fc.oneof({ weight: 9, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(40_000) }),
      packetId: fc.integer({ min: 1, max: 65_535 }),
      duplicate: fc.boolean(),
      copies: fc.integer({ min: 1, max: 40 }),
    })
    const anItem = fc.oneof(aMessage, fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.constant('flush' as const))
    fc.assert(
      fc.property(fc.array(anItem, { maxLength: 40 }), (items) => {
        const sent: Uint8Array[] = []
        const socket = { send: (chunks: readonly Uint8Array[]) => sent.push(...chunks.map((each) => each.slice())) > 0 }
        const counters = new DoorCounters()
        const output = new ConnectionOutput(socket as unknown as Connection, counters, { sent: () => {} })
        const expected: Uint8Array[] = []
        for (const item of items) {
          if (item === 'flush') output.flush()
          else if (item instanceof Uint8Array) {
            output.push(item)
            expected.push(item)
          } else {
            const { qos, payloadBytes, packetId, duplicate, copies } = item
            const payload = new Uint8Array(payloadBytes).fill(packetId)
            const publish = encodePublish({
              ...{ level: 4, qos, retain: false, duplicate: false, topic: Buffer.from('t'), packetId: 0 },
              ...{ properties: new Uint8Array(0), payload },
            })
            for (let copy = 0; copy < copies; copy += 1) {
              output.pushPublish(publish, packetId ^ copy, qos > 0 && duplicate)
              expected.push(packetBytes(publish, packetId ^ copy, qos > 0 && duplicate))
            }
          }
        }
        output.flush()
        const bytes = Buffer.concat(expected)
        expect(Buffer.concat(sent).equals(bytes)).toBe(true)
        expect(counters.totals.sentBytes).toBe(bytes.length)
      }),
      { numRuns: 100 },
    )
  })
})
