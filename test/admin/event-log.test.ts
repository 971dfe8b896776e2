/** Log lines as they reach the descriptor. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { EventLog, type EventLogOptions, fillSentence } from '../../src/admin/event-log.ts'
import { defineEvents } from '../../src/base/event-def.ts'

const events = defineEvents({
  rolled: {
    id: 'segment-rolled',
    level: 'info',
    sentence: '{topic} rolled at {offset}',
    fields: { topic: 'string', offset: 'number' },
  },
  detail: { id: 'a-detail', level: 'debug', sentence: 'detail', fields: {} },
  gone: { id: 'disk-gone', level: 'fatal', sentence: 'the disk is gone', fields: {} },
})

const folder = mkdtempSync(join(tmpdir(), 'headwater-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function written(options: Partial<EventLogOptions>, write: (log: EventLog) => void, isFlushed = true): string {
  const file = join(folder, 'log')
  const descriptor = openSync(file, 'w')
  const log = new EventLog({ level: 'info', format: 'json', descriptor, isTerminal: false, ...options })
  write(log)
  if (isFlushed) log.flush()
  const text = readFileSync(file, 'utf8')
  log.flush()
  closeSync(descriptor)
  return text
}

describe('event log', () => {
  it('writes one object a line: time, level, event, fields, and the sentence as message', () => {
    const text = written({}, (log) => log.write(events.rolled, { topic: 'a', offset: 5 }))
    expect(JSON.parse(text)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'segment-rolled',
      topic: 'a',
      offset: 5,
      message: 'a rolled at 5',
    })
  })

  it('leaves out what is below the level', () => {
    expect(written({ level: 'info' }, (log) => log.write(events.detail, {}))).toBe('')
    expect(written({ level: 'debug' }, (log) => log.write(events.detail, {}))).toContain('a-detail')
  })

  it('writes for eyes on a terminal', () => {
    const text = written({ format: 'auto', isTerminal: true }, (log) =>
      log.write(events.rolled, { topic: 'a', offset: 5 }),
    )
    expect(text).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}a rolled at 5\n$/)
  })

  it('has handed a fatal event to the kernel when it returns', () => {
    expect(written({}, (log) => log.write(events.gone, {}), false)).toContain('disk-gone')
  })

  it('fills places once, and leaves those without a field', () => {
    expect(fillSentence('{a} {b} {toString}', { a: '{b}', b: 1 })).toBe('{b} 1 {toString}')
  })
})
