import { describe, expect, test } from 'vitest'
import { type Fault, HistoryChecker, type HistoryEvent, parseEvent } from './checker.ts'
import { lawfulHistory } from './lawful.ts'

function faultsOf(history: readonly HistoryEvent[]): Fault[] {
  const checker = new HistoryChecker()
  for (const event of history) checker.add(event)
  return checker.verdict().faults.map(({ fault }) => fault)
}

test('a lawful history has no fault, and neither has it as lines of JSON (20 seeds)', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const history = lawfulHistory(seed, 2000)
    expect(faultsOf(history)).toEqual([])
    expect(faultsOf(history.map((event) => parseEvent(JSON.stringify(event))))).toEqual([])
  }
})

type Change = (history: HistoryEvent[], pick: (fits: (event: HistoryEvent) => boolean) => number) => void

const isOnceOk = (event: HistoryEvent): boolean =>
  event.op === 'send' && event.result === 'ok' && event.delivery === 'exactly-once'
const at = (history: HistoryEvent[], index: number): HistoryEvent => history[index] as HistoryEvent
const finalOf = (history: HistoryEvent[], { place, offset }: HistoryEvent): number =>
  history.findIndex((event) => event.op === 'final' && event.place === place && event.offset === offset)

/** What a broken log or broker makes of a history, and the faults of which one must be told. */
const changes: readonly (readonly [string, readonly Fault[], Change])[] = [
  ['the last record of a partition is lost', ['lost', 'unseen'], (history) => cutLastAcknowledged(history, 'a-0')],
  ['the last record of a QoS 1 topic is lost', ['lost', 'unseen'], (history) => cutLastAcknowledged(history, 'b-0')],
  [
    'a record in the middle is lost',
    ['gap'],
    (history, pick) =>
      void history.splice(
        pick((e) => e.op === 'final' && e.place === 'a-0' && e.offset > 0 && e.offset < 50),
        1,
      ),
  ],
  [
    'the first record is lost',
    ['gap'],
    (history, pick) =>
      void history.splice(
        pick((e) => e.op === 'final' && e.place === 'a-0' && e.offset === 0),
        1,
      ),
  ],
  [
    'nothing is left of a partition',
    ['lost'],
    (history) =>
      void history.splice(0, history.length, ...history.filter((e) => e.op !== 'final' || e.place !== 'a-0')),
  ],
  [
    'a value stands twice',
    ['duplicate'],
    (history) => {
      const last = at(history, lastFinal(history, 'a-0')) as HistoryEvent & { op: 'final' }
      const first = history.find((e) => e.op === 'final' && e.place === 'a-0') as HistoryEvent & { op: 'final' }
      history.push({ ...last, offset: last.offset + 1, value: first.value })
    },
  ],
  [
    'two values have changed places',
    ['two-offsets'],
    (history, pick) => {
      const index = pick((e) => e.op === 'final' && e.place === 'a-0' && e.offset === 10)
      const [one, two] = [at(history, index), at(history, index + 1)] as (HistoryEvent & { op: 'final' })[]
      history[index] = { ...(one as HistoryEvent & { op: 'final' }), value: two?.value ?? '' }
      history[index + 1] = { ...(two as HistoryEvent & { op: 'final' }), value: one?.value ?? '' }
    },
  ],
  [
    'another value stands there',
    ['never-sent', 'two-values'],
    (history, pick) =>
      replace(
        history,
        pick((e) => e.op === 'final'),
        { value: 'x-1' },
      ),
  ],
  [
    'what was refused is stored',
    ['refused-and-stored'],
    (history, pick) =>
      replace(
        history,
        pick((e) => isOnceOk(e) && e.place === 'a-0'),
        { result: 'fail' },
      ),
  ],
  [
    'an acknowledgement names an offset too far',
    ['two-offsets', 'two-values'],
    (history, pick) => shift(history, pick(isOnceOk), 1),
  ],
  [
    'an acknowledgement names an offset before',
    ['two-offsets', 'two-values', 'disorder'],
    (history, pick) =>
      shift(
        history,
        pick((e) => isOnceOk(e) && e.offset > 5),
        -1,
      ),
  ],
  [
    'an acknowledgement names an offset beyond the end',
    ['two-offsets', 'unseen'],
    (history, pick) => shift(history, pick(isOnceOk), 100_000),
  ],
  [
    'a value is acknowledged at two offsets',
    ['two-offsets'],
    (history, pick) => {
      const index = pick(isOnceOk)
      history.splice(index + 1, 0, { ...at(history, index), offset: at(history, index).offset + 3 } as HistoryEvent)
    },
  ],
  [
    'a value is acknowledged that was never stored',
    ['lost'],
    (history, pick) =>
      replace(
        history,
        pick((e) => e.op === 'send' && e.result === 'fail' && e.place === 'a-0'),
        { result: 'ok' },
      ),
  ],
  [
    'a reader sees another value',
    ['two-values'],
    (history, pick) =>
      replace(
        history,
        pick((e) => e.op === 'read' && e.place === 'a-0'),
        { value: 'x-2' },
      ),
  ],
  [
    'a reader sees a record that does not stay',
    ['unseen'],
    (history) =>
      void history.splice(
        history.findIndex((e) => e.op === 'start'),
        0,
        { op: 'read', proc: 'r9', place: 'a-0', offset: 50_000, value: 'x-3' },
      ),
  ],
  [
    'a reader goes back',
    ['disorder'],
    (history, pick) => {
      const index = pick((e) => e.op === 'read' && e.place === 'a-0' && e.offset > 10)
      const read = at(history, index)
      const earlier = history.find(
        (e) => e.op === 'read' && e.place === 'a-0' && e.offset === read.offset - 3,
      ) as HistoryEvent
      history.splice(index + 1, 0, { ...earlier, proc: (read as HistoryEvent & { op: 'read' }).proc } as HistoryEvent)
    },
  ],
  [
    'a record is stored on another partition',
    ['never-sent', 'lost', 'duplicate'],
    (history, pick) => {
      const index = pick((e) => e.op === 'final' && e.place === 'a-0' && e.offset === 7)
      const { value } = at(history, index) as HistoryEvent & { op: 'final' }
      replace(history, finalOf(history, { ...at(history, lastFinal(history, 'a-1')), op: 'final' } as HistoryEvent), {
        value,
      })
    },
  ],
  [
    'deleted records are fewer than told',
    ['gap'],
    (history, pick) =>
      void history.splice(
        pick((e) => e.op === 'final' && e.place === 'a-1'),
        1,
      ),
  ],
  ['values of one producer have changed places', ['disorder', 'two-offsets'], (history) => swapOfOneProducer(history)],
  [
    'the log shows an offset twice',
    ['disorder', 'duplicate'],
    (history, pick) => {
      const index = pick((e) => e.op === 'final' && e.place === 'a-0' && e.offset === 20)
      history.splice(index, 0, at(history, index))
    },
  ],
  [
    'the acknowledged end is cut off',
    ['lost'],
    (history) => {
      const end = at(history, lastFinal(history, 'a-0')).offset
      const kept = history.filter((e) => e.op !== 'final' || e.place !== 'a-0' || e.offset < end - 20)
      history.splice(0, history.length, ...kept)
    },
  ],
]

describe('the checker notices that', () => {
  test.each(changes)('%s', (_, faults, change) => {
    for (let seed = 1; seed <= 10; seed++) {
      const history = lawfulHistory(seed, 1500)
      change(history, (fits) => {
        const index = history.findIndex(fits)
        if (index < 0) throw new Error('the history has no such event')
        return index
      })
      const told = faultsOf(history)
      expect(
        told.filter((fault) => faults.includes(fault)),
        `seed ${seed}: ${told.join()}`,
      ).not.toEqual([])
    }
  })
})

function lastFinal(history: readonly HistoryEvent[], place: string): number {
  return history.findLastIndex((event) => event.op === 'final' && event.place === place)
}

/** Cuts a partition off before the last record that was acknowledged and stands there once. */
function cutLastAcknowledged(history: HistoryEvent[], place: string): void {
  const acknowledged = new Set(history.flatMap((e) => (e.op === 'send' && e.result === 'ok' ? [e.value] : [])))
  const finals = history.flatMap((e) => (e.op === 'final' && e.place === place ? [e] : []))
  const cut = finals.findLast(
    ({ value }) => acknowledged.has(value) && finals.filter((other) => other.value === value).length === 1,
  )
  const kept = history.filter((e) => e.op !== 'final' || e.place !== place || e.offset < (cut?.offset ?? 0))
  history.splice(0, history.length, ...kept)
}

function replace(history: HistoryEvent[], index: number, fields: Partial<Record<'value' | 'result', string>>): void {
  history[index] = { ...at(history, index), ...fields } as HistoryEvent
}

function shift(history: HistoryEvent[], index: number, by: number): void {
  history[index] = { ...at(history, index), offset: at(history, index).offset + by } as HistoryEvent
}

/** Two values of one producer of which none was acknowledged would still have to stand in order; here any two that stand apart. */
function swapOfOneProducer(history: HistoryEvent[]): void {
  const finals = history.flatMap((event, index) =>
    event.op === 'final' && event.place === 'a-0' ? [{ event, index }] : [],
  )
  const own = finals.filter(({ event }) => event.value.startsWith('p1-'))
  const [one, two] = [own[3], own[4]]
  if (one === undefined || two === undefined) throw new Error('the producer has too few values')
  replace(history, one.index, { value: two.event.value })
  replace(history, two.index, { value: one.event.value })
}
