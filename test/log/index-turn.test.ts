import { expect, test } from 'vitest'
import { IndexTurn } from '../../src/log/index-turn.ts'

const bounds = { ofLog: 64, ofAll: 700 }
const logOf = (unfiledOffsets: number) => ({ activeSegment: { index: { unfiledOffsets } } })

test('logs that grow alike have their index entries written in turns, and all together stay within their bound', () => {
  const logs = Array.from({ length: 100 }, () => logOf(0))
  const turn = new IndexTurn()
  const taken: number[] = []
  const times = new Map(logs.map((log) => [log, 0]))
  for (let checkpoint = 0; checkpoint < 200; checkpoint++) {
    for (const log of logs) log.activeSegment.index.unfiledOffsets++
    const due = turn.take(logs, logs, bounds)
    for (const log of due) {
      times.set(log, (times.get(log) ?? 0) + 1)
      log.activeSegment.index.unfiledOffsets = 0
    }
    taken.push(due.size)
    const left = logs.reduce((sum, log) => sum + log.activeSegment.index.unfiledOffsets, 0)
    expect(left).toBeLessThanOrEqual(bounds.ofAll)
  }
  // In the long run 100 entries come and go at a checkpoint; the oldest of a log are those of a dozen.
  expect(Math.max(...taken)).toBeLessThanOrEqual(20)
  expect(Math.max(...times.values()) - Math.min(...times.values())).toBeLessThanOrEqual(1)
})

test('a log with more entries than one may have is written at once, whoever has the turn', () => {
  const logs = [logOf(65), logOf(64), logOf(0)]
  expect([...new IndexTurn().take(logs, logs, bounds)]).toEqual([logs[0]])
})

test('where logs that do not grow hold most of what all may have, those that grow are written, but not for a few entries', () => {
  const idle = Array.from({ length: 100 }, () => logOf(8))
  const grown = [logOf(2), logOf(4)]
  expect([...new IndexTurn().take([...idle, ...grown], grown, bounds)]).toEqual([grown[1]])
})
