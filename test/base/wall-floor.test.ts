import { describe, expect, it } from 'vitest'
import { aheadMsMax, earliestTrustedWallMs, WallFloor } from '../../src/base/wall-floor.ts'

const year = 366 * 86_400_000
const now = Date.UTC(2026, 5, 1)

describe('a clock that leaps', () => {
  it('of ten years ahead is not believed, and wall time goes on as before', () => {
    const floor = new WallFloor()
    expect(floor.apply(now, 1000)).toBe(now)
    expect(floor.isPlausible(now + 10 * year, 2000)).toBe(false)
    expect(floor.apply(now + 10 * year, 2000)).toBe(now + 1000)
    expect(floor.apply(now + 10 * year + 5000, 7000)).toBe(now + 6000)
    expect(floor.isPlausible(now + 9000, 9000)).toBe(true)
    expect(floor.apply(now + 9000, 9000)).toBe(now + 9000)
  })

  it('of ten years back is not believed, and wall time goes on as before', () => {
    const floor = new WallFloor()
    expect(floor.apply(now, 1000)).toBe(now)
    expect(floor.isPlausible(now - 10 * year, 2000)).toBe(false)
    expect(floor.apply(now - 10 * year, 2000)).toBe(now + 1000)
  })

  it('is not believed at a boot either, against the newest stamp of our own', () => {
    const floor = new WallFloor()
    floor.raise(now, 0)
    expect(floor.apply(now + 10 * year, 500)).toBe(now + 500)
    expect(floor.isPlausible(now + aheadMsMax, 0)).toBe(true)
  })

  it('begins in 1970 and is believed when the network has told it the time', () => {
    const floor = new WallFloor()
    floor.raise(5_000, 0)
    expect(floor.isPlausible(10_000, 100)).toBe(false)
    expect(floor.apply(10_000, 100)).toBe(10_000)
    expect(floor.isPlausible(now, 200)).toBe(true)
    expect(floor.apply(now, 200)).toBe(now)
    expect(floor.apply(20_000, 300)).toBe(now + 100)
    expect(earliestTrustedWallMs).toBe(Date.UTC(2025, 0, 1))
  })
})

describe('the floor of wall time', () => {
  it('changes nothing until it is raised, and nothing while the host is ahead of it', () => {
    const floor = new WallFloor()
    expect(floor.apply(1000.7, 5)).toBe(1000)
    floor.raise(500, 5)
    expect(floor.apply(1000, 6)).toBe(1000)
  })

  it('goes on with the monotonic clock while the host is behind', () => {
    const floor = new WallFloor()
    floor.raise(10_000, 100)
    expect(floor.apply(0, 100)).toBe(10_000)
    expect(floor.apply(0, 350.5)).toBe(10_250)
    expect(floor.apply(20_000, 400)).toBe(20_000)
  })

  it('is only ever raised', () => {
    const floor = new WallFloor()
    floor.raise(10_000, 0)
    floor.raise(9000, 500)
    expect(floor.apply(0, 1000)).toBe(11_000)
    floor.raise(20_000, 1000)
    expect(floor.apply(0, 1000)).toBe(20_000)
  })
})
