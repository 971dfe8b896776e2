import { expect, test } from 'vitest'
import { KnownLines, parseKnownLogs } from '../../src/log/known-lines.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { Prng } from '../sim/prng.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall } from './log-fixture.ts'

const configs = [
  {},
  { retentionBytes: 9000 },
  { cleanupPolicy: new Set(['compact'] as const), minCleanableDirtyRatio: 0.01 },
  { segmentBytes: 1_000_000 },
]

function textOf(lines: KnownLines, logs: readonly UnifiedLog[]): string {
  lines.begin()
  // In pieces, as a checkpoint writes them.
  for (let at = 0; at < logs.length; at += 3) lines.write(logs.slice(at, at + 3))
  return Buffer.from(lines.seal()).toString('latin1')
}

test('a file whose unchanged lines are copied says what one says that is written from nothing', async () => {
  let producers = 0
  for (let seed = 1; seed <= 12; seed++) {
    const world = simWorld(seed)
    const prng = new Prng(seed)
    const directory = await world.settle(
      openSmall(world.host('edge').boot(), {
        unfiledIndexEntriesMax: 40,
        filesSyncedAlone: 1,
        retentionCheckIntervalMs: 1000,
      }),
    )
    const logs: UnifiedLog[] = []
    let made = 0
    const create = async (): Promise<void> => {
      logs.push(await world.settle(createSmall(directory, `t${made}`, configs[made++ % configs.length])))
    }
    while (logs.length < 8) await create()
    const lines = new KnownLines()
    for (let step = 0; step < 100; step++) {
      const log = prng.pick(logs)
      for (let count = Math.max(0, prng.below(20) - 8); count > 0; count--) {
        const fields = prng.below(3) === 0 ? { producerId: producers++, producerEpoch: 0, baseSequence: 0 } : {}
        const epoch = Math.max(0, log.latestLeaderEpoch) + (prng.below(20) === 0 ? 1 : 0)
        done(
          appendOne(
            directory,
            log,
            batchOf(['x'.repeat(prng.below(3000))], { ...fields, timestampMs: step * 10 }),
            epoch,
          ),
        )
      }
      for (const each of logs) each.highWatermark = each.durableEndOffset
      await world.runFor(prng.pick([0, 0, 30, 30, 5000, 20_000, 400_000]))
      if (prng.below(15) === 0) {
        await world.settle(directory.deleteLog(log))
        logs.splice(logs.indexOf(log), 1)
        await create()
      }
      const text = textOf(lines, logs)
      expect(text).toBe(textOf(new KnownLines(), logs))
      expect([...(parseKnownLogs(Buffer.from(text)) ?? [])].map(([key]) => key)).toEqual(logs.map(({ key }) => key))
    }
    await world.settle(directory.close())
  }
})
