import { describe, expect, it } from 'vitest'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import type { RetainedEntry } from '../../../src/ingest/mqtt/retained-store.ts'
import { RetainedWalk } from '../../../src/ingest/mqtt/retained-walk.ts'

/** Takes what the walk gives in one turn of the loop, and says how it ended. */
function turn(walk: RetainedWalk, isWindowOpen = true): string[] {
  const said: string[] = []
  for (;;) {
    const step = walk.next(isWindowOpen, 0, { goOn: () => {} })
    if (typeof step === 'string') return [...said, step]
    said.push(Buffer.from(step.message.payload).toString())
  }
}

function walkThrough(entries: readonly (RetainedEntry | null)[]): { walk: RetainedWalk; deferred: (() => void)[] } {
  const deferred: (() => void)[] = []
  const walk = new RetainedWalk({
    entries: entries.values(),
    qos: 1,
    subscriptionIds: [],
    isWanted: () => true,
    onEnd: () => {},
    defer: (goOn) => deferred.push(() => goOn(0)),
  })
  return { walk, deferred }
}

const messageOf = (payload: string): OutgoingMessage => new OutgoingMessage(Buffer.from('t'), Buffer.from(payload), [])

describe('a walk through retained messages', () => {
  it('goes a bounded number of steps in a turn of the loop, whatever it finds', () => {
    const found = { topic: 't', message: messageOf('last') }
    const { walk, deferred } = walkThrough([...Array.from({ length: 3000 }, () => null), found])
    let turns = 1
    for (let said = turn(walk); said.at(-1) !== 'end'; said = turn(walk)) {
      expect(deferred).toHaveLength(turns)
      expect(turn(walk), 'asked again in the same turn').toEqual(['later'])
      deferred[turns - 1]?.()
      turns += 1
    }
    expect(turns).toBe(3)
  })

  it('gives what is retained when the window opens, not what was when it was found', () => {
    const entry = { topic: 't', message: messageOf('old') as OutgoingMessage | null }
    const { walk } = walkThrough([entry, { topic: 'u', message: messageOf('other') }])
    expect(turn(walk, false)).toEqual(['later'])
    entry.message = messageOf('new')
    expect(turn(walk)).toEqual(['new', 'other', 'end'])
    const gone = { topic: 't', message: messageOf('old') as OutgoingMessage | null }
    const again = walkThrough([gone])
    expect(turn(again.walk, false)).toEqual(['later'])
    gone.message = null
    expect(turn(again.walk)).toEqual(['end'])
  })
})
