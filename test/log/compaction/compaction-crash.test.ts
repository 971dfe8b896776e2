import { describe, expect, test } from 'vitest'
import type { DiskOperation } from '../../../src/base/ports.ts'
import { CompactionCrash, crashAnywhere, crashInSwap, isSwap, type Mutant } from './compaction-crash.ts'

/** Operations of one swap: three renames, a sync, four files of up to eight segments, three renames, a sync. */
const operationsMax = 42

async function everywhere(mutant: Mutant | null): Promise<void> {
  for (const kind of ['kill', 'powerCut'] as const) {
    for (let operation = 0; operation <= operationsMax; operation++) {
      await crashInSwap({ operation, kind, again: null }, mutant)
    }
  }
}

describe('compaction and crashes', () => {
  test('a crash behind any operation of a swap loses nothing', async () => {
    await everywhere(null)
    expect.assertions(0)
  })

  test('nor does a second one in the start that finishes it', async () => {
    for (let operation = 1; operation <= operationsMax; operation += 5)
      for (let again = 2; again < 40; again += 4) await crashInSwap({ operation, kind: 'powerCut', again })
    expect.assertions(0)
  })

  test('crashes at any moment of appends and passes lose nothing (100 seeds)', async () => {
    for (let seed = 1; seed <= 100; seed++) await crashAnywhere(seed, 5)
    expect.assertions(0)
  })
})

const isOfCleaned = (operation: DiskOperation): boolean =>
  'path' in operation && operation.path.endsWith('.log.cleaned')

/** Deliberate faults; a crash must show each of them. */
const mutants: readonly { readonly name: string; readonly mutant: Mutant }[] = [
  {
    name: 'deletes the old segments before the swap',
    mutant: (operations) => {
      if (!operations.some(isSwap)) return operations
      const unlinks = operations.filter((operation) => operation.kind === 'unlink')
      const sync = operations.filter((operation) => operation.kind === 'syncDirectory').slice(0, 1)
      return [...unlinks, ...sync, ...operations.filter((operation) => operation.kind !== 'unlink')]
    },
  },
  {
    name: 'takes the suffix away before the old segments are gone for good',
    mutant: (operations) => {
      if (!operations.some(isSwap)) return operations
      const syncs = operations.filter((operation) => operation.kind === 'syncDirectory')
      return operations.filter((operation) => operation !== syncs[1])
    },
  },
  {
    name: 'does not sync the cleaned file',
    mutant: (operations) => operations.filter((operation) => operation.kind !== 'sync' || !isOfCleaned(operation)),
  },
  {
    name: 'does not let the journal pass',
    mutant: (operations) => operations.filter((operation) => !isEmptyFrame(operation)),
  },
]

/** A frame with no ranges. */
function isEmptyFrame(operation: DiskOperation): boolean {
  if (operation.kind !== 'write' || !operation.path.endsWith('/journal') || operation.position === 0) return false
  const head = operation.chunks[0] as Uint8Array
  return head.length === 64 && Buffer.from(head).readUInt32BE(40) === 0
}

describe('a mutant of the swap', () => {
  test.each(mutants)('$name: is caught', async ({ mutant }) => {
    const attempts = async (): Promise<void> => {
      await everywhere(mutant)
      for (let seed = 1; seed <= 100; seed++) await crashAnywhere(seed, 5, mutant)
    }
    await expect(attempts()).rejects.toThrow(/seed/)
  })
})

describe('a swap', () => {
  test('finds its place when the segments before it go meanwhile', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const run = new CompactionCrash(seed, null)
      await run.open()
      for (let index = 0; index < 60; index++) await run.append()
      await run.world.runFor(300)
      const pass = run.directory.compactor.compact()
      const swaps = 2 + (seed % 3)
      await run.world.run(() => run.swaps >= swaps, 10_000)
      const { log, directory } = run
      const startOffset = log.segments[1]?.baseOffset ?? 0
      const retentionBytes = log.sizeInBytes - (log.segments[0]?.sizeInBytes ?? 0)
      log.updateConfig({ ...log.config, cleanupPolicy: new Set(['compact', 'delete'] as const), retentionBytes })
      await run.world.settle(directory.retain())
      log.updateConfig({ ...log.config, retentionBytes: -1 })
      await run.world.settle(pass)
      expect(run.directory.failure).toBeNull()
      const bases = run.log.segments.map((segment) => segment.baseOffset)
      expect(bases).toEqual([...new Set(bases)].toSorted((a, b) => a - b))
      expect(bases[0]).toBe(startOffset)
      await run.world.settle(run.directory.close())
      run.crash('kill')
      const again = await run.world.settle(run.boot())
      expect(again.logs.get('a-0')?.segments.map((segment) => segment.baseOffset)).toEqual(bases)
    }
  })
})
