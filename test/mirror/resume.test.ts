import { describe, expect, test } from 'vitest'
import type { MirrorAnchor } from '../../src/mirror/anchor.ts'
import { resumeByCounting, resumeFromProducers, type TailStep, TailSearch } from '../../src/mirror/resume.ts'
import { batchLastOffset } from '../../src/protocol/records/record-batch.ts'
import { batchOf, concatenated } from './batches.ts'

const anchor: MirrorAnchor = {
  producerId: 7,
  producerEpoch: 2,
  sourceOffset: 1_000,
  targetTopic: 't',
  targetTopicId: 'abcdefghijklmnopqrstuv',
  targetEndOffset: 50,
  confirmedEnd: 1_100,
}

describe('what DescribeProducers tells', () => {
  const cases = [
    [
      'our epoch: the offset behind its last sequence number',
      [{ producerId: 7, producerEpoch: 2, lastSequence: 99 }],
      1_100,
    ],
    [
      'an older epoch of ours: nothing was sent under the anchor',
      [{ producerId: 7, producerEpoch: 1, lastSequence: 5 }],
      1_000,
    ],
    [
      'our epoch without a sequence number: nothing was sent',
      [{ producerId: 7, producerEpoch: 2, lastSequence: -1 }],
      1_000,
    ],
    [
      'a newer epoch: someone else has our id, so nothing',
      [{ producerId: 7, producerEpoch: 3, lastSequence: 5 }],
      null,
    ],
    ['others only: nothing', [{ producerId: 8, producerEpoch: 2, lastSequence: 5 }], null],
  ] as const
  test.each(cases)('%s', (_, producers, offset) => {
    expect(resumeFromProducers(anchor, producers)?.offset ?? null).toBe(offset)
  })
})

/** A target partition in memory. */
class Target {
  readonly batches: Uint8Array[] = []
  startOffset = 0
  endOffset = 0
  reads = 0

  add(count: number, producer: { id: number; epoch: number; sequence: number } | null): void {
    const records = Array.from({ length: count }, () => ({ timestampMs: 0, key: null, value: 'x' }))
    const fields =
      producer === null
        ? {}
        : { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence }
    this.batches.push(batchOf(this.endOffset, records, fields))
    this.endOffset += count
  }

  /** Two whole batches at most, from the one that holds the offset. */
  fetch(fromOffset: number): Uint8Array {
    this.reads++
    const first = this.batches.findIndex((batch) => batchLastOffset(batch) >= fromOffset)
    return concatenated(this.batches.slice(first, first + 2))
  }

  search(): TailStep {
    const search = new TailSearch(anchor, this)
    for (let step = search.next(); ; step = search.next()) {
      if (step.kind !== 'fetch') return step
      search.feed(this.fetch(step.fromOffset))
    }
  }
}

describe('the search of the target tail', () => {
  test('finds our newest batch at the very end with one read', () => {
    const target = new Target()
    target.add(50, null)
    target.add(10, { id: 7, epoch: 2, sequence: 0 })
    target.add(5, { id: 7, epoch: 2, sequence: 10 })
    expect(target.search()).toMatchObject({ kind: 'done', resume: { offset: 1_015, proof: 'tail' } })
    expect(target.reads).toBe(1)
  })

  test('finds it behind thousands of batches of other writers', () => {
    const target = new Target()
    target.add(60, null)
    target.add(10, { id: 7, epoch: 2, sequence: 0 })
    target.add(10, { id: 7, epoch: 1, sequence: 500 })
    for (let index = 0; index < 3_000; index++)
      target.add(3, index % 2 === 0 ? null : { id: 9, epoch: 2, sequence: index })
    expect(target.search()).toMatchObject({ kind: 'done', resume: { offset: 1_010, proof: 'tail' } })
  })

  test('proves that nothing was sent when the whole range since the anchor holds none of ours', () => {
    const target = new Target()
    target.add(50, { id: 7, epoch: 2, sequence: 0 })
    for (let index = 0; index < 500; index++) target.add(7, null)
    expect(target.search()).toMatchObject({ kind: 'done', resume: { offset: 1_000, proof: 'nothingSent' } })
    expect(new Target().search()).toMatchObject({ kind: 'done', resume: { proof: 'nothingSent' } })
  })

  test('says so when a part of the range has been deleted at the target', () => {
    const target = new Target()
    for (let index = 0; index < 30; index++) target.add(10, null)
    target.startOffset = 200
    expect(target.search()).toEqual({ kind: 'gone' })
    target.startOffset = target.endOffset
    expect(target.search()).toEqual({ kind: 'gone' })
  })
})

describe('counting', () => {
  test('trusts the growth of the target when it is possible at all', () => {
    expect(resumeByCounting(anchor, { startOffset: 150, endOffset: 150 }, 2_000)).toMatchObject({
      offset: 1_100,
      proof: 'count',
    })
    expect(resumeByCounting(anchor, { startOffset: 0, endOffset: 50 }, 2_000)).toMatchObject({
      offset: 1_000,
      proof: 'count',
    })
  })

  test('falls back to the lower bound when others must have written there', () => {
    expect(resumeByCounting(anchor, { startOffset: 0, endOffset: 9_000 }, 2_000)).toMatchObject({
      offset: 1_100,
      proof: 'none',
    })
  })
})
