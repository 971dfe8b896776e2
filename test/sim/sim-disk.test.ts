import { describe, expect, it } from 'vitest'
import type { Disk } from '../../src/base/ports.ts'
import { disksKeepTheirPromises, failureOf, text, write } from '../node/disk-contract.ts'
import { simWorld } from './world.ts'

describe('the simulated disk', () => {
  disksKeepTheirPromises(async (body) => {
    for (const seed of [1, 2, 3]) {
      const world = simWorld(seed)
      const { disk } = world.host('edge').boot()
      await world.settle(disk.submit([{ kind: 'makeDirectory', path: '/data' }]))
      await body({ disk, root: '/data', settle: (promise) => world.settle(promise) })
    }
  })
})

/** What the files of a host read after a power cut, over many seeds. */
async function afterPowerCut(
  prepare: (disk: Disk, settle: <T>(promise: Promise<T>) => Promise<T>) => Promise<void>,
  path: string,
): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>()
  for (let seed = 1; seed <= 200; seed++) {
    const world = simWorld(seed)
    const host = world.host('edge')
    const { disk } = host.boot()
    await world.settle(disk.submit([{ kind: 'makeDirectory', path: '/data' }, syncDirectory('/')]))
    await prepare(disk, (promise) => world.settle(promise))
    host.powerCut()
    const content = host.fileNow(path)
    const outcome = content === null ? 'missing' : new TextDecoder().decode(content).replaceAll('\0', '.')
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  return outcomes
}

const syncDirectory = (path: string) => ({ kind: 'syncDirectory', path }) as const
const sync = (path: string) => ({ kind: 'sync', path }) as const

describe('a power cut', () => {
  it('keeps a file whose bytes and whose directory were synced', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('kept')), sync('/data/a'), syncDirectory('/data')]))
    }, '/data/a')
    expect([...outcomes.keys()]).toEqual(['kept'])
  })

  it('keeps what was written before a sync beside the queue, and may lose what was written meanwhile', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('one')), syncDirectory('/data')]))
      const beside = disk.syncAside(['/data/a'])
      await settle(disk.submit([write('/data/a', 3, text('two'))]))
      await settle(beside)
    }, '/data/a')
    expect([...outcomes.keys()].every((content) => content.startsWith('one'))).toBe(true)
    expect(outcomes.has('one')).toBe(true)
    expect(outcomes.has('onetwo')).toBe(true)
  })

  it('keeps what a sync of the queue has made durable while one beside it was under way', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('one')), syncDirectory('/data')]))
      const beside = disk.syncAside(['/data/a'])
      await settle(disk.submit([write('/data/a', 3, text('two')), sync('/data/a')]))
      await settle(beside)
    }, '/data/a')
    expect([...outcomes.keys()]).toEqual(['onetwo'])
  })

  it('keeps what the younger of two syncs beside the queue has covered, also where both have', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('one')), syncDirectory('/data')]))
      const older = disk.syncAside(['/data/a'])
      await settle(disk.submit([write('/data/a', 3, text('two'))]))
      const younger = disk.syncAside(['/data/a'])
      await settle(disk.submit([write('/data/a', 6, text('three'))]))
      await settle(Promise.all([older, younger]).then(() => {}))
    }, '/data/a')
    expect([...outcomes.keys()].every((content) => content.startsWith('onetwo'))).toBe(true)
  })

  it('may lose a new file whose directory was not synced, and nothing in between', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('kept')), sync('/data/a')]))
    }, '/data/a')
    expect([...outcomes.keys()].sort()).toEqual(['kept', 'missing'])
  })

  it('may tear unsynced bytes at 512, cut them, or leave zeros in their place', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('a'.repeat(1024))), sync('/data/a'), syncDirectory('/data')]))
      await settle(disk.submit([write('/data/a', 0, text('b'.repeat(2048)))]))
    }, '/data/a')
    const seen = [...outcomes.keys()]
    expect(seen).toContain('a'.repeat(1024))
    expect(seen).toContain('b'.repeat(2048))
    expect(seen.some((content) => /^(a{512}b{512}|b{512}a{512})/.test(content))).toBe(true)
    expect(seen.some((content) => content.includes('.'))).toBe(true)
    for (const content of seen) {
      for (let at = 0; at < content.length; at += 512) expect(content.slice(at, at + 512)).toMatch(/^(a+|b+|\.+)$/)
      expect(content.length).toBeGreaterThanOrEqual(1024)
    }
  })

  it('may bring back the tail that an unsynced truncation cut off', async () => {
    const outcomes = await afterPowerCut(async (disk, settle) => {
      await settle(disk.submit([write('/data/a', 0, text('a'.repeat(1024))), sync('/data/a'), syncDirectory('/data')]))
      await settle(disk.submit([{ kind: 'truncate', path: '/data/a', size: 512 }]))
      await settle(disk.submit([write('/data/a', 512, text('b'.repeat(512)))]))
    }, '/data/a')
    expect([...outcomes.keys()].sort()).toContain('a'.repeat(1024))
    expect([...outcomes.keys()].sort()).toContain('a'.repeat(512) + 'b'.repeat(512))
  })

  it('shows the old or the new content of a replaced file, and the new one after syncDirectory', async () => {
    const replace = async (disk: Disk, settle: <T>(promise: Promise<T>) => Promise<T>, last: boolean) => {
      const path = '/data/checkpoint'
      await settle(disk.submit([{ kind: 'writeFile', path, bytes: text('old') }, sync(path), syncDirectory('/data')]))
      await settle(
        disk.submit([
          { kind: 'writeFile', path: `${path}.tmp`, bytes: text('new') },
          sync(`${path}.tmp`),
          { kind: 'rename', from: `${path}.tmp`, to: path },
          ...(last ? [syncDirectory('/data')] : []),
        ]),
      )
    }
    const without = await afterPowerCut((disk, settle) => replace(disk, settle, false), '/data/checkpoint')
    expect([...without.keys()].sort()).toEqual(['new', 'old'])
    const having = await afterPowerCut((disk, settle) => replace(disk, settle, true), '/data/checkpoint')
    expect([...having.keys()]).toEqual(['new'])
  })

  it('shows a file moved between directories in one of them, never in both or none', async () => {
    for (let seed = 1; seed <= 100; seed++) {
      const world = simWorld(seed)
      const host = world.host('edge')
      const { disk } = host.boot()
      await world.settle(
        disk.submit([
          { kind: 'makeDirectory', path: '/a' },
          { kind: 'makeDirectory', path: '/b' },
          syncDirectory('/'),
          write('/a/x', 0, text('x')),
          sync('/a/x'),
          syncDirectory('/a'),
          { kind: 'rename', from: '/a/x', to: '/b/y' },
        ]),
      )
      host.powerCut()
      expect([host.fileNow('/a/x'), host.fileNow('/b/y')].filter((content) => content !== null).length).toBe(1)
    }
  })

  it('loses the pages that a failed sync called clean, although the next sync succeeds', async () => {
    let lost = 0
    for (let seed = 1; seed <= 50; seed++) {
      const world = simWorld(seed)
      const host = world.host('edge')
      const { disk } = host.boot()
      await world.settle(disk.submit([write('/a', 0, text('a'.repeat(600))), sync('/a'), syncDirectory('/')]))
      await world.settle(disk.submit([write('/a', 0, text('b'.repeat(600)))]))
      host.failDisk({ operation: 'sync', path: /a$/, code: 'EIO', times: 1 })
      expect(await world.settle(failureOf(disk.submit([sync('/a')])))).toMatchObject({ code: 'EIO', operation: 'sync' })
      await world.settle(disk.submit([sync('/a')]))
      expect(host.fileNow('/a')).toEqual(text('b'.repeat(600)))
      host.powerCut()
      if (Buffer.from(host.fileNow('/a') as Uint8Array).includes('a')) lost++
    }
    expect(lost).toBeGreaterThan(5)
  })
})

describe('a killed process', () => {
  it('leaves what the kernel had, a part of the running group, and nothing of the waiting ones', async () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 200; seed++) {
      const world = simWorld(seed)
      const host = world.host('edge')
      const { disk } = host.boot()
      await world.settle(disk.submit([write('/done', 0, text('done'))]))
      const dead = disk.submit([write('/a', 0, text('aaaa')), write('/b', 0, text('bbbb'))])
      dead.then(
        () => seen.add('settled'),
        () => seen.add('settled'),
      )
      disk.submit([write('/waiting', 0, text('w'))]).catch(() => {})
      await world.runFor(world.prng.real(0, 0.12))
      if (seen.has('settled')) {
        seen.delete('settled')
        continue
      }
      host.kill()
      host.boot()
      await world.runFor(100)
      expect(host.fileNow('/done')).toEqual(text('done'))
      expect(host.fileNow('/waiting')).toBe(null)
      seen.add(`${host.fileNow('/a')?.length ?? 'none'} ${host.fileNow('/b')?.length ?? 'none'}`)
    }
    expect(seen).not.toContain('settled')
    expect(seen).toContain('none none')
    expect(seen).toContain('4 none')
    expect([...seen].some((outcome) => outcome === '2 none' || outcome === '4 2')).toBe(true)
  })

  it('gives its locks back', async () => {
    const world = simWorld(7)
    const host = world.host('edge')
    expect(await world.settle(host.boot().disk.lock('/.lock'))).toMatchObject({ held: true })
    host.kill()
    expect(await world.settle(host.boot().disk.lock('/.lock'))).toMatchObject({ held: true })
  })
})

describe('faults', () => {
  it('hit the chosen operation as often as asked, with a part of the write done', async () => {
    const world = simWorld(11)
    const host = world.host('edge')
    const { disk } = host.boot()
    host.failDisk({ operation: 'write', path: /\.log$/, code: 'EIO', after: 1, times: 2 })
    const codes: (string | null)[] = []
    for (let i = 0; i < 4; i++) {
      const group = disk.submit([write('/other', 0, text('o')), write('/x.log', i * 4, text('1234'))])
      codes.push(
        await world.settle(
          group.then(
            () => null,
            (error: { code: string }) => error.code,
          ),
        ),
      )
    }
    expect(codes).toEqual([null, 'EIO', 'EIO', null])
  })

  it('a full disk takes what fits and answers ENOSPC until something is removed', async () => {
    const world = simWorld(12)
    const host = world.host('edge')
    const { disk } = host.boot()
    host.image.capacityBytes = 1000
    await world.settle(disk.submit([write('/a', 0, new Uint8Array(600))]))
    expect(await world.settle(failureOf(disk.submit([write('/b', 0, new Uint8Array(600))])))).toMatchObject({
      code: 'ENOSPC',
    })
    expect(await world.settle(disk.space('/'))).toEqual({ freeBytes: 0, totalBytes: 1000 })
    await world.settle(disk.submit([{ kind: 'unlink', path: '/a' }, write('/b', 0, new Uint8Array(600))]))
    expect(await world.settle(disk.space('/'))).toEqual({ freeBytes: 400, totalBytes: 1000 })
  })

  it('a read-only file system refuses every change and still reads', async () => {
    const world = simWorld(13)
    const host = world.host('edge')
    const { disk } = host.boot()
    await world.settle(disk.submit([write('/a', 0, text('a'))]))
    host.faults.readOnly = true
    expect(await world.settle(failureOf(disk.submit([write('/a', 0, text('b'))])))).toMatchObject({ code: 'EROFS' })
    expect(await world.settle(failureOf(disk.submit([{ kind: 'unlink', path: '/a' }])))).toMatchObject({
      code: 'EROFS',
    })
    expect(await world.settle(disk.read('/a', 0, 1))).toEqual(text('a'))
  })

  it('a stalled disk starts no group and still reads', async () => {
    const world = simWorld(14)
    const host = world.host('edge')
    const { disk } = host.boot()
    await world.settle(disk.submit([write('/a', 0, text('a'))]))
    host.stallDisk(5000)
    const writing = disk.submit([write('/a', 0, text('b'))])
    expect(await world.settle(disk.read('/a', 0, 1))).toEqual(text('a'))
    expect(world.nowMs).toBeLessThan(100)
    await world.settle(writing)
    expect(world.nowMs).toBeGreaterThan(5000)
  })

  it('a damaged byte stays damaged', async () => {
    const world = simWorld(15)
    const host = world.host('edge')
    const { disk } = host.boot()
    await world.settle(disk.submit([write('/a', 0, text('abc')), sync('/a'), syncDirectory('/')]))
    host.corrupt('/a', 1, 0x01)
    expect(await world.settle(disk.read('/a', 0, 3))).toEqual(text('acc'))
    host.powerCut()
    expect(host.fileNow('/a')).toEqual(text('acc'))
  })
})
