import { describe, expect, it } from 'vitest'
import { addressGroup, ConnectionGate, type GateOptions, type ListenerLimits } from '../../src/base/connection-gate.ts'

function gate(limits: { all?: number; perAddress?: number; perSecond?: number } = {}, more: Partial<GateOptions> = {}) {
  const refusals: string[] = []
  let nowMs = 0
  const created = new ConnectionGate({
    limits: {
      connectionsMax: () => limits.all ?? Infinity,
      connectionsPerAddressMax: () => limits.perAddress ?? Infinity,
      connectionsPerSecondMax: () => limits.perSecond ?? Infinity,
    },
    monotonicMs: () => nowMs,
    beyondRate: 'refuse',
    toldMax: 0,
    onRefused: (host, reason) => refusals.push(`${host} ${reason}`),
    ...more,
  })
  return { gate: created, refusals, limits, pass: (ms: number) => (nowMs += ms) }
}

const unbounded: ListenerLimits = {
  connectionsMax: Infinity,
  connectionsPerAddressMax: null,
  connectionsPerSecondMax: Infinity,
}

describe('a connection gate', () => {
  it('bounds all listeners together, and takes the next one when one is gone', () => {
    const { gate: door, refusals } = gate({ all: 2 })
    const [left, right] = [door.listener(unbounded), door.listener(unbounded)]
    const first = left.enter('a')
    right.enter('b')
    expect(left.enter('c')).toBe(null)
    first?.leave()
    first?.leave()
    expect(right.enter('c')?.refusal).toBe(null)
    expect(right.enter('d')).toBe(null)
    expect(refusals).toEqual(['c connections', 'd connections'])
  })

  it('bounds one listener and leaves the other alone', () => {
    const { gate: door, refusals } = gate()
    const small = door.listener({ ...unbounded, connectionsMax: 1 })
    small.enter('a')
    expect(small.enter('b')).toBe(null)
    expect(door.listener(unbounded).enter('b')?.refusal).toBe(null)
    expect(refusals).toEqual(['b listener_connections'])
  })

  it('bounds one address over all listeners; a listener’s own bound counts its own', () => {
    const { gate: door, refusals } = gate({ perAddress: 2 })
    const [left, right] = [door.listener(unbounded), door.listener(unbounded)]
    left.enter('a')
    right.enter('a')
    expect(left.enter('a')).toBe(null)
    const own = door.listener({ ...unbounded, connectionsPerAddressMax: 1 })
    expect(own.enter('a')?.refusal).toBe(null)
    expect(own.enter('a')).toBe(null)
    expect(own.enter('b')?.refusal).toBe(null)
    expect(refusals).toEqual(['a address_connections', 'a address_connections'])
  })

  it('lets a second’s worth come at once, then one after the other', () => {
    const { gate: door, refusals, pass } = gate({ perSecond: 4 })
    const listener = door.listener(unbounded)
    const enter = (): boolean => listener.enter('a') !== null
    expect([1, 2, 3, 4, 5].map(enter)).toEqual([true, true, true, true, false])
    pass(250)
    expect([enter(), enter()]).toEqual([true, false])
    pass(10_000)
    expect([1, 2, 3, 4, 5].map(enter)).toEqual([true, true, true, true, false])
    expect(refusals).toEqual(['a rate', 'a rate', 'a rate'])
  })

  it('makes them wait instead where it is told to, but not for ever', () => {
    const { gate: door, refusals } = gate({ perSecond: 2 }, { beyondRate: 'wait' })
    const listener = door.listener(unbounded)
    const waits = Array.from({ length: 13 }, () => listener.enter('a')?.waitMs)
    expect(waits).toEqual([0, 0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, undefined])
    expect(refusals).toEqual(['a rate'])
  })

  it('asks for its limits each time: they may change', () => {
    const { gate: door, limits } = gate({ all: 1 })
    const listener = door.listener(unbounded)
    listener.enter('a')
    expect(listener.enter('a')).toBe(null)
    limits.all = 2
    expect(listener.enter('a')?.refusal).toBe(null)
  })

  it('takes a few too many, to be told; they count for nothing else', () => {
    const { gate: door } = gate({ all: 1 }, { toldMax: 1 })
    const listener = door.listener(unbounded)
    const first = listener.enter('a')
    const told = listener.enter('b')
    expect(told?.refusal).toBe('connections')
    expect(listener.enter('c')).toBe(null)
    first?.leave()
    expect(listener.enter('d')?.refusal).toBe(null)
    told?.leave()
    expect(listener.enter('e')?.refusal).toBe('connections')
    expect(door.openCount).toBe(1)
  })

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('counts %s with %s', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })
})
