/** Files that this process may not write to, on a real file system. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { LogDirectory } from '../../src/log/log-directory.ts'
import { type NodePorts, nodePorts } from '../../src/node/node-ports.ts'
import { appendOne, batchOf, createSmall, done } from '../log/log-fixture.ts'

const isRoot = process.getuid?.() === 0

/** Root writes to anything but an immutable file. Answers whether it could be had. */
function setRefused(file: string, isRefused: boolean): boolean {
  if (isRoot) return spawnSync('chattr', [isRefused ? '+i' : '-i', file]).status === 0
  fs.chmodSync(file, isRefused ? 0o444 : 0o644)
  return true
}

let root = ''
let ports: NodePorts
const open = (): Promise<LogDirectory> => LogDirectory.open({ dataDir: `${root}/data`, nodeId: 1 }, ports)
const batch = (): Uint8Array => batchOf(['x'], { timestampMs: Date.now() })

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 15_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 10)))
    if (performance.now() > endMs) throw new Error(`${what}: not within 15 s`)
}

const probe = path.join(os.tmpdir(), `headwater-refused-${process.pid}`)
fs.writeFileSync(probe, '')
const canRefuse = setRefused(probe, true)
setRefused(probe, false)
fs.unlinkSync(probe)
if (!canRefuse) console.log('skipped: root, and no immutable files here')

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-refused-'))
  ports = nodePorts({ observer: silentObserver })
})

afterEach(async () => {
  await ports.close()
  fs.rmSync(root, { recursive: true })
})

test.skipIf(!canRefuse)('a start is refused that may not write to a segment, and not when it may again', async () => {
  const directory = await open()
  done(appendOne(directory, await createSmall(directory, 'a'), batch()))
  await directory.close()
  const file = `${root}/data/log/a-0/00000000000000000000.log`
  setRefused(file, true)
  await expect(open()).rejects.toMatchObject({ code: 'DATA_FILES_REFUSED', message: expect.stringContaining(file) })
  setRefused(file, false)
  const again = await open()
  expect(again.logs.get('a-0')?.logEndOffset).toBe(1)
  await again.close()
})

test.skipIf(!canRefuse)(
  'a segment that becomes immutable is waited for, and what was taken is in it afterwards',
  async () => {
    const directory = await open()
    const log = await createSmall(directory, 'a')
    const file = `${root}/data/log/a-0/00000000000000000000.log`
    setRefused(file, true)
    try {
      done(appendOne(directory, log, batch()))
      // A user who may not open it is refused; a descriptor that is open already goes on.
      await until('it is refused, or done', () => directory.space.refusal !== null || log.writtenEndOffset === 1)
      if (isRoot) expect(directory.space.refusal).toContain('EPERM')
    } finally {
      setRefused(file, false)
    }
    await until('it is written', () => log.writtenEndOffset === 1)
    await until('data is taken', () => directory.space.refusal === null)
    done(appendOne(directory, log, batch()))
    await until('more is written', () => log.writtenEndOffset === 2)
    await directory.close()
    expect(directory.failure).toBeNull()
    expect((await (await open()).close()) ?? null).toBeNull()
  },
)
