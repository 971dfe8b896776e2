import { expect, it } from 'vitest'
import { batchesOf } from '../../../src/ingest/mqtt/log-gap.ts'
import type { LogReadResult } from '../../../src/log/append.ts'

it('a read without records is gone on behind, one offset further at least and not beyond where the reader may read', () => {
  const nothing: LogReadResult = { kind: 'batches', bytes: new Uint8Array(0) }
  const cases: readonly (readonly [string, LogReadResult, number, number, number, object])[] = [
    ['deleted up to the start of the log', { kind: 'outOfRange' }, 70, 10, 90, { toOffset: 70, cause: 'retention' }],
    ['a log that begins earlier', { kind: 'outOfRange' }, 0, 10, 90, { toOffset: 11, cause: 'retention' }],
    ['damage', { kind: 'damaged', nextOffset: 40 }, 0, 10, 90, { toOffset: 40, cause: 'damage' }],
    ['damage that moves nobody', { kind: 'damaged', nextOffset: 10 }, 0, 10, 90, { toOffset: 11, cause: 'damage' }],
    ['damage up to the end', { kind: 'damaged', nextOffset: 99 }, 0, 10, 90, { toOffset: 90, cause: 'damage' }],
    ['nothing where something should be', nothing, 0, 10, 90, { toOffset: 90, cause: 'unreadable' }],
    ['nothing, one offset before the end', nothing, 0, 89, 90, { toOffset: 90, cause: 'unreadable' }],
  ]
  for (const [what, read, logStartOffset, fromOffset, endOffset, gap] of cases) {
    expect(batchesOf(read, { log: { logStartOffset } }, { fromOffset, endOffset }), what).toEqual(gap)
  }
  const bytes = Uint8Array.of(1)
  const found = batchesOf({ kind: 'batches', bytes }, { log: { logStartOffset: 0 } }, { fromOffset: 0, endOffset: 1 })
  expect(found).toBe(bytes)
})
