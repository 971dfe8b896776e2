import { describe, expect, test } from 'vitest'
import type { Ports } from '../../../src/base/ports.ts'
import type { CompactionOptions } from '../../../src/log/compaction/compaction-options.ts'
import { logEvents } from '../../../src/log/log-events.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import type { SimHost } from '../../sim/host.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { createSmall, openSmall, topicIdOf } from '../log-fixture.ts'
import { append, contentOf, eagerConfig, followHighWatermark, keyedBatch } from './compaction-fixture.ts'

interface Scene {
  readonly world: SimWorld
  readonly host: SimHost
  readonly ports: Ports
  readonly directory: LogDirectory
  readonly log: UnifiedLog
}

/** A log of eighty records of so many keys, some fifteen a segment. */
async function scene(seed: number, keys: number, compaction: Partial<CompactionOptions> = {}): Promise<Scene> {
  const world = simWorld(seed)
  const host = world.host('edge')
  const ports = host.boot()
  const options = { tailCacheBytes: 0, compaction: { backoffMs: 1e11, ...compaction } }
  const directory = await world.settle(openSmall(ports, options))
  const log = await world.settle(createSmall(directory, 'a', { ...eagerConfig }))
  followHighWatermark(log)
  for (let index = 0; index < 80; index++) {
    const record = { key: `k${index % keys}`, value: `${index}`.padEnd(100, 'x'), timestampMs: ports.clock.wallMs() }
    append(directory, log, await keyedBatch([record], {}, ports.compute))
    await world.runFor(5)
  }
  return { world, host, ports, directory, log }
}

describe('a disk that fills during a pass', () => {
  // Its file, and one of its indexes.
  test.each([/\.log\.cleaned$/, /\.timeindex\.cleaned$/])(
    'has what the pass has written back, and everything else goes on: %s',
    async (path) => {
      const at = await scene(1, 5)
      const mend = at.host.failDisk({ operation: 'writeFile', path, code: 'ENOSPC', after: 1 })
      await at.world.settle(at.directory.compactor.compact())
      expect(at.host.observer.eventsOf(logEvents.compactionPostponed.id)).toHaveLength(1)
      const names = (await at.world.settle(at.ports.disk.list('/data/log/a-0'))).map(({ name }) => name)
      expect(names.filter((name) => name.endsWith('.cleaned'))).toEqual([])
      expect([at.directory.failure, at.directory.space.refusal]).toEqual([null, null])
      mend()
      await at.world.runFor(600_001)
      await at.world.settle(at.directory.compactor.compact())
      const texts = await at.world.settle(contentOf(at.log, at.ports.compute))
      expect(texts.length).toBeLessThan(30)
    },
  )
})

describe('a log that is deleted during a pass', () => {
  test('leaves nothing in the folder of the next one of its name', async () => {
    for (let delayMs = 0; delayMs < 200; delayMs += 4) {
      const at = await scene(2, 5, { bytesPerSecond: 200_000 })
      const pass = at.directory.compactor.compact()
      await at.world.runFor(delayMs)
      const gone = at.directory.deleteLog(at.log)
      const creation = { topic: 'a', partition: 0, topicId: topicIdOf('another'), config: eagerConfig }
      await at.world.settle(Promise.all([gone, at.directory.createLog(creation), pass]))
      await at.world.runFor(100)
      const names = (await at.world.settle(at.ports.disk.list('/data/log/a-0'))).map(({ name }) => name)
      expect(
        names.filter((name) => name.endsWith('.cleaned')),
        `after ${delayMs} ms`,
      ).toEqual([])
      expect(at.directory.failure).toBeNull()
    }
  })

  test('is not named in the cleaner offsets, whenever it goes', async () => {
    for (let delayMs = 0; delayMs < 200; delayMs += 4) {
      const at = await scene(3, 1000, { bytesPerSecond: 200_000 })
      const pass = at.directory.compactor.compact()
      await at.world.runFor(delayMs)
      await at.world.settle(at.directory.deleteLog(at.log))
      await at.world.settle(pass)
      await at.world.runFor(100)
      const named = Buffer.from(at.host.fileNow('/data/log/cleaner-offset-checkpoint') ?? []).toString()
      expect(named, `after ${delayMs} ms`).not.toContain('a 0 ')
      expect(at.directory.failure).toBeNull()
    }
  })
})
