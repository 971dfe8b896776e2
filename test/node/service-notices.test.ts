/** What systemd is told, and when it is told nothing. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ServiceNotices } from '../../src/node/service-notices.ts'

let notices: ServiceNotices | null = null
afterEach(() => notices?.end())

interface World {
  readonly told: string[]
  isLive: boolean
  readonly notices: ServiceNotices
}

function world(watchdogMs: number): World {
  const told: string[] = []
  const facts = { told, isLive: true }
  notices = new ServiceNotices({
    notify: (state) => told.push(state),
    isLive: () => facts.isLive,
    watchdogMs,
    extendEveryMs: 5,
  })
  return Object.assign(facts, { notices })
}

describe('the notices to systemd', () => {
  it('gives a start more time as long as it makes progress, and no longer', async () => {
    const { told, notices: subject } = world(0)
    subject.starting()
    // Six pauses of five milliseconds, written in microseconds.
    await vi.waitFor(() => expect(told.slice(0, 2)).toEqual(['EXTEND_TIMEOUT_USEC=30000', 'EXTEND_TIMEOUT_USEC=30000']))
    subject.ready()
    const count = told.length
    expect(told.at(-1)).toBe('READY=1')
    subject.stopping()
    expect(told.slice(count)).toEqual(['STOPPING=1'])
  })

  it('confirms the watchdog while loop and writer make progress, and not while they do not', async () => {
    const facts = world(15)
    facts.notices.ready()
    await vi.waitFor(() => expect(facts.told.filter((state) => state === 'WATCHDOG=1').length).toBeGreaterThan(1))
    facts.isLive = false
    const count = facts.told.length
    let looks = 0
    // The timer is asked for again and again: each time it finds that nothing moves.
    Object.defineProperty(facts, 'isLive', {
      get() {
        looks++
        return false
      },
    })
    await vi.waitFor(() => expect(looks).toBeGreaterThan(2))
    expect(facts.told.length).toBe(count)
  })
})
