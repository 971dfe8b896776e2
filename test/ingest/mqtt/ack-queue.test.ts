import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AckGroup, AckQueue } from '../../../src/ingest/mqtt/ack-queue.ts'
import { packetTypes } from '../../../src/protocol/mqtt/packet-types.ts'

function settle(group: AckGroup, reason = 0): void {
  group.isSettled = true
  group.reason = reason
}

function released(queue: AckQueue, level = 4): string {
  const { bytes } = queue.release(level)
  return bytes === null ? '' : Buffer.from(bytes).toString('hex')
}

describe('the acknowledgement queue', () => {
  it('lets nothing pass what came before it', () => {
    const queue = new AckQueue()
    const first = queue.openGroup()
    queue.pushWaiting(first, packetTypes.puback, 1)
    const second = queue.openGroup()
    queue.pushWaiting(second, packetTypes.pubrec, 2)
    queue.pushDecided(packetTypes.puback, 3, 0)
    settle(second)
    expect(released(queue)).toBe('')
    settle(first)
    expect(released(queue)).toBe('400200015002000240020003')
    expect(queue.length).toBe(0)
  })

  it('lets a decided acknowledgement leave at once when nothing is owed', () => {
    const queue = new AckQueue()
    queue.pushDecided(packetTypes.puback, 1, 0x90)
    expect(released(queue, 5)).toBe('4003000190')
    const group = queue.openGroup()
    queue.pushWaiting(group, packetTypes.puback, 2)
    expect(released(queue, 5)).toBe('')
  })

  it('holds on to no settled group for which nothing is owed', () => {
    const queue = new AckQueue()
    const settled = queue.openGroup()
    settle(settled)
    expect(released(queue)).toBe('')
    const open = queue.openGroup()
    // Else each turn of a client that publishes at QoS 0 alone would leave one, for good.
    expect(settled.next).toBe(null)
    const behind = queue.openGroup()
    settle(behind)
    expect(released(queue)).toBe('')
    expect(open.next).toBe(behind)
    settle(open)
    expect(released(queue)).toBe('')
    queue.openGroup()
    expect(behind.next).toBe(null)
  })

  it('says the failure of a group in 5.0 and withholds it, and everything behind it, before', () => {
    const build = (): AckQueue => {
      const queue = new AckQueue()
      const group = queue.openGroup()
      queue.pushDecided(packetTypes.puback, 1, 0)
      queue.pushWaiting(group, packetTypes.puback, 2)
      settle(group, 0x97)
      const next = queue.openGroup()
      queue.pushWaiting(next, packetTypes.puback, 3)
      settle(next)
      return queue
    }
    expect(released(build(), 5)).toBe('40020001400300029740020003')
    const old = build().release(4)
    expect([Buffer.from(old.bytes ?? []).toString('hex'), old.withheld]).toEqual(['40020001', 0x97])
  })

  it('never says that a failed release is complete', () => {
    const queue = new AckQueue()
    const group = queue.openGroup()
    queue.pushWaiting(group, packetTypes.pubcomp, 9)
    settle(group, 0x83)
    expect(queue.release(5)).toEqual({ bytes: null, count: 0, withheld: 0x83 })
  })

  it('releases every slot once and in order, in whatever order the groups settle', () => {
    const turns = fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(turns, fc.infiniteStream(fc.nat(1000)), (list, chance) => {
        const queue = new AckQueue()
        const open: AckGroup[] = []
        let packetId = 0
        let seen = ''
        for (const turn of list) {
          const group = queue.openGroup()
          open.push(group)
          for (const isWaiting of turn) {
            packetId += 1
            if (isWaiting) queue.pushWaiting(group, packetTypes.puback, packetId)
            else queue.pushDecided(packetTypes.puback, packetId, 0)
          }
          const chosen = open[(chance.next().value ?? 0) % open.length] as AckGroup
          settle(chosen)
          seen += released(queue)
        }
        for (const group of open) settle(group)
        seen += released(queue)
        const expected = Array.from(
          { length: packetId },
          (_, index) => `4002${(index + 1).toString(16).padStart(4, '0')}`,
        )
        expect(seen).toBe(expected.join(''))
        expect([queue.length, queue.pubackCount]).toEqual([0, 0])
      }),
      { numRuns: 200 },
    )
  })
})
