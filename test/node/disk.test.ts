import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import type { DiskError, DiskOperation } from '../../src/base/ports.ts'
import { AddOn } from '../../src/node/add-on.ts'
import { NodeDisk, type NodeDiskOptions } from '../../src/node/disk.ts'
import { nodeMetrics } from '../../src/node/node-metrics.ts'
import { disksKeepTheirPromises, failureOf, text, write } from './disk-contract.ts'
import { testObserver } from './test-observer.ts'

/** ext4, xfs, btrfs, f2fs: those that the add-on flushes as a whole. */
const flushes = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010]).has(fs.statfsSync(os.tmpdir()).type)
if (!flushes) console.log('skipped: the temporary folder is on a file system that is not flushed as a whole')

type Body = (disk: NodeDisk, root: string) => Promise<void>

async function withDisk(options: Partial<NodeDiskOptions>, body: Body): Promise<void> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-disk-'))
  const disk = new NodeDisk({ observer: testObserver(), addOn: new AddOn(), dataDescriptorsMax: 64, ...options })
  try {
    await body(disk, root)
  } finally {
    await disk.close()
    fs.rmSync(root, { recursive: true })
  }
}

describe('the disk', () => {
  disksKeepTheirPromises((body) => withDisk({}, (disk, root) => body({ disk, root, settle: (promise) => promise })))
})

describe('the disk with the smallest of everything and no add-on', () => {
  disksKeepTheirPromises((body) =>
    withDisk({ addOn: new AddOn({ without: true }), dataDescriptorsMax: 8, ringBytes: 4096 }, (disk, root) =>
      body({ disk, root, settle: (promise) => promise }),
    ),
  )
})

/** Bytes that tell their place. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + seed) & 0xff
  return bytes
}

describe('many syncs in one group', () => {
  const paths = (root: string): string[] => Array.from({ length: 100 }, (_, index) => `${root}/${index}`)
  const syncsOf = async (options: Partial<NodeDiskOptions>): Promise<number> => {
    const observer = testObserver()
    await withDisk({ ...options, observer }, async (disk, root) => {
      await disk.submit(paths(root).map((file) => write(file, 0, text('x'))))
      await disk.submit(paths(root).map((file): DiskOperation => ({ kind: 'sync', path: file })))
    })
    return observer.figure(nodeMetrics.diskSyncs.name)
  }

  it.skipIf(!flushes)('are one flush of the file system', async () => {
    expect(await syncsOf({ dataDescriptorsMax: 256 })).toBe(1)
  })

  it('are as many where it cannot be flushed as a whole', async () => {
    expect(await syncsOf({ dataDescriptorsMax: 256, addOn: new AddOn({ without: true }) })).toBe(100)
  })
})

describe('a sync beside the queue', () => {
  const files = (root: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${root}/${index}`)
  const syncsOf = async (meanwhile: (disk: NodeDisk, root: string) => Promise<void>): Promise<number> => {
    const observer = testObserver()
    const addOn = new AddOn()
    // 128 descriptors are the writer's.
    await withDisk({ observer, addOn, dataDescriptorsMax: 170 }, async (disk, root) => {
      await disk.submit(files(root, 100).map((file) => write(file, 0, text('x'))))
      const flush = addOn.syncFileSystem.bind(addOn)
      addOn.syncFileSystem = async (fd) => {
        await meanwhile(disk, root)
        return flush(fd)
      }
      await disk.syncAside(files(root, 100))
      // Needs the places of 32 of them.
      await disk.submit(
        files(root, 160)
          .map((file) => write(`${file}-more`, 0, text('x')))
          .slice(100),
      )
    })
    return observer.figure(nodeMetrics.diskSyncs.name)
  }

  it.skipIf(!flushes)('is one flush, and its files have nothing unsynced then', async () => {
    expect(await syncsOf(() => Promise.resolve())).toBe(1)
  })

  it.skipIf(!flushes)('leaves unsynced what was written meanwhile', async () => {
    const writeAgain = (disk: NodeDisk, root: string): Promise<void> =>
      disk.submit(files(root, 100).map((file) => write(file, 1, text('y'))))
    expect(await syncsOf(writeAgain)).toBe(2)
  })

  /** How the sync ends, and which descriptors the flushes went through, when the first ones answer so. */
  const flushedWith = async (
    answers: readonly number[],
  ): Promise<{ through: number[]; end: string; syncs: number }> => {
    const observer = testObserver()
    const addOn = new AddOn()
    const through: number[] = []
    let end = ''
    await withDisk({ observer, addOn, dataDescriptorsMax: 170 }, async (disk, root) => {
      await disk.submit(files(root, 100).map((file) => write(file, 0, text('x'))))
      const flush = addOn.syncFileSystem.bind(addOn)
      addOn.syncFileSystem = (fd) => {
        through.push(fd)
        return Promise.resolve(answers[through.length - 1] ?? flush(fd))
      }
      end = await disk.syncAside(files(root, 100)).then(
        () => 'synced',
        (error: DiskError) => error.code,
      )
      // Needs the places of 32 of them: there is one flush more when they are not known to be synced.
      await disk.submit(
        files(root, 160)
          .map((file) => write(`${file}-more`, 0, text('x')))
          .slice(100),
      )
    })
    return { through, end, syncs: observer.figure(nodeMetrics.diskSyncs.name) }
  }

  it.skipIf(!flushes)('asks each file when the flush tells of an error, whose it is', async () => {
    const { through, end, syncs } = await flushedWith([-os.constants.errno.EIO])
    expect({ end, syncs }).toEqual({ end: 'synced', syncs: 1 })
    expect(new Set(through).size).toBe(2)
  })

  it.skipIf(!flushes)('fails when a second flush tells of an error too', async () => {
    const { EIO } = os.constants.errno
    expect(await flushedWith([-EIO, -EIO])).toMatchObject({ end: 'EIO', syncs: 1 })
  })

  it('syncs the files in the queue where the file system cannot be flushed as a whole', async () => {
    const observer = testObserver()
    await withDisk({ observer, addOn: new AddOn({ without: true }), dataDescriptorsMax: 256 }, async (disk, root) => {
      await disk.submit(files(root, 100).map((file) => write(file, 0, text('x'))))
      await disk.syncAside(files(root, 100))
    })
    expect(observer.figure(nodeMetrics.diskSyncs.name)).toBe(100)
  })
})

describe('the ring to the writer', () => {
  it('carries writes larger than itself and more groups than it holds, in order', async () => {
    await withDisk({ ringBytes: 64 * 1024 }, async (disk, root) => {
      const file = `${root}/a`
      const order: number[] = []
      const expected = Buffer.alloc(3_000_000)
      let position = 0
      const groups = [1_000_000, 10, 65_536, 65_537, 1, 0, 700_000, 131_072, 33].map((length, i) => {
        const bytes = pattern(length, i)
        expected.set(bytes, position)
        const third = Math.floor(length / 3)
        const group = disk.submit([
          write(file, position, bytes.subarray(0, third), bytes.subarray(third)),
          ...(i === 3 ? ([{ kind: 'sync', path: file }] as const) : []),
        ])
        position += length
        return group.then(() => order.push(i))
      })
      await Promise.all(groups)
      expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
      expect(Buffer.compare(fs.readFileSync(file), expected.subarray(0, position))).toBe(0)
    })
  })

  it('carries a random mix through its wrap-around', async () => {
    await withDisk({ ringBytes: 4096 }, async (disk, root) => {
      const contents = [Buffer.alloc(200_000), Buffer.alloc(200_000)]
      const ends = [0, 0]
      const groups: Promise<void>[] = []
      let seed = 1
      const next = (bound: number): number => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
        return (seed >>> 8) % bound
      }
      for (let round = 0; round < 300; round++) {
        const operations: DiskOperation[] = []
        for (let i = next(4); i >= 0; i--) {
          const file = next(2)
          const bytes = pattern(next(3) === 0 ? next(6000) : next(300), round)
          const position = Math.min(next(2) === 0 ? (ends[file] as number) : next((ends[file] as number) + 1), 190_000)
          contents[file]?.set(bytes, position)
          ends[file] = Math.max(ends[file] as number, position + bytes.length)
          const cut = next(bytes.length + 1)
          operations.push(write(`${root}/${file}`, position, bytes.subarray(0, cut), bytes.subarray(cut)))
        }
        groups.push(disk.submit(operations))
        if (next(10) === 0) await groups.at(-1)
      }
      await Promise.all(groups)
      for (const file of [0, 1]) {
        const content = fs.readFileSync(`${root}/${file}`)
        expect(Buffer.compare(content, (contents[file] as Buffer).subarray(0, ends[file]))).toBe(0)
      }
    })
  })

  it('passes over the rest of a large group that failed, and over nothing else', async () => {
    await withDisk({ ringBytes: 4096 }, async (disk, root) => {
      const broken = disk.submit([
        write(`${root}/none/x`, 0, pattern(50_000, 1)),
        write(`${root}/after`, 0, pattern(50_000, 2)),
      ])
      const good = disk.submit([write(`${root}/good`, 0, pattern(50_000, 3))])
      expect(await failureOf(broken)).toMatchObject({ code: 'ENOENT', operation: 'write', path: `${root}/none/x` })
      await good
      expect(fs.existsSync(`${root}/after`)).toBe(false)
      expect(Buffer.compare(fs.readFileSync(`${root}/good`), pattern(50_000, 3))).toBe(0)
    })
  })
})

/** Takes a lease on a file: whoever opens it waits until the lease is given back, as for a device that does not answer. */
const leaseHolder = `
import fcntl, os, signal, sys
# Waited for, not handled: Python runs a handler between two steps only, and one that comes just before a read waits with it.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
signal.sigwait([signal.SIGIO])
print('asked', flush=True)
sys.stdin.readline()
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
`
const hasPython = spawnSync('python3', ['-c', 'import fcntl; fcntl.F_SETLEASE']).status === 0
if (!hasPython) console.log('skipped: no python3 that can hold a file lease')

describe('a stalled writer', () => {
  it.skipIf(!hasPython)('stops neither reads nor the loop, and goes on when the device does', async () => {
    await withDisk({}, async (disk, root) => {
      await disk.submit([write(`${root}/read`, 0, text('readable'))])
      const holder = spawn('python3', ['-c', leaseHolder, `${root}/slow`], { stdio: ['pipe', 'pipe', 'inherit'] })
      // It may be gone before the last write is told: whoever asks only then waits for ever.
      const closed = once(holder, 'close')
      const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]()
      expect((await lines.next()).value).toBe('leased')
      let isDone = false
      const stalled = disk.submit([write(`${root}/slow`, 0, text('x'))])
      const behind = disk.submit([write(`${root}/behind`, 0, text('y'))]).then(() => {
        isDone = true
      })
      expect((await lines.next()).value).toBe('asked')
      for (let round = 0; round < 100; round++) expect(string(await disk.read(`${root}/read`, 0, 8))).toBe('readable')
      expect(await disk.size(`${root}/behind`)).toBe(null)
      expect(isDone).toBe(false)
      expect(disk.stalledMs()).toBeGreaterThan(0)
      holder.stdin.end('\n')
      await Promise.all([stalled, behind])
      expect(string(await disk.read(`${root}/slow`, 0, 1))).toBe('x')
      await closed
    })
  })
})

describe('descriptors', () => {
  it('stay within their bound on both sides, with more dirty files than places', async () => {
    await withDisk({ dataDescriptorsMax: 16 }, async (disk, root) => {
      const files = Array.from({ length: 100 }, (_, i) => `${root}/${i}`)
      await disk.submit(files.map((file, i) => write(file, 0, text(`first ${i};`))))
      await disk.submit(files.map((file, i) => write(file, text(`first ${i};`).length, text(`second ${i}`))))
      await disk.submit(files.map((file) => ({ kind: 'sync', path: file })))
      const contents = await Promise.all(files.map((file) => disk.read(file, 0, 100)))
      expect(contents.map(string)).toEqual(files.map((_, i) => `first ${i};second ${i}`))
      const open = fs.readdirSync('/proc/self/fd').filter((fd) => isBelow(fd, root))
      expect(open.length).toBeLessThanOrEqual(16)
    })
  })

  it('of files that are gone are closed on both sides', async () => {
    await withDisk({}, async (disk, root) => {
      await disk.submit([write(`${root}/a`, 0, text('a')), write(`${root}/b`, 0, text('b'))])
      await disk.read(`${root}/a`, 0, 1)
      await disk.read(`${root}/b`, 0, 1)
      await disk.submit([{ kind: 'makeDirectory', path: `${root}/d` }, write(`${root}/d/x`, 0, text('x'))])
      await disk.submit([
        { kind: 'unlink', path: `${root}/a` },
        { kind: 'rename', from: `${root}/b`, to: `${root}/c` },
        { kind: 'rename', from: `${root}/d`, to: `${root}/e` },
        { kind: 'unlink', path: `${root}/e/x` },
      ])
      await eventually(() => {
        const open = fs.readdirSync('/proc/self/fd').map((fd) => linkOf(fd))
        return !open.some((target) => target.startsWith(root) && target.includes('deleted'))
      })
      disk.forget(`${root}/c`)
      await disk.submit([])
      expect(string(await disk.read(`${root}/c`, 0, 1))).toBe('b')
    })
  })

  it('suffice for 1,000 partitions of 20 segments under a hard limit of 1,024', async () => {
    const script = fileURLToPath(new URL('./many-files.ts', import.meta.url))
    const child = spawn('prlimit', ['--nofile=1024:1024', process.execPath, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    expect(await outputOf(child)).toEqual({ code: 0, output: 'kept 20000 files, at most 512 descriptors: true\n' })
  })
})

describe('a copy from a file that is not open', () => {
  const copies = async (disk: NodeDisk, root: string): Promise<void> => {
    const [from, path] = [`${root}/from`, `${root}/0`]
    await disk.submit([
      { kind: 'copy', from, pieces: [0, 4], path, position: 4 },
      { kind: 'sync', path },
    ])
    expect([fs.readFileSync(path, 'utf8'), fs.readFileSync(from, 'utf8')]).toEqual(['old0abcd', 'abcdefgh'])
  }

  it('keeps the two apart, though all descriptors are in use and the oldest is that of the target', async () => {
    // Among these counts is the one that leaves no room for one more.
    for (let files = 40; files < 72; files++) {
      await withDisk({ dataDescriptorsMax: 64 }, async (disk, root) => {
        await disk.submit([write(`${root}/0`, 0, text('old0')), write(`${root}/from`, 0, text('abcdefgh'))])
        await disk.submit([{ kind: 'sync', path: `${root}/from` }])
        for (let file = 1; file < files; file++) await disk.submit([write(`${root}/${file}`, 0, text('x'))])
        await copies(disk, root)
      })
    }
  })

  it('keeps the two apart, though their numbers begin anew between them', async () => {
    await withDisk({}, async (disk, root) => {
      fs.writeFileSync(`${root}/from`, 'abcdefgh')
      const files = Array.from({ length: 4096 }, (_, file) => write(`${root}/${file}`, 0, text(`old${file}`)))
      await disk.submit(files)
      await copies(disk, root)
    })
  })
})

describe('a device that is full', () => {
  it.skipIf(!fs.existsSync('/dev/full'))('is told as ENOSPC, and the next group is tried', async () => {
    await withDisk({}, async (disk, root) => {
      const full = disk.submit([write('/dev/full', 0, text('x')), write(`${root}/after`, 0, text('x'))])
      expect(await failureOf(full)).toMatchObject({ code: 'ENOSPC', operation: 'write', path: '/dev/full' })
      await disk.submit([write(`${root}/next`, 0, text('x'))])
      expect(fs.readdirSync(root)).toEqual(['next'])
    })
  })
})

describe('blocks that are reserved', () => {
  it('are taken without a change of the size, and given back by a truncation to the same size', async () => {
    await withDisk({}, async (disk, root) => {
      const file = `${root}/a`
      await disk.submit([write(file, 0, text('abc'))])
      const code = await disk.submit([{ kind: 'reserve', path: file, size: 1_000_000 }]).then(
        () => null,
        (error: DiskError) => error.code,
      )
      if (code === 'EOPNOTSUPP') return console.log('skipped: the temporary folder cannot reserve blocks')
      expect(code).toBeNull()
      const facts = fs.statSync(file)
      expect([facts.size, facts.blocks * 512 >= 1_000_000]).toEqual([3, true])
      await disk.submit([{ kind: 'truncate', path: file, size: 3 }])
      expect([fs.statSync(file).size, fs.statSync(file).blocks * 512 < 100_000]).toEqual([3, true])
      expect(await failureOf(disk.submit([{ kind: 'reserve', path: `${root}/none`, size: 9 }]))).toMatchObject({
        code: 'ENOENT',
      })
      expect(fs.existsSync(`${root}/none`)).toBe(false)
    })
  })

  it('cannot be had without the add-on, and that is told', async () => {
    await withDisk({ addOn: new AddOn({ without: true }) }, async (disk, root) => {
      await disk.submit([write(`${root}/a`, 0, text('abc'))])
      const reserve: DiskOperation = { kind: 'reserve', path: `${root}/a`, size: 1000 }
      expect(await failureOf(disk.submit([reserve]))).toMatchObject({ code: 'EOPNOTSUPP', operation: 'reserve' })
    })
  })
})

describe('the writer thread', () => {
  it('when it is lost, every group rejects, now and later, and the process is told', async () => {
    const lost: Error[] = []
    const observer = testObserver()
    let thread: Worker | undefined
    process.once('worker', (worker) => {
      thread = worker
    })
    await withDisk({ observer, onWriterLost: (error) => lost.push(error) }, async (disk, root) => {
      await disk.submit([write(`${root}/a`, 0, text('a'))])
      await thread?.terminate()
      const pending = [disk.submit([write(`${root}/a`, 0, text('b'))]), disk.submit([])].map(failureOf)
      expect((await Promise.all(pending)).map((error) => error.code)).toEqual(['WRITER_LOST', 'WRITER_LOST'])
      expect(lost.length).toBe(1)
      expect(observer.eventsOf('writer-thread-lost').length).toBe(1)
      expect(string(await disk.read(`${root}/a`, 0, 1))).toBe('a')
    })
  })

  it('ends with the disk, after the groups that were submitted', async () => {
    let file = ''
    await withDisk({}, async (disk, root) => {
      file = `${root}/last`
      const last = disk.submit([write(file, 0, text('last'))])
      await disk.close()
      expect(fs.readFileSync(file, 'utf8')).toBe('last')
      await last
      expect(await failureOf(disk.submit([]))).toMatchObject({ code: 'WRITER_LOST' })
    })
  })
})

describe('hot reads', () => {
  it('answer cached bytes at once with the add-on, and null without it', async () => {
    for (const without of [false, true]) {
      await withDisk({ addOn: new AddOn({ without }) }, async (disk, root) => {
        const file = `${root}/hot`
        await disk.submit([write(file, 0, pattern(100_000, 5))])
        expect(disk.readHot(file, 0, 10)).toBe(null)
        await disk.read(file, 0, 1)
        const hot = disk.readHot(file, 1000, 90_000)
        if (without) expect(hot).toBe(null)
        else expect(Buffer.compare(hot as Uint8Array, pattern(100_000, 5).subarray(1000, 91_000))).toBe(0)
      })
    }
  })
})

describe('figures', () => {
  it('tell groups, syncs and failures', async () => {
    const observer = testObserver()
    await withDisk({ observer }, async (disk, root) => {
      await disk.submit([write(`${root}/a`, 0, text('a')), { kind: 'sync', path: `${root}/a` }])
      await failureOf(disk.submit([{ kind: 'sync', path: `${root}/none` }]))
      expect(observer.figure('headwater_disk_group_seconds')).toBe(2)
      expect(observer.figure('headwater_disk_syncs_total')).toBe(1)
      expect(observer.figure('headwater_disk_groups_failed_total', { code: 'ENOENT' })).toBe(1)
      expect(disk.stalledMs()).toBe(0)
    })
  })
})

function string(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function linkOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

function isBelow(fd: string, root: string): boolean {
  return linkOf(fd).startsWith(root)
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen within ten seconds')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function outputOf(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = ''
  child.stdout?.on('data', (bytes) => {
    output += bytes
  })
  child.stderr?.on('data', (bytes) => {
    output += bytes
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })))
}
