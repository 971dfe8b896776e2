/** What a file lacks and the journal has: whoever reads the file must not see where it stands. */
import { expect, test } from 'vitest'
import type { Disk } from '../../src/base/ports.ts'
import { HeldReads } from '../../src/log/held-reads.ts'
import { HeldWrites } from '../../src/log/held-writes.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { Prng } from '../sim/prng.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'

const ring = '/ring'
const file = '/file'
/** All that a log is asked for here. */
const aLog = (): UnifiedLog => ({ segments: [{ logPath: file }] }) as unknown as UnifiedLog

function place(seed: number): { world: SimWorld; disk: Disk; held: HeldWrites; seen: HeldReads } {
  const world = simWorld(seed)
  const { disk } = world.host('edge').boot()
  const held = new HeldWrites()
  return { world, disk, held, seen: new HeldReads(disk, held, ring) }
}

function write(world: SimWorld, disk: Disk, path: string, position: number, bytes: Uint8Array): Promise<void> {
  return world.settle(disk.submit([{ kind: 'write', path, position, chunks: [bytes] }]))
}

/** A file whose end is in the ring, until it gets that too. */
async function halfThere(seed: number): Promise<ReturnType<typeof place> & { getsIt(): Promise<void> }> {
  const there = place(seed)
  const { world, disk, held } = there
  const log = aLog()
  await write(world, disk, file, 0, Buffer.from('in the file'))
  await write(world, disk, ring, 100, Buffer.from(', and in the ring'))
  held.add(log, { path: file, position: 11, ringPosition: 100, bytes: 17 }, 0)
  return {
    ...there,
    async getsIt() {
      const { operations, extents } = held.release([log], ring)
      await world.settle(disk.submit(operations))
      held.written(extents)
    },
  }
}

/** Holds what goes on `method` calls of this path until it is let go. */
function gate(disk: Disk, method: 'read' | 'size', at: string): () => void {
  let letGo = (): void => {}
  const isLetGo = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const call = disk[method].bind(disk) as (path: string, ...more: number[]) => Promise<never>
  disk[method] = async (path: string, ...more: unknown[]) => {
    const answer = method === 'size' ? await call(path) : null
    if (path === at) await isLetGo
    return answer ?? call(path, ...(more as number[]))
  }
  return letGo
}

test('any part of a file is read as if it had all that is held of it and on its way', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const prng = new Prng(seed)
    const { world, disk, held, seen } = place(seed)
    const whole = Uint8Array.from({ length: 2000 }, () => prng.below(256))
    const log = aLog()
    const begun = prng.below(300)
    await write(world, disk, file, 0, whole.subarray(0, begun))
    let end = begun
    for (let ringPosition = 4096; ringPosition < 40_000; ringPosition += 4096) {
      const bytes = 1 + prng.below(150)
      await write(world, disk, ring, ringPosition, whole.subarray(end, end + bytes))
      held.add(log, { path: file, position: end, ringPosition, bytes }, 0)
      end += bytes
      if (prng.chance(0.4)) held.release([log], ring)
    }
    expect(await world.settle(seen.size(file))).toBe(end)
    for (let index = 0; index < 30; index++) {
      const position = prng.below(end + 20)
      const length = 1 + prng.below(600)
      const into = prng.chance(0.5) ? new Uint8Array(length + prng.below(50)) : undefined
      const bytes = await world.settle(seen.read(file, position, length, into))
      expect(
        Buffer.compare(bytes, whole.subarray(position, Math.max(position, Math.min(end, position + length)))),
      ).toBe(0)
    }
  }
})

test('a slow read is not given what another frame has brought to that place of the ring', async () => {
  const { world, disk, seen, getsIt } = await halfThere(1)
  const letGo = gate(disk, 'read', ring)
  const reading = seen.read(file, 3, 100)
  await getsIt()
  await write(world, disk, ring, 100, Buffer.from('something else...'))
  letGo()
  expect(Buffer.from(await world.settle(reading)).toString()).toBe('the file, and in the ring')
})

test('a file that gets what it lacked while its size is asked for does not seem shorter', async () => {
  const { world, disk, seen, getsIt } = await halfThere(2)
  const letGo = gate(disk, 'size', file)
  const asking = seen.size(file)
  await world.runFor(100)
  await getsIt()
  letGo()
  expect(await world.settle(asking)).toBe(28)
})
