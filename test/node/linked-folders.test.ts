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

/** Deletes the log. Answers whether its folder is gone. */
async function deleted(directory: LogDirectory): Promise<boolean> {
  await directory.deleteLog(await createSmall(directory, 'a', { fileDeleteDelayMs: 0 }))
  const isThere = (): boolean => fs.readdirSync(`${root}/data/log`).some((name) => name.startsWith('a-0'))
  for (const endMs = performance.now() + 10_000; isThere() && performance.now() < endMs; )
    await new Promise((resolve) => setTimeout(resolve, 10))
  return !isThere()
}

test('a deleted partition goes with its link', async () => {
  const { target } = await moved()
  const directory = await open()
  expect([await deleted(directory), fs.readdirSync(target)]).toEqual([true, []])
  await directory.close()
})

test('a deleted partition goes with the folders that were made in it, and a link there without what it names', async () => {
  const directory = await open()
  await createSmall(directory, 'a')
  const folder = `${root}/data/log/a-0`
  fs.mkdirSync(`${folder}/backup/older`, { recursive: true })
  fs.mkdirSync(`${root}/elsewhere`)
  for (const file of [`${folder}/backup/older/a`, `${folder}/backup/b`, `${root}/elsewhere/kept`])
    fs.writeFileSync(file, 'x')
  fs.symlinkSync(`${root}/elsewhere`, `${folder}/link`)
  fs.symlinkSync(`${root}/nowhere`, `${folder}/backup/dangling`)
  expect(await deleted(directory)).toBe(true)
  expect([fs.readdirSync(`${root}/elsewhere`), directory.failure]).toEqual([['kept'], null])
  await directory.close()
})
