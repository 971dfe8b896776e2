import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InflightDelivery } from '../../../src/ingest/mqtt/inflight-delivery.ts'
import { InflightTable } from '../../../src/ingest/mqtt/inflight-table.ts'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { sessionBounds } from './session-bounds.ts'

function delivery(packetId: number): InflightDelivery {
  const message = new OutgoingMessage(new Uint8Array(1), new Uint8Array(packetId % 50), [])
  const made = new InflightDelivery({ message, qos: 1, retain: false, subscriptionIds: [], group: null })
  made.packetId = packetId
  return made
}

describe('messages in flight', () => {
  it('are found by any ids, kept in the order in which they were begun, and counted with their bytes', () => {
    // Few low bits: many ids share a slot.
    const anId = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 15 }))
    const aStep = fc.record({ id: anId, isAdded: fc.boolean() })
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 300 }), (steps) => {
        const bounds = sessionBounds()
        const table = new InflightTable(bounds)
        const model = new Map<number, InflightDelivery>()
        for (const { id, isAdded } of steps) {
          const packetId = 1 + id[0] * 4096 + id[1]
          if (isAdded && !model.has(packetId)) {
            const made = delivery(packetId)
            table.add(made)
            model.set(packetId, made)
          } else if (!isAdded) {
            table.delete(packetId)
            model.delete(packetId)
          }
          expect(table.has(packetId)).toBe(model.has(packetId))
        }
        expect(table.size).toBe(model.size)
        expect(table.inOrder()).toEqual([...model.values()])
        for (const [packetId, made] of model) expect(table.get(packetId)).toBe(made)
        const bytes = [...model.values()].reduce((sum, { message }) => sum + 200 + message.sizeInBytes, 0)
        expect(bounds.queuedBytesTotal).toBe(bytes)
        table.clear()
        expect([table.size, bounds.queuedBytesTotal, table.inOrder()]).toEqual([0, 0, []])
      }),
      { numRuns: 100 },
    )
  })

  it('hold on to nothing that is acknowledged: neither do those that were begun before it', () => {
    const table = new InflightTable(sessionBounds())
    // All of one slot.
    const made = [1, 1025, 2049].map(delivery)
    for (const each of made) table.add(each)
    for (const packetId of [1025, 2049, 1]) table.delete(packetId)
    expect(made.map(({ next }) => next)).toEqual([null, null, null])
  })
})
