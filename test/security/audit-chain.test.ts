/** Records of the audit and their chain: what one says, and what is found when somebody has been at it. */
import { describe, expect, it } from 'vitest'
import { wallText } from '../../src/base/wall-text.ts'
import { ChainCheck } from '../../src/security/audit/audit-chain-check.ts'
import {
  type AuditHead,
  type AuditLine,
  auditGenesis,
  makeAuditLine,
  readAuditLine,
} from '../../src/security/audit/audit-line.ts'
import { auditTypes } from '../../src/security/audit/audit-types.ts'
import { RepeatFilter, repeatWindowMs } from '../../src/security/audit/repeat-filter.ts'

const source = '/headwater/cluster/1'
const wallMs = Date.UTC(2026, 1, 3, 4, 5, 6, 7)

function lineOf(head: AuditHead, subject: string): AuditLine {
  const fields = { principal: 'User:eve', client: '10.0.0.9', operation: 'write', repeated: 0 }
  return makeAuditLine(head, { definition: auditTypes.denied, subject, fields, wallMs, wallTrusted: true }, source)
}

function chain(count: number): AuditLine[] {
  const lines: AuditLine[] = []
  let head: AuditHead = auditGenesis
  for (let at = 0; at < count; at++) {
    const line = lineOf(head, `topic:t${at}`)
    lines.push(line)
    head = line
  }
  return lines
}

function checked(texts: readonly string[], anchor: AuditHead | null = null): ChainCheck {
  const check = new ChainCheck(anchor)
  for (const [at, text] of texts.entries()) check.line(text, `line ${at + 1}`)
  return check
}

describe('a record of the audit', () => {
  it('is a CloudEvent whose times read as Date writes them', () => {
    const value = JSON.parse(lineOf(auditGenesis, 'topic:press').text) as Record<string, unknown>
    expect(value).toMatchObject({
      specversion: '1.0',
      id: '0',
      source,
      type: 'headwater.authorization.denied',
      subject: 'topic:press',
      time: '2026-02-03T04:05:06.007Z',
      previoushash: '0'.repeat(64),
      data: { principal: 'User:eve', operation: 'write' },
    })
    for (const ms of [0, 951_782_399_999, 951_782_400_000, 951_868_800_000, 4_107_542_400_000, 253_402_300_799_999]) {
      expect(wallText(ms)).toBe(new Date(ms).toISOString())
    }
    for (let day = 0; day < 60_000; day += 17) {
      expect(wallText(day * 86_400_000 + day)).toBe(new Date(day * 86_400_000 + day).toISOString())
    }
  })

  it('shows no control character, no mark that turns text, and no name of any length', () => {
    const evil = `\r\n\u001b[2J\u0007\u007f\u009b31m\u202e\u2066\u200b\u2028\ufeff\ud800"},{"x":"${'a'.repeat(100_000)}`
    const { text } = lineOf(auditGenesis, evil)
    expect(Buffer.from(text).filter((byte) => byte < 0x20 || byte > 0x7e)).toHaveLength(0)
    expect(text.length).toBeLessThan(2_000)
    expect(String((JSON.parse(text) as { subject: string }).subject).startsWith(evil.slice(0, 500))).toBe(true)
    expect(readAuditLine(text)).toMatchObject({ sequence: 0 })
  })
})

describe('the chain', () => {
  const whole = chain(6).map(({ text }) => text)

  it('is whole as it was written, from any record on, and with a record that arrived twice', () => {
    expect(checked(whole)).toMatchObject({ fault: null, records: 6, firstSequence: 0, head: { sequence: 5 } })
    expect(checked(whole.slice(2))).toMatchObject({ fault: null, records: 4, firstSequence: 2 })
    expect(checked([...whole.slice(0, 3), ...whole.slice(2)])).toMatchObject({ fault: null, records: 6 })
  })

  it.each([
    ['an edited word', (lines: string[]) => lines.with(2, (lines[2] ?? '').replace('eve', 'bob')), 3],
    ['an edited hash', (lines: string[]) => lines.with(2, (lines[2] ?? '').replace(/[0-9a-f]"\}$/, 'x"}')), 3],
    ['a record that is gone', (lines: string[]) => lines.toSpliced(2, 1), 3],
    ['two that changed places', (lines: string[]) => [...lines.slice(0, 1), lines[2] ?? '', lines[1] ?? ''], 2],
    ['one that came in between', (lines: string[]) => lines.toSpliced(2, 0, lines[0] ?? ''), 3],
    ['a half line', (lines: string[]) => lines.with(4, (lines[4] ?? '').slice(0, 60)), 5],
    ['a line of something else', (lines: string[]) => lines.with(0, '{"hash":"0"}'), 1],
  ])('names the first place of %s', (_, change, line) => {
    expect(checked(change([...whole])).fault).toMatchObject({ line, place: `line ${line}` })
  })

  it('is not followed by a record whose own hash is right and whose predecessor is another', () => {
    const other = chain(6)
    const forged = lineOf({ sequence: 2, hash: 'f'.repeat(64) }, 'topic:t3')
    expect(checked([...whole.slice(0, 3), forged.text, ...other.slice(4).map(({ text }) => text)]).fault).toMatchObject(
      {
        line: 4,
        reason: expect.stringContaining('one of them was changed'),
      },
    )
  })

  it('that was made anew from the start on does not hold the record that was noted down', () => {
    const [, , third] = chain(6)
    expect(checked(whole, third).anchorFault).toBeNull()
    let head: AuditHead = auditGenesis
    const anew = whole.map((_, at) => {
      const line = lineOf(head, `topic:x${at}`)
      head = line
      return line.text
    })
    expect(checked(anew).fault).toBeNull()
    expect(checked(anew, third).fault).toMatchObject({ line: 3 })
    expect(checked(whole.slice(0, 2), third).anchorFault).toContain('record 2')
  })

  it('may have a gap that its own next record tells of, and no other', () => {
    const lines = chain(3)
    const resumed = (missingInFile: string): string => {
      const fields = { clean: false, bytesCut: 0, missingInFile, missingInTopic: '', disagreement: '' }
      const entry = { definition: auditTypes.resumed, subject: 'audit', fields, wallMs, wallTrusted: true }
      return makeAuditLine({ sequence: 8, hash: 'e'.repeat(64) }, entry, source).text
    }
    const texts = lines.map(({ text }) => text)
    expect(checked([...texts, resumed('records 3 to 8 are not in the file')])).toMatchObject({
      fault: null,
      uncleanStops: 1,
      gaps: [{ reason: 'records 3 to 8 are missing' }],
    })
    expect(checked([...texts, resumed('')]).fault).toMatchObject({ reason: 'records 3 to 8 are missing' })
  })
})

describe('what comes in floods', () => {
  it('is told once in a window, and what was left out with the next, with what made room, or in the end', () => {
    const filter = new RepeatFilter<string>({ entriesMax: 2 })
    const late: [string, number][] = []
    const see = (key: string, nowMs: number) =>
      filter.see(key, key, nowMs, (value, leftOut) => late.push([value, leftOut]))
    expect(['a', 'a', 'a', 'b'].map((key) => see(key, 0))).toEqual([0, null, null, 0])
    expect(see('a', repeatWindowMs)).toBe(2)
    expect(see('b', repeatWindowMs - 1)).toBeNull()
    expect(see('c', repeatWindowMs)).toBe(0)
    expect(late).toEqual([['b', 1]])
    expect(see('c', repeatWindowMs)).toBeNull()
    expect(filter.owes).toBe(true)
    filter.sweep(repeatWindowMs, true, (value, leftOut) => late.push([value, leftOut]))
    expect(late).toEqual([
      ['b', 1],
      ['c', 1],
    ])
    expect(filter.size).toBe(0)
  })
})
