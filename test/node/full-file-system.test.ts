/** A real small file system, filled to the last byte by another program and emptied again, under a log directory. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { LogDirectory, type LogDirectoryOptions } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import { appendOne, batchOf, createSmall, readAll, smallConfig } from '../log/log-fixture.ts'

const fileSystemBytes = 64 * 2 ** 20

/** A tmpfs of its own; null where we may not mount. */
function mount(): string | null {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-full-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${fileSystemBytes}`, 'tmpfs', root])
  if (mounted.status === 0) return root
  fs.rmdirSync(root)
  return null
}

const root = process.getuid?.() === 0 ? mount() : null

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 15_000; performance.now() < endMs; ) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${what}: not within 15 s`)
}

/** Takes every byte that is left. */
function fillToTheBrim(file: string): void {
  const fd = fs.openSync(file, 'a')
  try {
    for (let bytes = 2 ** 20; bytes >= 1; ) {
      try {
        fs.writeSync(fd, Buffer.alloc(bytes))
      } catch {
        bytes = Math.floor(bytes / 2)
      }
    }
  } finally {
    fs.closeSync(fd)
  }
}

test.skipIf(root === null)(
  'a log directory on a file system without a free byte serves, refuses, starts again, and goes on',
  async () => {
    const place = root as string
    const ports = nodePorts({ observer: silentObserver })
    const options: LogDirectoryOptions = {
      dataDir: `${place}/data`,
      nodeId: 1,
      config: { ...smallConfig, segmentBytes: 1_000_000 },
      space: { ballastBytes: 4 * 2 ** 20 },
    }
    const append = (directory: LogDirectory, log: UnifiedLog): boolean =>
      appendOne(directory, log, batchOf(['x'.repeat(50_000)], { timestampMs: Date.now() })).kind === 'appended'
    try {
      let directory = await LogDirectory.open(options, ports)
      let log = await createSmall(directory, 'a', { segmentBytes: 1_000_000 })
      for (let batch = 0; batch < 60; batch++) append(directory, log)
      const ballast = `${place}/data/state/ballast`
      await until('the ballast', () => fs.statSync(ballast, { throwIfNoEntry: false })?.size === 4 * 2 ** 20)
      fillToTheBrim(`${place}/filler`)
      let taken = 60
      while (append(directory, log)) {
        taken++
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      // The ballast finishes what was taken.
      await until('the last commit', () => log.durableEndOffset === taken && log.writtenEndOffset === taken)
      expect(directory.failure).toBeNull()
      const served = log.durableEndOffset
      expect(await readAll(log)).toHaveLength(served)
      fillToTheBrim(`${place}/filler`)
      await directory.close()
      expect(directory.failure?.message ?? 'ENOSPC').toMatch(/ENOSPC|ECANCELED/)

      directory = await LogDirectory.open(options, ports)
      log = directory.logs.get('a-0') as UnifiedLog
      expect(log.logEndOffset).toBeGreaterThanOrEqual(served)
      expect(log.logEndOffset).toBeLessThanOrEqual(taken)
      expect(await readAll(log)).toHaveLength(log.logEndOffset)
      expect(append(directory, log)).toBe(false)
      expect(directory.space.refusal).not.toBeNull()
      fs.rmSync(`${place}/filler`)
      await until('room for data', () => directory.space.refusal === null && append(directory, log))
      await until('the commit', () => log.durableEndOffset === log.logEndOffset)
      await directory.close()
      expect(fs.existsSync(`${place}/data/log/.kafka_cleanshutdown`)).toBe(true)
    } finally {
      await ports.close()
      spawnSync('umount', ['-l', place])
      fs.rmdirSync(place)
    }
  },
)
