import { describe, expect, test } from 'vitest'
import { type PlanLimits, planStep } from '../../src/mirror/batch-plan.ts'
import { lastOffsetDeltaAt, writeInt32, writeInt16, attributesAt } from '../../src/protocol/records/record-batch.ts'
import { batchOf, concatenated, plainBatch, withAppendTime } from './batches.ts'

const limits: PlanLimits = { batchBytesMax: 10_000, verbatimBytesMin: 4_000 }

function plan(batches: readonly Uint8Array[], wantedOffset: number, within: PlanLimits = limits): string[] {
  const bytes = concatenated(batches)
  const steps: string[] = []
  let wanted = wantedOffset
  for (let step = planStep(bytes, 0, wanted, within); step !== null; step = planStep(bytes, step.end, wanted, within)) {
    steps.push(`${step.kind} ${step.baseOffset}-${step.endOffset}`)
    wanted = step.endOffset
  }
  return steps
}

/** Only the header matters to the plan. */
function compressed(batch: Uint8Array, codec = 3): Uint8Array {
  writeInt16(batch, attributesAt, codec)
  return batch
}

const control = (offset: number): Uint8Array =>
  batchOf(offset, [{ timestampMs: 0, key: 'c', value: null }], { isControl: true, isTransactional: true })

describe('the plan of a piece of log', () => {
  test('small batches make one, up to the limit of a batch', () => {
    const run = Array.from({ length: 7 }, (_, index) => plainBatch(index * 10, 10, 150))
    expect(plan(run, 0)).toEqual(['merge 0-50', 'merge 50-70'])
  })

  test('a large batch goes as it is and parts the runs around it', () => {
    expect(plan([plainBatch(0, 2), plainBatch(2, 2), plainBatch(4, 30, 200), plainBatch(34, 1)], 0)).toEqual([
      'merge 0-4',
      'verbatim 4-34',
      'verbatim 34-35',
    ])
  })

  test('a run ends at a hole, so that the caller sees it', () => {
    expect(plan([plainBatch(0, 2), plainBatch(2, 2), plainBatch(7, 2), plainBatch(9, 1)], 0)).toEqual([
      'merge 0-4',
      'merge 7-10',
    ])
  })

  test('what lies below the wanted offset, and control batches, are skipped', () => {
    expect(plan([plainBatch(0, 2), plainBatch(2, 2), control(4), plainBatch(5, 1)], 2)).toEqual([
      'skip 2-2',
      'verbatim 2-4',
      'skip 4-5',
      'verbatim 5-6',
    ])
  })

  test('a batch that is begun in its middle, too large, or has holes is rebuilt', () => {
    const holes = plainBatch(60, 3)
    writeInt32(holes, lastOffsetDeltaAt, 9)
    expect(plan([plainBatch(0, 4), plainBatch(4, 56, 200), holes], 2)).toEqual([
      'rebuild 2-4',
      'rebuild 4-60',
      'rebuild 60-70',
    ])
  })

  test('LogAppendTime is turned into plain timestamps: uncompressed by a merge, compressed by rebuilding', () => {
    const stamped = withAppendTime(plainBatch(0, 1), 5)
    const both = withAppendTime(plainBatch(1, 1), 5)
    writeInt16(both, attributesAt, 0x08 | 3)
    expect(plan([stamped, both], 0)).toEqual(['merge 0-1', 'rebuild 1-2'])
  })

  test('a few small compressed batches stay as they are, many of one codec are put into one', () => {
    const small = (count: number, codec = 3): Uint8Array[] =>
      Array.from({ length: count }, (_, index) => compressed(plainBatch(index, 1), codec))
    expect(plan(small(3), 0)).toEqual(['verbatim 0-1', 'verbatim 1-2', 'verbatim 2-3'])
    expect(plan(small(5), 0)).toEqual(['rebuild 0-5'])
    expect(plan([...small(4), compressed(plainBatch(4, 1), 4)], 0)).toEqual(['rebuild 0-4', 'verbatim 4-5'])
  })

  test('batches whose times lie more than 99 days apart are not merged', () => {
    const far = batchOf(1, [{ timestampMs: 1_700_000_000_000 + 2 ** 33 + 5, key: null, value: 'x' }])
    expect(plan([plainBatch(0, 1), far], 0)).toEqual(['verbatim 0-1', 'verbatim 1-2'])
  })
})
