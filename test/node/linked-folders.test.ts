/** Partitions that somebody has moved to another disk, a link in their place: on a real file system. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { type NodePorts, nodePorts } from '../../src/node/node-ports.ts'
import { appendOne, batchOf, createSmall, done, readAll } from '../log/log-fixture.ts'

let root = ''
let ports: NodePorts
const open = (): Promise<LogDirectory> => LogDirectory.open({ dataDir: `${root}/data`, nodeId: 1 }, ports)

/** A log with a record is moved away. Answers where it was and where it is. */
async function moved(): Promise<{ readonly folder: string; readonly target: string }> {
  const directory = await open()
  done(appendOne(directory, await createSmall(directory, 'a'), batchOf(['x'], { timestampMs: Date.now() })))
  await directory.close()
  const [folder, target] = [`${root}/data/log/a-0`, `${root}/elsewhere`]
  fs.renameSync(folder, target)
  fs.symlinkSync(target, folder)
  return { folder, target }
}

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-linked-'))
  ports = nodePorts({ observer: silentObserver })
})

afterEach(async () => {
  await ports.close()
  fs.rmSync(root, { recursive: true })
})

test('a partition behind a link keeps its records, and takes more', async () => {
  await moved()
  const directory = await open()
  const log = await createSmall(directory, 'a')
  expect(await readAll(log)).toHaveLength(1)
  expect(done(appendOne(directory, log, batchOf(['y'], { timestampMs: Date.now() }))).baseOffset).toBe(1)
  await directory.close()
  expect(directory.failure).toBeNull()
})

test('a deleted partition goes with its link', async () => {
  const { folder, target } = await moved()
  const directory = await open()
  await directory.deleteLog(await createSmall(directory, 'a', { fileDeleteDelayMs: 0 }))
  const isThere = (): boolean => fs.readdirSync(path.dirname(folder)).some((name) => name.startsWith('a-0'))
  for (const endMs = performance.now() + 10_000; isThere() && performance.now() < endMs; )
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect([isThere(), fs.readdirSync(target)]).toEqual([false, []])
  await directory.close()
})
