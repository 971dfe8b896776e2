import { describe, expect, test } from 'vitest'
import {
  decodeAnchor,
  encodeAnchor,
  type MirrorAnchor,
  offsetAfterSequence,
  sequenceOf,
} from '../../src/mirror/anchor.ts'

const anchor: MirrorAnchor = {
  producerId: 4_000,
  producerEpoch: 3,
  sourceOffset: 1_000,
  targetTopic: 'plant-7.t',
  targetTopicId: 'abcdefghijklmnopqrstuv',
  targetEndOffset: 77,
  confirmedEnd: 1_200,
}
const key = { mirror: 'central', topicId: 'vutsrqponmlkjihgfedcba', partition: 2 }

describe('anchors', () => {
  test('come back from their record as they went in', () => {
    const record = encodeAnchor({ key, anchor })
    expect(decodeAnchor(record.key, record.value, 5)).toEqual({ key, anchor })
  })

  test('an unreadable record is named with its offset, not passed over', () => {
    const { key: keyBytes, value } = encodeAnchor({ key, anchor })
    const newer = Buffer.from(Buffer.from(value).toString().replace('"version":1', '"version":2'))
    const without = Buffer.from(Buffer.from(value).toString().replace('"producerEpoch":3,', ''))
    for (const bad of [newer, without, Buffer.from('[]'), Buffer.from('x')]) {
      expect(() => decodeAnchor(keyBytes, bad, 41)).toThrow(/offset 41/)
    }
    expect(() => decodeAnchor(null, value, 42)).toThrow(/offset 42/)
  })

  test('the sequence number of a record is its distance, and names the offset again', () => {
    expect(sequenceOf(anchor, 1_000)).toBe(0)
    expect(sequenceOf(anchor, 1_500)).toBe(500)
    expect(offsetAfterSequence(anchor, 500)).toBe(1_501)
  })
})
