import { describe, expect, test } from 'vitest'
import type { Loss } from '../../src/log/retention.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, smallConfig } from './log-fixture.ts'

describe('retention by time', () => {
  test('gives up no segment of which it was not said, while DeleteRecords takes others', async () => {
    const expired = 300
    for (let delayMs = 0; delayMs < 10; delayMs++) {
      const world = simWorld(delayMs + 1)
      const host = world.host('edge')
      let ports = host.boot()
      let directory = await world.settle(openSmall(ports))
      const created = await world.settle(createSmall(directory, 'a', { segmentBytes: 2000 }))
      const nowMs = ports.clock.wallMs()
      for (let index = 0; index < expired * 2; index++) {
        const timestampMs = index < expired ? nowMs - 1_000_000 : nowMs
        done(appendOne(directory, created, batchOf(['x'.repeat(550)], { timestampMs })))
      }
      await world.run(() => created.durableEndOffset === created.logEndOffset)
      await world.settle(directory.close())
      host.kill()
      // Nothing is known of the times of the segments now: retention has to read, one after the other.
      ports = host.boot()
      directory = await world.settle(openSmall(ports))
      const log = directory.logs.get('a-0') as UnifiedLog
      log.updateConfig({ ...smallConfig, segmentBytes: 2000, retentionMs: 500_000 })
      log.highWatermark = log.durableEndOffset
      expect(log.segments.some(({ baseOffset }) => baseOffset === expired)).toBe(true)
      const pass = directory.retain()
      await world.runFor(delayMs / 2)
      await world.settle(Promise.all([log.deleteRecordsBefore(expired), pass]))
      expect(log.logStartOffset, `after ${delayMs}`).toBe(expired)
    }
  })
})

describe('the loss of the oldest segment', () => {
  test('is told once, and not while compaction puts another in its place', async () => {
    const world = simWorld(4)
    const host = world.host('edge')
    const space = { budgetBytes: 150_000, whenFull: 'drop-oldest' } as const
    const directory = await world.settle(openSmall(host.boot(), { space }))
    const log = await world.settle(createSmall(directory, 'a', { segmentBytes: 2000 }))
    const losses: Loss[] = []
    let release = (): void => {}
    directory.onLoss((loss) => {
      losses.push(loss)
      return Promise.resolve(true)
    })
    for (let index = 0; index < 9; index++) done(appendOne(directory, log, batchOf(['x'.repeat(550)])))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    log.highWatermark = log.durableEndOffset
    const [first] = log.segments
    if (first === undefined) throw new Error('no segment')
    first.replacement = new Promise((resolve) => {
      release = resolve
    })
    for (let index = 0; index < 400 && losses.length === 0; index++) {
      appendOne(directory, log, batchOf(['x'.repeat(550)]))
      await world.runFor(20)
      log.highWatermark = log.durableEndOffset
      if (directory.space.refusal !== null) break
    }
    await world.settle(directory.checkSpace())
    expect(losses).toEqual([])
    expect(host.observer.eventsOf('log-data-dropped')).toEqual([])
    first.replacement = null
    release()
    await world.settle(directory.checkSpace())
    expect(losses.length).toBeGreaterThan(0)
    expect(new Set(losses.map(({ startOffset }) => startOffset)).size).toBe(losses.length)
    expect(log.logStartOffset).toBe(losses.at(-1)?.endOffset)
  })
})
