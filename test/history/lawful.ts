/** A history in which every promise is kept: idempotent producers, readers, MQTT publishers, a deletion. */
import { Prng } from '../sim/prng.ts'
import type { HistoryEvent } from './checker.ts'

/** Around `events` events from one seed. */
export function lawfulHistory(seed: number, events: number): HistoryEvent[] {
  const prng = new Prng(seed, 'history')
  const history: HistoryEvent[] = []
  const places = ['a-0', 'a-1', 'b-0'].map((place) => ({ place, values: [] as string[], readers: [0, 0], start: 0 }))
  let counter = 0
  while (history.length < events) {
    const at = prng.pick(places)
    const { place, values } = at
    const draw = prng.below(10)
    if (draw < 6) {
      const isOnce = place !== 'b-0'
      const proc = `${isOnce ? 'p' : 's'}${prng.below(3)}`
      const value = `${proc}-${counter++}`
      const result = prng.pick(['ok', 'ok', 'ok', 'ok', 'info', 'fail'] as const)
      const offset = result === 'ok' && isOnce ? values.length : -1
      const delivery = isOnce ? 'exactly-once' : 'at-least-once'
      history.push({ op: 'send', proc, place, value, result, offset, delivery })
      if (result === 'ok' || (result === 'info' && prng.chance(0.5))) values.push(value)
      if (result === 'ok' && !isOnce && prng.chance(0.1)) values.push(value)
    } else {
      const reader = prng.below(2)
      const offset = Math.max(at.readers[reader] as number, at.start)
      const value = values[offset]
      if (value === undefined) continue
      history.push({ op: 'read', proc: `r${reader}`, place, offset, value })
      at.readers[reader] = offset + 1
    }
  }
  for (const at of places) {
    at.start = at.place === 'a-1' ? Math.floor(at.values.length / 3) : 0
    history.push({ op: 'start', place: at.place, offset: at.start })
    at.values.forEach((value, offset) => {
      if (offset >= at.start) history.push({ op: 'final', place: at.place, offset, value })
    })
  }
  return history
}
