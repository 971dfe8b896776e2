/** The walk is written for speed; here it is held against the plain reader of records, over bytes that were changed by chance. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { RecordWalk } from '../../src/log/record-walk.ts'
import { batchHeaderBytes, batchRecordCount } from '../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../src/protocol/records/record.ts'
import { readVarint } from '../../src/protocol/records/varint.ts'
import { Prng } from '../sim/prng.ts'

const plain = readFileSync(new URL('../golden/kafka-batches.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('none '))
  .map((line) => Buffer.from(line.split(' ')[2] ?? '', 'hex'))

/** The records of a batch, read one by one, are in order and end where the batch ends. */
function plainReaderTakes(batch: Uint8Array): boolean {
  let isRight = true
  let index = 0
  try {
    forEachRecord(batch, 0, ({ offset, timestampMs }) => {
      isRight &&= offset === index++ && timestampMs >= -1 && timestampMs <= Number.MAX_SAFE_INTEGER
    })
  } catch {
    return false
  }
  const cursor = { at: batchHeaderBytes, end: batch.length, failed: false }
  for (let left = batchRecordCount(batch); left > 0; left--) {
    const length = readVarint(batch, cursor)
    cursor.at += length
  }
  return isRight && cursor.at === batch.length
}

function walkTakes(batch: Uint8Array, recordsPerStep: number): boolean {
  const walk = new RecordWalk(batch, batchHeaderBytes, batch.length, {
    recordCount: batchRecordCount(batch),
    baseTimestampMs: Number(Buffer.from(batch).readBigInt64BE(27)),
    keysNeeded: false,
    earliestMs: Number.NEGATIVE_INFINITY,
    latestMs: Number.POSITIVE_INFINITY,
  })
  while (!walk.step(recordsPerStep));
  return walk.refusal === null
}

it('takes and refuses what the plain reader of records does', () => {
  const prng = new Prng(11, 'walk')
  const verdicts = { taken: 0, refused: 0 }
  for (let run = 0; run < 6_000; run++) {
    const batch = Buffer.from(plain[run % plain.length] as Buffer)
    for (let change = prng.below(3); change >= 0; change--) {
      const at = batchHeaderBytes + prng.below(batch.length - batchHeaderBytes)
      batch[at] = [0, 1, 0x7f, 0x80, 0xff, prng.below(256), (batch[at] as number) ^ 2][prng.below(7)] as number
    }
    const isRight = plainReaderTakes(batch)
    verdicts[isRight ? 'taken' : 'refused']++
    expect([run, walkTakes(batch, 1 + prng.below(60))]).toEqual([run, isRight])
  }
  expect(verdicts.taken).toBeGreaterThan(500)
  expect(verdicts.refused).toBeGreaterThan(500)
})

it('refuses every batch that ends early, and reads nothing beyond its end', () => {
  const whole = plain[1] as Buffer
  for (let size = batchHeaderBytes; size < whole.length; size++) {
    expect([size, walkTakes(whole.subarray(0, size), 1000)]).toEqual([size, false])
    // The same with more memory behind it.
    expect([
      size,
      walkTakes(Buffer.concat([whole.subarray(0, size), Buffer.alloc(40)]).subarray(0, size), 1000),
    ]).toEqual([size, false])
  }
})
