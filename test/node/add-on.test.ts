import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AddOn } from '../../src/node/add-on.ts'

/** A service manager's socket: prints each datagram and who the kernel says sent it. */
const serviceManager = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name.startswith('@') else name)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print('bound', flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, 256)
    pid = struct.unpack('3i', ancillary[0][2])[0]
    print(repr(data.decode()), pid, flush=True)
`
const hasPython = spawnSync('python3', ['-c', '']).status === 0
if (!hasPython) console.log('skipped: no python3 to play the service manager')
const hasSystemdNotify = spawnSync('systemd-notify', ['--version']).status === 0
if (!hasSystemdNotify) console.log('skipped: no systemd-notify for the fallback')

let root = ''
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-addon-'))
})
afterEach(() => {
  fs.rmSync(root, { recursive: true })
})

async function withServiceManager(name: string, body: (next: () => Promise<string>) => Promise<void>): Promise<void> {
  const manager = spawn('python3', ['-c', serviceManager, name], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: manager.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  try {
    expect(await next()).toBe('bound')
    await body(next)
  } finally {
    manager.kill()
    await once(manager, 'close')
  }
}

describe('the add-on', () => {
  it('is there for this machine', () => {
    expect(new AddOn().missingBecause).toBe(null)
    expect(new AddOn({ without: true }).missingBecause).toBe('switched off')
  })

  it('has large memory go back to the system the moment it is freed', () => {
    expect(new AddOn().returnLarge(1_048_576)).toBe(true)
    const give = (memory: ArrayBuffer): unknown => memory.transfer(0)
    const filled = (bytes: number): ArrayBuffer => new Uint8Array(bytes).fill(1).buffer
    // The C library takes the size of what is freed for one that it should keep.
    give(filled(30_000_000))
    const before = process.memoryUsage().rss
    const large: ArrayBuffer[] = []
    const between: ArrayBuffer[] = []
    for (let index = 0; index < 20; index++) {
      large.push(filled(10_000_000))
      between.push(filled(100_000))
    }
    for (const memory of large) give(memory)
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000)
    expect(between).toHaveLength(20)
    expect(new AddOn({ without: true }).returnLarge(1_048_576)).toBe(false)
  })

  it('copies all of the bytes to their place in shared memory and nothing else, and refuses what has no room there', () => {
    for (const addOn of [new AddOn(), new AddOn({ without: true })]) {
      for (const length of [0, 10, 1_023, 1_024, 16_384]) {
        const source = Buffer.from(Array.from({ length }, (_, index) => 1 + (index % 251)))
        const shared = new Uint8Array(new SharedArrayBuffer(20_000), 100)
        addOn.place(shared, 7, source)
        const expected = Buffer.alloc(shared.length)
        source.copy(expected, 7)
        expect(Buffer.compare(shared, expected)).toBe(0)
        expect(() => addOn.place(shared, shared.length - length + 1, source)).toThrow(RangeError)
        expect(Buffer.compare(shared, expected)).toBe(0)
      }
    }
  })

  it.skipIf(!hasPython)('tells the service manager, by path and by abstract name', async () => {
    for (const name of [`${root}/notify`, `@headwater-test-${process.pid}`]) {
      await withServiceManager(name, async (next) => {
        expect(new AddOn().sdNotify('READY=1\nSTATUS=serving', name)).toBe(true)
        expect(await next()).toBe(`'READY=1\\nSTATUS=serving' ${process.pid}`)
      })
    }
  })

  it.skipIf(!hasPython || !hasSystemdNotify)('without it systemd-notify tells the same', async () => {
    await withServiceManager(`${root}/notify`, async (next) => {
      expect(new AddOn({ without: true }).sdNotify('READY=1\nSTATUS=serving', `${root}/notify`)).toBe(true)
      expect(await next()).toContain('READY=1\\nSTATUS=serving')
    })
  })

  it('says false where there is no service manager', () => {
    const addOn = new AddOn()
    expect(addOn.sdNotify('READY=1', '')).toBe(false)
    expect(addOn.sdNotify('READY=1', `${root}/nobody`)).toBe(false)
    expect(addOn.sdNotify('READY=1', `/${'x'.repeat(200)}`)).toBe(false)
  })

  it('takes blocks for a file without changing its size', () => {
    const fd = fs.openSync(`${root}/file`, 'w+')
    const addOn = new AddOn()
    expect(addOn.preallocate(fd, 0, 1_000_000)).toBe(true)
    const facts = fs.fstatSync(fd)
    expect(facts.size).toBe(0)
    expect(facts.blocks * 512).toBeGreaterThanOrEqual(1_000_000)
    expect(addOn.preallocate(fd, 0, -1)).toBe(false)
    expect(new AddOn({ without: true }).preallocate(fd, 0, 10)).toBe(false)
    fs.closeSync(fd)
  })

  it('syncs a file system, and says where that cannot be had', async () => {
    const folder = fs.openSync(root, 'r')
    const unsupported = -os.constants.errno.EOPNOTSUPP
    expect(await new AddOn().syncFileSystem(folder)).toBe(flushesAsAWhole(root) ? 0 : unsupported)
    expect(await new AddOn().syncFileSystem(-1)).toBeLessThan(0)
    expect(await new AddOn({ without: true }).syncFileSystem(folder)).toBe(unsupported)
    fs.closeSync(folder)
  })

  it('a read that does not wait finds cached bytes, and nothing once they were dropped from the cache', () => {
    const fd = fs.openSync(`${root}/file`, 'w+')
    const content = Buffer.alloc(300_000, 'abc')
    fs.writeSync(fd, content)
    fs.fsyncSync(fd)
    const addOn = new AddOn()
    const bytes = Buffer.alloc(1000)
    expect(addOn.readNoWait(fd, bytes, 150_000)).toBe(1000)
    expect(Buffer.compare(bytes, content.subarray(0, 1000))).toBe(0)
    expect(addOn.readNoWait(fd, bytes, 299_990)).toBe(10)
    expect(addOn.readNoWait(fd, bytes, 300_000)).toBe(0)
    expect(addOn.readNoWait(-1, bytes, 0)).toBe(null)
    expect(addOn.dropFromCache(fd, 0, 0)).toBe(true)
    // A file system in memory keeps its bytes; every other one must say that it would have to wait.
    const found = addOn.readNoWait(fd, bytes, 150_000)
    expect(found === null || isInMemory(root)).toBe(true)
    expect(new AddOn({ without: true }).readNoWait(fd, bytes, 0)).toBe(null)
    expect(new AddOn({ without: true }).dropFromCache(fd, 0, 0)).toBe(false)
    fs.closeSync(fd)
  })
})

/** ext4, xfs, btrfs, f2fs. */
function flushesAsAWhole(folder: string): boolean {
  return new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010]).has(fs.statfsSync(folder).type)
}

function isInMemory(folder: string): boolean {
  const tmpfsMagic = 0x01021994
  return fs.statfsSync(folder).type === tmpfsMagic
}
