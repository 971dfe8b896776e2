/** Log lines as they reach the descriptor. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
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
  late: { id: 'the-last', level: 'info', sentence: 'the last', fields: {} },
  gone: { id: 'disk-gone', level: 'fatal', sentence: 'the disk is gone', fields: {} },
})

const folder = mkdtempSync(join(tmpdir(), 'headwater-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Enough for the slowest thread pool. */
const writtenWithinMs = 10_000

interface Opened {
  readonly log: EventLog
  text(): string
}

/** Hands an open log to `use`, waits until as many lines are in the file, and answers them. */
async function written(
  options: Partial<EventLogOptions>,
  count: number,
  use: (opened: Opened) => void,
): Promise<readonly string[]> {
  const file = join(folder, 'log')
  const descriptor = openSync(file, 'w')
  const log = new EventLog({ level: 'info', format: 'json', descriptor, isTerminal: false, ...options })
  const text = (): string => readFileSync(file, 'utf8')
  use({ log, text })
  // Before that the thread pool may still write to the descriptor.
  await vi.waitFor(() => expect(text().split('\n')).toHaveLength(count + 1), { timeout: writtenWithinMs, interval: 5 })
  closeSync(descriptor)
  return text().split('\n').slice(0, -1)
}

const roll = (log: EventLog): void => log.write(events.rolled, { topic: 'a', offset: 5 })

const evil = 'evil\r\n00:00:00.000 INFO  all is well\u001b[2J\u0007\u007f\u009b31m\u202e\u2066\u200b\u2028\ufeff'

describe('a name from outside', () => {
  it.each(['json', 'text'] as const)('is shown and obeyed by nobody (%s)', async (format) => {
    const lines = await written({ format }, 1, ({ log }) => log.write(events.rolled, { topic: evil, offset: 5 }))
    expect(Buffer.from(lines[0] ?? '').filter((byte) => byte < 0x20 || byte > 0x7e)).toHaveLength(0)
    expect(lines[0]).toContain('all is well')
    if (format === 'json') expect((JSON.parse(lines[0] ?? '') as { topic: string }).topic).toBe(evil)
  })
})

describe('event log', () => {
  it('writes one object a line: time, level, event, fields, and the sentence as message', async () => {
    const [line = ''] = await written({}, 1, ({ log }) => roll(log))
    expect(JSON.parse(line)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'segment-rolled',
      topic: 'a',
      offset: 5,
      message: 'a rolled at 5',
    })
  })

  it('leaves out what is below the level', async () => {
    const both = ({ log }: Opened): void => {
      log.write(events.detail, {})
      roll(log)
    }
    expect((await written({ level: 'info' }, 1, both))[0]).toContain('segment-rolled')
    expect((await written({ level: 'debug' }, 2, both))[0]).toContain('a-detail')
  })

  it('writes for eyes on a terminal', async () => {
    const [line] = await written({ format: 'auto', isTerminal: true }, 1, ({ log }) => roll(log))
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}a rolled at 5$/)
  })

  it.each(['json', 'text'] as const)('has handed a fatal event to the kernel when it returns (%s)', async (format) => {
    await written({ format }, 3, ({ log, text }) => {
      // The first is under way, the second waits behind it.
      roll(log)
      roll(log)
      log.write(events.gone, {})
      expect(text()).toContain('the disk is gone')
    })
  })

  it('hands over what waits in memory when it is flushed', async () => {
    await written({}, 3, ({ log, text }) => {
      roll(log)
      roll(log)
      log.write(events.late, {})
      log.flush()
      expect(text()).toContain('the last')
    })
  })

  it('fills places once, and leaves those without a field', () => {
    expect(fillSentence('{a} {b} {toString}', { a: '{b}', b: 1 })).toBe('{b} 1 {toString}')
  })
})
