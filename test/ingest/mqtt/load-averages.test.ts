import { describe, expect, it } from 'vitest'
import { LoadAverages } from '../../../src/ingest/mqtt/load-averages.ts'

describe('load averages', () => {
  it('come near to what is there a minute, the sooner the shorter, and fall again', () => {
    const averages = new LoadAverages(['n'], 0)
    for (let second = 10; second <= 3600; second += 10) averages.advance({ n: second * 2 }, second * 1000)
    const [one, five, fifteen] = [...averages.of('n')] as [number, number, number]
    expect([one, five].map((each) => each.toFixed(2))).toEqual(['120.00', '120.00'])
    expect(fifteen).toBeCloseTo(120 * (1 - Math.exp(-4)), 6)
    averages.advance({ n: 7200 }, 3_660_000)
    const later = averages.of('n')
    expect(later[0]).toBeCloseTo(one * Math.exp(-1), 6)
    expect(later[1]).toBeCloseTo(five * Math.exp(-1 / 5), 6)
    expect(later[2]).toBeCloseTo(fifteen * Math.exp(-1 / 15), 6)
  })

  it('are the same however often they are told, and each knows its own', () => {
    const often = new LoadAverages(['a', 'b'], 1000)
    const seldom = new LoadAverages(['a', 'b'], 1000)
    for (let step = 1; step <= 300; step += 1) often.advance({ a: step, b: step * 3 }, 1000 + step * 100)
    seldom.advance({ a: 300, b: 900 }, 31_000)
    // At the same time nothing has passed: what is new counts from the next one on.
    seldom.advance({ a: 400, b: 900 }, 31_000)
    for (const name of ['a', 'b'] as const) {
      for (const [at, each] of often.of(name).entries()) expect(seldom.of(name)[at]).toBeCloseTo(each, 6)
    }
    expect(often.of('b')[0]).toBeCloseTo((often.of('a')[0] as number) * 3, 6)
    seldom.advance({ a: 400, b: 900 }, 31_100)
    expect(seldom.of('a')[0]).toBeGreaterThan(often.of('a')[0] as number)
  })
})
