import { describe, expect, test } from 'vitest'
import type { DiskOperation, Ports } from '../../../src/base/ports.ts'
import { sealText } from '../../../src/log/checkpoint-file.ts'
import type { LogConfig } from '../../../src/log/log-config.ts'
import { logEvents } from '../../../src/log/log-events.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import type { SimHost } from '../../sim/host.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { batchSizeInBytes } from '../../../src/protocol/records/record-batch.ts'
import { createSmall, openSmall } from '../log-fixture.ts'
import { append, contentOf, eagerConfig, followHighWatermark, keyedBatch } from './compaction-fixture.ts'

interface Scene {
  readonly world: SimWorld
  readonly host: SimHost
  ports: Ports
  directory: LogDirectory
  log: UnifiedLog
}

const options = { tailCacheBytes: 0, compaction: { backoffMs: 1e11 } }
const folder = '/data/log/a-0'

/** A log of some segments, stopped. */
async function stopped(): Promise<Scene> {
  const world = simWorld(1)
  const host = world.host('edge')
  const ports = host.boot()
  const directory = await world.settle(openSmall(ports, options))
  const log = await world.settle(createSmall(directory, 'a', { ...eagerConfig }))
  followHighWatermark(log)
  for (let index = 0; index < 80; index++) {
    const batch = [{ key: `k${index % 5}`, value: `${index}`.padEnd(100, 'x'), timestampMs: ports.clock.wallMs() }]
    append(directory, log, await keyedBatch(batch, {}, ports.compute))
    await world.runFor(5)
  }
  await world.settle(directory.close())
  host.kill()
  return { world, host, ports, directory, log }
}

/** Apache Kafka has written since: its cleaner leaves segments of which nothing stays as empty files. */
async function emptied({ world, host }: Scene, bases: readonly number[]): Promise<void> {
  const { disk } = host.boot()
  const files: DiskOperation[] = bases.flatMap((base) =>
    ['log', 'index', 'timeindex'].map((kind): DiskOperation => {
      const path = `${folder}/${String(base).padStart(20, '0')}.${kind}`
      return { kind: 'writeFile', path, bytes: new Uint8Array(0) }
    }),
  )
  await world.settle(
    disk.submit([
      ...files,
      { kind: 'makeDirectory', path: '/data/log/__cluster_metadata-0' },
      {
        kind: 'writeFile',
        path: '/data/log/__cluster_metadata-0/quorum-state',
        bytes: Buffer.from('{"leaderEpoch":9}'),
      },
      { kind: 'writeFile', path: '/data/state/quorum-epoch', bytes: sealText(Buffer.from('3')) },
      { kind: 'writeFile', path: '/data/log/cleaner-offset-checkpoint', bytes: Buffer.from('0\n1\na 0 40\n') },
    ]),
  )
  host.kill()
}

async function reopened(scene: Scene, config: Partial<LogConfig> = {}): Promise<void> {
  scene.ports = scene.host.boot()
  scene.directory = await scene.world.settle(openSmall(scene.ports, options))
  scene.log = scene.directory.logs.get('a-0') as UnifiedLog
  scene.log.updateConfig({ ...eagerConfig, ...config })
  followHighWatermark(scene.log)
}

describe('a log with empty segments between others, as Apache Kafka leaves them', () => {
  test('is compacted', async () => {
    const at = await stopped()
    const bases = at.log.segments.map(({ baseOffset }) => baseOffset)
    await emptied(at, [bases[0] ?? 0, bases[2] ?? 0])
    await reopened(at, { segmentBytes: 8000 })
    const before = at.log.sizeInBytes
    await at.world.settle(at.directory.compactor.compact())
    expect(at.host.observer.eventsOf(logEvents.logCompacted.id)).toHaveLength(1)
    expect(at.log.sizeInBytes).toBeLessThan(before / 2)
    expect(at.log.segments.filter(({ sizeInBytes }) => sizeInBytes === 0)).toEqual([])
    const active = at.log.activeSegment.baseOffset
    const found = await at.world.settle(contentOf(at.log, at.ports.compute))
    expect(found.map((text) => Number(text.split(' ')[0]))).toEqual(
      Array.from({ length: 85 - active }, (_, index) => active - 5 + index),
    )
    await at.world.settle(at.directory.close())
  })

  test('is kept within its retention by time', async () => {
    const at = await stopped()
    const bases = at.log.segments.map(({ baseOffset }) => baseOffset)
    await emptied(at, [bases[0] ?? 0, bases[2] ?? 0])
    const retentionMs = 60_000
    await reopened(at, { cleanupPolicy: new Set(['compact', 'delete'] as const), retentionMs })
    await at.world.settle(at.directory.retain(at.ports.clock.wallMs() + 1_000_000))
    expect(at.log.logStartOffset).toBeGreaterThan(bases[2] ?? 0)
  })
})

describe('a log that Apache Kafka has compacted', () => {
  test('may have gaps where ours has never been, whatever our own copy of the cleaner offsets says', async () => {
    const at = await stopped()
    await reopened(at)
    const other = await at.world.settle(createSmall(at.directory, 'b', { ...eagerConfig }))
    followHighWatermark(other)
    for (let index = 0; index < 60; index++) {
      append(at.directory, other, await keyedBatch([{ key: 'k', value: 'x'.repeat(100) }], {}, at.ports.compute))
      await at.world.runFor(5)
    }
    at.log.updateConfig({ ...eagerConfig, cleanupPolicy: new Set(['delete'] as const) })
    await at.world.settle(at.directory.compactor.compact())
    expect(at.host.fileNow('/data/state/cleaner-offsets')).not.toBeNull()
    await at.world.settle(at.directory.close())
    const [, second] = at.log.segments
    const path = second?.logPath ?? ''
    const bytes = at.host.fileNow(path) ?? new Uint8Array(0)
    at.host.kill()
    await emptied(at, [])
    let last = 0
    for (let next = 0; next < bytes.length; next += batchSizeInBytes(bytes, next)) last = next
    const left = bytes.slice(0, last)
    await at.world.settle(at.host.boot().disk.submit([{ kind: 'writeFile', path, bytes: left }]))
    at.host.kill()
    await reopened(at, { cleanupPolicy: new Set(['delete'] as const) })
    const offsets = (await at.world.settle(contentOf(at.log, at.ports.compute))).map((text) =>
      Number(text.split(' ')[0]),
    )
    expect(offsets).toHaveLength(79)
    expect(at.log.damage.ranges).toEqual([])
  })
})
