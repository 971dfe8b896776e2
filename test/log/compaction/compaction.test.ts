import { describe, expect, test } from 'vitest'
import { simWorld } from '../../sim/world.ts'
import { createSmall, openSmall } from '../log-fixture.ts'
import { append, contentOf, eagerConfig, followHighWatermark, keyedBatch } from './compaction-fixture.ts'

describe('compaction of a log', () => {
  test('keeps the last record of each key, at its offset', async () => {
    const world = simWorld(1)
    const ports = world.host('edge').boot()
    const directory = await world.settle(openSmall(ports, { tailCacheBytes: 0 }))
    const log = await world.settle(createSmall(directory, 'a', eagerConfig))
    followHighWatermark(log)
    for (let index = 0; index < 60; index++) {
      const records = [{ key: `k${index % 5}`, value: `${index}`.padEnd(100, 'x') }]
      append(directory, log, await keyedBatch(records, {}, ports.compute))
      await world.runFor(5)
    }
    const before = log.sizeInBytes
    await world.settle(directory.compactor.compact())
    expect(log.sizeInBytes).toBeLessThan(before / 2)
    const active = log.activeSegment.baseOffset
    const offsets = (await world.settle(contentOf(log, ports.compute))).map((text) => Number(text.split(' ')[0]))
    expect(offsets).toEqual([
      ...Array.from({ length: 5 }, (_, index) => active - 5 + index),
      ...Array.from({ length: 60 - active }, (_, index) => active + index),
    ])
    await world.settle(directory.close())
  })
})
