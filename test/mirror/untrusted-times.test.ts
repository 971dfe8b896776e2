/** Records that were received while the time was not known never reach the central cluster with the time that they have. */
import { describe, expect, test } from 'vitest'
import { clockHeader, formatClockMark } from '../../src/base/clock-mark.ts'
import { BufferPool } from '../../src/mirror/buffer-pool.ts'
import { shapeChunk } from '../../src/mirror/chunk-shaper.ts'
import { type UntrustedTimestamps, UntrustedTimes } from '../../src/mirror/untrusted-times.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { recordsOf } from '../../src/protocol/records/record.ts'
import { batchOf, concatenated, type TestRecord, withAppendTime } from './batches.ts'

const compute = nodeCompute()
const nowMs = 1_790_000_000_000
const uptimeMs = 5_000_000

/** What the target would be given: offset and time of each record, and in the end why nothing more. */
async function shaped(bytes: Uint8Array, policy: UntrustedTimestamps, isTrusted = true): Promise<unknown[]> {
  const clock = { wallMs: () => nowMs, monotonicMs: () => uptimeMs, wallTrusted: () => isTrusted }
  const times = new UntrustedTimes(clock, policy, 'abc1')
  const pool = new BufferPool(64 * 1024, 4)
  const limits = { batchBytesMax: 64 * 1024, verbatimBytesMin: 16 * 1024, hasMore: false }
  const seen: unknown[] = []
  for (const item of await shapeChunk(bytes, 0, { compute, pool, times, ...limits })) {
    if (item.kind === 'unit') {
      const { batch, baseOffset } = item.unit
      const records = await recordsOf(batch, compute, 1 << 20)
      records.forEach((record, index) => seen.push([baseOffset + index, record.timestampMs]))
    } else if (item.kind !== 'skip') seen.push(item.isForever ? 'parked' : 'later')
  }
  return seen
}

const marked = (bootId: string, atUptimeMs: number): TestRecord => ({
  timestampMs: 1_000,
  key: 'k',
  value: 'v',
  headers: [[clockHeader, formatClockMark({ bootId, uptimeMs: atUptimeMs })]],
})
const good: TestRecord = { timestampMs: nowMs - 50, key: 'k', value: 'good' }
const ancient: TestRecord = { timestampMs: 86_400_000, key: 'k', value: 'of a producer that says so' }

describe('a mirror', () => {
  test('gives a marked record of this boot the time that its uptime tells', async () => {
    const bytes = concatenated([batchOf(0, [good]), batchOf(1, [marked('abc1', uptimeMs - 7_000), good])])
    expect(await shaped(bytes, 'restamp')).toEqual([
      [0, nowMs - 50],
      [1, nowMs - 7_000],
      [2, nowMs - 50],
    ])
  })

  test('gives a marked record of an earlier boot the time of its sending', async () => {
    expect(await shaped(batchOf(0, [marked('f00d', 1)]), 'restamp')).toEqual([[0, nowMs]])
  })

  test('gives what this node has stamped itself in 1970 the time of its sending', async () => {
    expect(await shaped(withAppendTime(batchOf(0, [good]), 12_345), 'restamp')).toEqual([[0, nowMs]])
  })

  describe('whose log had stamps already, so that the time counted on from them,', () => {
    const countedOnMs = nowMs - 50_000_000
    const counted = (bootId: string, atUptimeMs: number): TestRecord => ({
      ...marked(bootId, atUptimeMs),
      timestampMs: countedOnMs,
    })

    test('gives a record of this boot the time that its uptime tells, not the one that looks right', async () => {
      const bytes = concatenated([
        batchOf(0, [good]),
        batchOf(1, [counted('abc1', uptimeMs - 7_000)]),
        batchOf(2, [good]),
      ])
      expect(await shaped(bytes, 'restamp')).toEqual([
        [0, nowMs - 50],
        [1, nowMs - 7_000],
        [2, nowMs - 50],
      ])
      expect(await shaped(bytes, 'restamp', false)).toEqual([[0, nowMs - 50], 'later'])
      expect(await shaped(bytes, 'hold')).toEqual([[0, nowMs - 50], 'parked'])
    })

    test('keeps the stamp of a boot that is over: nothing better is known', async () => {
      expect(await shaped(batchOf(0, [counted('f00d', 1)]), 'restamp')).toEqual([[0, countedOnMs]])
    })

    test('leaves alone what came with its mark from another node, and what only looks like a mark', async () => {
      const foreign = batchOf(0, [counted('abc1', 1)], { producerId: 5, producerEpoch: 0, baseSequence: 0 })
      expect(await shaped(foreign, 'hold')).toEqual([[0, countedOnMs]])
      const alike = { ...good, value: clockHeader, headers: [[clockHeader, 'of a client']] as const }
      expect(await shaped(batchOf(0, [alike]), 'hold')).toEqual([[0, nowMs - 50]])
    })
  })

  test('holds them back while the time is not known, and what is before them goes', async () => {
    const bytes = concatenated([batchOf(0, [good]), batchOf(1, [marked('abc1', 1)]), batchOf(2, [good])])
    expect(await shaped(bytes, 'restamp', false)).toEqual([[0, nowMs - 50], 'later'])
  })

  test('holds them back for good where it is told to', async () => {
    const bytes = concatenated([batchOf(0, [good]), batchOf(1, [marked('abc1', 1)]), batchOf(2, [good])])
    expect(await shaped(bytes, 'hold')).toEqual([[0, nowMs - 50], 'parked'])
  })

  test("leaves a producer's own old time as it is", async () => {
    for (const policy of ['restamp', 'hold'] as const)
      expect(await shaped(batchOf(0, [ancient]), policy, false)).toEqual([[0, ancient.timestampMs]])
  })
})
