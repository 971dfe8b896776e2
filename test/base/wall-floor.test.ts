import { describe, expect, it } from 'vitest'
import { WallFloor } from '../../src/base/wall-floor.ts'

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
