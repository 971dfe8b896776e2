import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isoTimeMs } from '../../src/base/iso-time.ts'

describe('a time by ISO 8601', () => {
  it.each([
    ['1970-01-01', 0],
    ['2026-11-27', Date.UTC(2026, 10, 27)],
    ['2026-11-27T14:30Z', Date.UTC(2026, 10, 27, 14, 30)],
    ['2026-11-27T14:30:05.25+01:00', Date.UTC(2026, 10, 27, 13, 30, 5, 250)],
    ['2026-11-27 14:30:05.123456789-0230', Date.UTC(2026, 10, 27, 17, 0, 5, 123)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
  ])('%s', (text, ms) => expect(isoTimeMs(text)).toBe(ms))

  it.each([
    '',
    '2026',
    '2026-1-1',
    '2026-00-01',
    '2026-13-01',
    '2026-02-29',
    '2100-02-29',
    '2026-04-31',
    '2026-01-01T24:00',
  ])('%s is none', (text) => expect(isoTimeMs(text)).toBeNull())

  it.each([
    '2026-01-01T',
    '2026-01-01T12',
    '2026-01-01T12:60',
    '2026-01-01T12:00:60',
    '2026-01-01Z',
    '2026-01-01T12:00+25:00',
  ])('%s is none either', (text) => expect(isoTimeMs(text)).toBeNull())

  it('is what the platform says, for every millisecond of four-digit years', () => {
    const ms = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
    fc.assert(fc.property(ms, (value) => isoTimeMs(new Date(value).toISOString()) === value))
  })
})
