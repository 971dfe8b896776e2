/** What every Disk promises: one suite that the real disk and the simulated one both run. */
import { expect, it } from 'vitest'
import { type Disk, DiskError, type DiskOperation } from '../../src/base/ports.ts'
import { Prng } from '../sim/prng.ts'

/** A fresh disk with an empty directory; `settle` answers the promise, driving the world where that is needed. */
export interface DiskBench {
  readonly disk: Disk
  readonly root: string
  readonly settle: <T>(promise: Promise<T>) => Promise<T>
}

export function disksKeepTheirPromises(withBench: (body: (bench: DiskBench) => Promise<void>) => Promise<void>): void {
  const promise = (name: string, body: (bench: DiskBench) => Promise<void>): void => {
    it(name, () => withBench(body))
  }

  promise('reads see what a completed group wrote, across its chunks', async ({ disk, root, settle }) => {
    const path = `${root}/a.log`
    await settle(disk.submit([write(path, 0, text('hello '), text('world')), { kind: 'sync', path }]))
    expect(string(await settle(disk.read(path, 0, 100)))).toBe('hello world')
    expect(string(await settle(disk.read(path, 6, 3)))).toBe('wor')
    expect((await settle(disk.read(path, 11, 5))).length).toBe(0)
    expect(await settle(disk.size(path))).toBe(11)
  })

  promise('a read into given memory answers a part of it', async ({ disk, root, settle }) => {
    const path = `${root}/into.log`
    await settle(disk.submit([write(path, 0, text('hello world'))]))
    const memory = new Uint8Array(8)
    const found = await settle(disk.read(path, 6, 7, memory))
    expect(string(found)).toBe('world')
    expect(found.buffer).toBe(memory.buffer)
    expect(string(memory)).toBe('world\0\0\0')
  })

  promise('a sync beside the queue passes over files that are gone', async ({ disk, root, settle }) => {
    const paths = Array.from({ length: 100 }, (_, index) => `${root}/${index}`)
    await settle(disk.submit(paths.map((path) => write(path, 0, text('one')))))
    await settle(disk.submit([{ kind: 'unlink', path: `${root}/7` }]))
    const beside = disk.syncAside([...paths, `${root}/none/at-all`])
    await settle(disk.submit([{ kind: 'unlink', path: `${root}/8` }, write(`${root}/9`, 3, text('two'))]))
    await settle(beside)
    expect(string(await settle(disk.read(`${root}/9`, 0, 9)))).toBe('onetwo')
    await settle(disk.syncAside([]))
  })

  promise('a write beyond the end leaves zeros between', async ({ disk, root, settle }) => {
    const path = `${root}/gap`
    await settle(disk.submit([write(path, 3, text('x'))]))
    expect(await settle(disk.read(path, 0, 10))).toEqual(bytes([0, 0, 0, 0x78]))
  })

  promise(
    'a copy takes pieces of another file as the operations before it have left that',
    async ({ disk, root, settle }) => {
      const [from, path] = [`${root}/from`, `${root}/to`]
      const copy: DiskOperation = { kind: 'copy', from, pieces: [6, 5, 0, 5, 5, 1], path, position: 2 }
      await settle(disk.submit([write(from, 0, text('hello '), text('earth')), write(from, 6, text('world')), copy]))
      expect(string(await settle(disk.read(path, 0, 99)))).toBe('\0\0worldhello ')
      await settle(disk.submit([write(from, 0, text('HELLO')), { kind: 'sync', path }]))
      expect(string(await settle(disk.read(path, 0, 99)))).toBe('\0\0worldhello ')
    },
  )

  promise(
    'a copy of many megabytes in pieces of any length has every byte in its place',
    async ({ disk, root, settle }) => {
      const [from, path] = [`${root}/from`, `${root}/to`]
      const source = new Uint8Array(3_000_000)
      for (let index = 0; index < source.length; index++) source[index] = (index * 31 + (index >> 8) * 7) & 0xff
      const pieces: number[] = []
      const expected: Uint8Array[] = []
      for (
        let position = 0, length = 1;
        position + length <= source.length;
        position += length, length = length * 5 + 3
      ) {
        pieces.push(position, length)
        expected.push(source.subarray(position, position + length))
      }
      pieces.push(0, source.length)
      expected.push(source)
      await settle(disk.submit([write(from, 0, source), { kind: 'copy', from, pieces, path, position: 0 }]))
      const copied = await settle(disk.read(path, 0, 9_000_000))
      expect(Buffer.compare(copied, Buffer.concat(expected))).toBe(0)
    },
  )

  promise('a copy of more than a file has, or of none, fails', async ({ disk, root, settle }) => {
    const [from, path] = [`${root}/from`, `${root}/to`]
    await settle(disk.submit([write(from, 0, text('short'))]))
    const tooMuch = disk.submit([{ kind: 'copy', from, pieces: [0, 2, 3, 3], path, position: 0 }])
    expect(await settle(failureOf(tooMuch))).toMatchObject({ code: 'EIO', operation: 'copy', path, index: 0 })
    const next = disk.submit([write(`${root}/next`, 0, text('n')), { kind: 'sync', path: `${root}/next` }])
    await settle(next)
    const ofNone = disk.submit([{ kind: 'copy', from: `${root}/none`, pieces: [0, 1], path, position: 0 }])
    expect(await settle(failureOf(ofNone))).toMatchObject({ code: 'ENOENT', operation: 'copy', path })
  })

  promise('groups run in the order of their submission', async ({ disk, root, settle }) => {
    const path = `${root}/order`
    const order: number[] = []
    const groups = Array.from({ length: 50 }, (_, i) =>
      disk.submit([write(path, i % 2, text(String(i % 10)))]).then(() => order.push(i)),
    )
    await settle(Promise.all(groups))
    expect(order).toEqual(groups.map((_, i) => i))
    expect(string(await settle(disk.read(path, 0, 9)))).toBe('89')
  })

  promise('an empty group completes after those before it', async ({ disk, root, settle }) => {
    const path = `${root}/first`
    let written = false
    const first = disk.submit([write(path, 0, text('1'))]).then(() => {
      written = true
    })
    await settle(disk.submit([]))
    expect(written).toBe(true)
    await settle(first)
  })

  promise('a group stops at its first failure and names it; the next group runs', async ({ disk, root, settle }) => {
    const broken = disk.submit([
      write(`${root}/before`, 0, text('b')),
      write(`${root}/missing/file`, 0, text('x')),
      write(`${root}/after`, 0, text('a')),
    ])
    const next = disk.submit([write(`${root}/next`, 0, text('n'))])
    const error = await settle(failureOf(broken))
    expect(error).toMatchObject({ code: 'ENOENT', operation: 'write', path: `${root}/missing/file` })
    await settle(next)
    expect(await settle(disk.size(`${root}/before`))).toBe(1)
    expect(await settle(disk.size(`${root}/after`))).toBe(null)
    expect(await settle(disk.size(`${root}/next`))).toBe(1)
  })

  promise('a group that needs the one before it does not run when that has failed', async ({ disk, root, settle }) => {
    const one = (name: string): readonly DiskOperation[] => [write(`${root}/${name}`, 0, text('1'))]
    const broken = failureOf(disk.submit(one('missing/file')))
    const dependent = failureOf(disk.submit(one('dependent'), { needsPrevious: true }))
    const empty = failureOf(disk.submit([], { needsPrevious: true }))
    const further = failureOf(disk.submit(one('further'), { needsPrevious: true }))
    await settle(disk.submit(one('next')))
    await settle(disk.submit(one('behind'), { needsPrevious: true }))
    expect(await settle(broken)).toMatchObject({ code: 'ENOENT' })
    expect(await settle(dependent)).toMatchObject({ code: 'ECANCELED', path: `${root}/dependent` })
    expect(await settle(empty)).toMatchObject({ code: 'ECANCELED' })
    expect(await settle(further)).toMatchObject({ code: 'ECANCELED' })
    const sizes = ['dependent', 'further', 'next', 'behind'].map((name) => disk.size(`${root}/${name}`))
    expect(await settle(Promise.all(sizes))).toEqual([null, null, 1, 1])
  })

  promise('many syncs in one group end at the file that is not there, and pass where all are', async (bench) => {
    const { disk, root, settle } = bench
    const paths = Array.from({ length: 200 }, (_, index) => `${root}/many-${index}`)
    await settle(disk.submit(paths.map((path) => write(path, 0, text(path)))))
    const syncs = paths.map((path): DiskOperation => ({ kind: 'sync', path }))
    await settle(disk.submit([...syncs, { kind: 'syncDirectory', path: root }]))
    await settle(disk.submit([{ kind: 'unlink', path: paths[120] as string }]))
    const broken = disk.submit(syncs)
    const failure = await settle(failureOf(broken))
    expect(failure).toMatchObject({ code: 'ENOENT', operation: 'sync', path: paths[120], index: 120 })
    const missing: DiskOperation = { kind: 'syncDirectory', path: `${root}/missing` }
    const other = await settle(failureOf(disk.submit([...syncs.slice(0, 100), missing])))
    expect(other).toMatchObject({ code: 'ENOENT', operation: 'syncDirectory', index: 100 })
  })

  promise('writeFile replaces the whole content', async ({ disk, root, settle }) => {
    const path = `${root}/file`
    await settle(disk.submit([{ kind: 'writeFile', path, bytes: text('a long content') }]))
    await settle(disk.submit([{ kind: 'writeFile', path, bytes: text('short') }]))
    expect(string((await settle(disk.readFile(path, 100))) as Uint8Array)).toBe('short')
    await settle(disk.submit([{ kind: 'writeFile', path, bytes: text('') }]))
    expect(await settle(disk.size(path))).toBe(0)
  })

  promise('readFile answers null for a missing file and refuses a large one', async ({ disk, root, settle }) => {
    const path = `${root}/file`
    expect(await settle(disk.readFile(path, 10))).toBe(null)
    await settle(disk.submit([{ kind: 'writeFile', path, bytes: text('12345678901') }]))
    expect(await settle(failureOf(disk.readFile(path, 10)))).toMatchObject({ code: 'EFBIG', path })
    expect((await settle(disk.readFile(path, 11)))?.length).toBe(11)
  })

  promise('truncate cuts, and what is written later has no old bytes before it', async ({ disk, root, settle }) => {
    const path = `${root}/cut`
    await settle(disk.submit([write(path, 0, text('0123456789'))]))
    await settle(disk.submit([{ kind: 'truncate', path, size: 4 }, write(path, 6, text('X'))]))
    expect(await settle(disk.read(path, 0, 20))).toEqual(bytes([0x30, 0x31, 0x32, 0x33, 0, 0, 0x58]))
  })

  namesKeepTheirPromises(promise)
}

/** What is promised of renamed, removed and listed names, of space and of locks. */
function namesKeepTheirPromises(promise: (name: string, body: (bench: DiskBench) => Promise<void>) => void): void {
  promise('a renamed file is read under its new name, also by whoever read it before', async (bench) => {
    const { disk, root, settle } = bench
    const [from, to] = [`${root}/from`, `${root}/to`]
    await settle(disk.submit([write(from, 0, text('new')), write(to, 0, text('replaced'))]))
    expect(string(await settle(disk.read(to, 0, 10)))).toBe('replaced')
    expect(string(await settle(disk.read(from, 0, 10)))).toBe('new')
    await settle(disk.submit([write(from, 3, text('er')), { kind: 'rename', from, to }, { kind: 'sync', path: to }]))
    expect(string(await settle(disk.read(to, 0, 10)))).toBe('newer')
    expect(await settle(failureOf(disk.read(from, 0, 1)))).toMatchObject({ code: 'ENOENT', operation: 'read' })
    await settle(disk.submit([write(to, 0, text('N')), write(from, 0, text('second'))]))
    expect(string(await settle(disk.read(to, 0, 10)))).toBe('Newer')
    expect(string(await settle(disk.read(from, 0, 10)))).toBe('second')
  })

  promise('a renamed directory takes its files along', async ({ disk, root, settle }) => {
    const [from, to] = [`${root}/t-0`, `${root}/t-0.gone-delete`]
    await settle(disk.submit([{ kind: 'makeDirectory', path: from }, write(`${from}/x.log`, 0, text('one'))]))
    expect(string(await settle(disk.read(`${from}/x.log`, 0, 10)))).toBe('one')
    await settle(disk.submit([{ kind: 'rename', from, to }, write(`${to}/x.log`, 3, text(' two'))]))
    expect(string(await settle(disk.read(`${to}/x.log`, 0, 10)))).toBe('one two')
    expect(await settle(failureOf(disk.read(`${from}/x.log`, 0, 1)))).toMatchObject({ code: 'ENOENT' })
  })

  promise('an unlinked file is gone for readers, and a new one of its name is new', async ({ disk, root, settle }) => {
    const path = `${root}/file`
    await settle(disk.submit([write(path, 0, text('old content'))]))
    expect(string(await settle(disk.read(path, 0, 3)))).toBe('old')
    await settle(disk.submit([{ kind: 'unlink', path }]))
    expect(await settle(failureOf(disk.read(path, 0, 3)))).toMatchObject({ code: 'ENOENT' })
    expect(disk.readHot(path, 0, 3)).toBe(null)
    await settle(disk.submit([write(path, 0, text('new'))]))
    expect(string(await settle(disk.read(path, 0, 20)))).toBe('new')
  })

  promise('missing things may be removed, but not synced, truncated or renamed', async ({ disk, root, settle }) => {
    const path = `${root}/missing`
    await settle(disk.submit([{ kind: 'unlink', path }]))
    await settle(disk.submit([{ kind: 'removeDirectory', path }]))
    const refused: readonly DiskOperation[] = [
      { kind: 'sync', path },
      { kind: 'truncate', path, size: 0 },
      { kind: 'rename', from: path, to: `${root}/other` },
      { kind: 'syncDirectory', path },
    ]
    for (const operation of refused) {
      expect(await settle(failureOf(disk.submit([operation])))).toMatchObject({
        code: 'ENOENT',
        operation: operation.kind,
      })
    }
    expect(await settle(disk.list(root))).toEqual([])
  })

  promise('directories are made with their parents, listed in name order, removed when empty', async (bench) => {
    const { disk, root, settle } = bench
    expect(await settle(disk.list(`${root}/none`))).toEqual([])
    await settle(
      disk.submit([
        { kind: 'makeDirectory', path: `${root}/x/y/z` },
        { kind: 'makeDirectory', path: `${root}/x/y` },
        write(`${root}/x/b`, 0, text('b')),
        write(`${root}/x/B`, 0, text('B')),
        { kind: 'syncDirectory', path: `${root}/x` },
      ]),
    )
    expect(await settle(disk.list(`${root}/x`))).toEqual([
      { name: 'B', isDirectory: false },
      { name: 'b', isDirectory: false },
      { name: 'y', isDirectory: true },
    ])
    expect(await settle(disk.size(`${root}/x`))).toBe(null)
    const full = disk.submit([{ kind: 'removeDirectory', path: `${root}/x/y` }])
    expect(await settle(failureOf(full))).toMatchObject({ code: 'ENOTEMPTY' })
    await settle(disk.submit([{ kind: 'removeDirectory', path: `${root}/x/y/z` }]))
    await settle(disk.submit([{ kind: 'removeDirectory', path: `${root}/x/y` }]))
    expect((await settle(disk.list(`${root}/x`))).length).toBe(2)
  })

  promise('a hot read answers what is there, or null', async ({ disk, root, settle }) => {
    const path = `${root}/hot`
    await settle(disk.submit([write(path, 0, text('0123456789'))]))
    await settle(disk.read(path, 0, 1))
    for (let round = 0; round < 20; round++) {
      const hot = disk.readHot(path, 2, 5)
      if (hot) expect('23456'.startsWith(string(hot))).toBe(true)
    }
    expect(disk.readHot(`${root}/missing`, 0, 5)).toBe(null)
  })

  promise('random groups leave what a model says, while readers come and go', async (bench) => {
    const { disk, root, settle } = bench
    const model = new Map<string, Buffer>()
    const prng = new Prng(20, 'groups')
    const anyFile = (): string => `${root}/${prng.below(20)}`
    for (let round = 0; round < 120; round++) {
      const groups: Promise<unknown>[] = []
      for (let i = prng.below(5); i >= 0; i--) {
        const operations = Array.from({ length: prng.below(6) }, () => randomOperation(model, prng, anyFile))
        groups.push(disk.submit(operations.filter((operation) => operation !== null)))
        if (prng.chance(0.5)) groups.push(disk.read(anyFile(), 0, 100).catch(() => null))
      }
      await settle(Promise.all(groups))
      const file = anyFile()
      const expected = model.get(file) ?? null
      const hot = disk.readHot(file, 0, 100_000)
      if (hot) expect(Buffer.compare(hot, (expected as Buffer).subarray(0, hot.length))).toBe(0)
      const found = await settle(disk.readFile(file, 1_000_000))
      expect(found === null).toBe(expected === null)
      if (found && expected) expect(Buffer.compare(found, expected)).toBe(0)
      if (expected) await settle(disk.read(file, 0, 1))
    }
  })

  promise('space is told in bytes', async ({ disk, root, settle }) => {
    const space = await settle(disk.space(root))
    expect(space.freeBytes).toBeGreaterThan(0)
    expect(space.totalBytes).toBeGreaterThanOrEqual(space.freeBytes)
    expect(await settle(failureOf(disk.space(`${root}/none`)))).toMatchObject({ code: 'ENOENT' })
  })

  promise('a lock has one holder until it is released', async ({ disk, root, settle }) => {
    const first = await settle(disk.lock(`${root}/.lock`))
    if (!first.held) throw new Error('the first lock must be held')
    expect(await settle(disk.lock(`${root}/.lock`))).toMatchObject({
      held: false,
      holder: expect.any(Number) as number,
    })
    // A second descriptor of the file would give the lock up.
    const path = `${root}/.lock`
    expect(await settle(failureOf(disk.readFile(path, 10)))).toMatchObject({ code: 'EBUSY', operation: 'readFile' })
    expect(await settle(failureOf(disk.submit([write(path, 0, text('x'))])))).toMatchObject({ code: 'EBUSY' })
    expect(await settle(failureOf(disk.submit([{ kind: 'rename', from: path, to: `${root}/x` }])))).toMatchObject({
      code: 'EBUSY',
      operation: 'rename',
    })
    await settle(first.release())
    const second = await settle(disk.lock(`${root}/.lock`))
    if (!second.held) throw new Error('the lock was released')
    await settle(second.release())
    expect(await settle(disk.size(`${root}/.lock`))).toBe(0)
  })
}

/** One operation that must succeed, already done to the model; null when there is nothing to do it to. */
function randomOperation(model: Map<string, Buffer>, prng: Prng, anyFile: () => string): DiskOperation | null {
  const path = anyFile()
  const present = model.get(path)
  const kind = prng.below(10)
  if (kind < 6) {
    const bytes = Buffer.alloc(1 + prng.below(prng.chance(0.1) ? 20_000 : 2000), prng.below(256))
    const position = prng.below((present?.length ?? 0) + 1)
    const content = Buffer.alloc(Math.max(present?.length ?? 0, position + bytes.length))
    present?.copy(content)
    bytes.copy(content, position)
    model.set(path, content)
    const cut = prng.below(bytes.length)
    return write(path, position, bytes.subarray(0, cut), bytes.subarray(cut))
  }
  if (kind === 6) {
    model.delete(path)
    return { kind: 'unlink', path }
  }
  if (!present) return null
  const to = anyFile()
  if (kind === 7 && to !== path) {
    model.set(to, present)
    model.delete(path)
    return { kind: 'rename', from: path, to }
  }
  if (kind === 8) {
    const size = prng.below(present.length + 1)
    model.set(path, present.subarray(0, size))
    return { kind: 'truncate', path, size }
  }
  return { kind: 'sync', path }
}

export function text(content: string): Uint8Array {
  return new TextEncoder().encode(content)
}

export function write(path: string, position: number, ...chunks: Uint8Array[]): DiskOperation {
  return { kind: 'write', path, position, chunks }
}

/** The DiskError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<DiskError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
  throw new Error('it should have failed')
}

function string(content: Uint8Array): string {
  return new TextDecoder().decode(content)
}

/** A Buffer, so that deep equality compares like with like. */
function bytes(values: readonly number[]): Uint8Array {
  return expect.objectContaining(Object.fromEntries(values.map((value, at) => [at, value]))) as Uint8Array
}
