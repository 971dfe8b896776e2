import { describe, expect, test } from 'vitest'
import type { DiskOperation } from '../../src/base/ports.ts'
import { CrashRun, endsAfterTwoCrashes, type Mutant } from './crash-run.ts'

const lives = 5

describe('a log directory after kills and power cuts', () => {
  test('is a prefix with everything acknowledged, sets whole, duplicates known (80 seeds)', async () => {
    for (let seed = 1; seed <= 80; seed++) await new CrashRun(seed).run(lives)
    expect.assertions(0)
  })
})

describe('seeds that once found a fault', () => {
  test.each([
    [20211, 'a torn base offset was taken for the batch of another program'],
    [1493, 'a snapshot that no sync covered'],
    [928, 'an index that was not finished off at the recovery point'],
    [203, 'a frame that was replayed before it was synced'],
  ])('%i: %s', async (seed) => {
    await new CrashRun(seed).run(lives)
    expect.assertions(0)
  })
})

const isJournal = (operation: DiskOperation): boolean =>
  'path' in operation && operation.path.endsWith('/state/journal')
const isLog = (operation: DiskOperation): boolean => 'path' in operation && operation.path.endsWith('.log')
const isSync = (operation: DiskOperation): boolean => operation.kind === 'sync'

const without =
  (gone: (operation: DiskOperation) => boolean): Mutant =>
  (operations) =>
    operations.filter((operation) => !gone(operation))

/** Holds the operations on the journal back until the next group, which writes the segment files. */
function framesLast(): Mutant {
  let held: readonly DiskOperation[] = []
  return (operations) => {
    const journal = operations.filter(isJournal)
    const due = held
    held = []
    if (journal.length !== 2 || !journal.some((operation) => operation.kind === 'write' && operation.position > 0)) {
      return [...operations, ...due]
    }
    held = journal
    return operations.filter((operation) => !isJournal(operation))
  }
}

/** Deliberate faults; the crash run must catch each of them. */
const mutants: readonly { readonly name: string; readonly mutant: Mutant }[] = [
  { name: 'does not sync the journal', mutant: without((operation) => isSync(operation) && isJournal(operation)) },
  { name: 'does not sync the segment files', mutant: without((operation) => isSync(operation) && isLog(operation)) },
  {
    name: 'does not write the frame',
    mutant: (operations) =>
      operations.filter((operation) => operation.kind !== 'write' || !isJournal(operation) || operation.position === 0),
  },
  {
    name: 'does not sync the files that a replay has written',
    mutant: (operations) =>
      operations.filter((operation) => !isLog(operation) || !operations.every((other) => isSync(other))),
  },
  {
    name: 'writes the segment files before the journal',
    mutant: framesLast(),
  },
  {
    name: 'does not sync the directory of a new segment',
    mutant: (operations) =>
      operations.some((operation) => operation.kind === 'write')
        ? operations.filter((operation) => operation.kind !== 'syncDirectory')
        : operations,
  },
  {
    name: 'answers DeleteRecords before the checkpoint is there',
    mutant: without(
      (operation) => operation.kind === 'rename' && /log-start(s|-offset-checkpoint)$/.test(operation.to),
    ),
  },
  {
    name: 'leaves the marker of the last clean stop',
    mutant: without((operation) => operation.kind === 'unlink' && operation.path.endsWith('cleanshutdown')),
  },
]

describe('the crash run catches an engine that', () => {
  test.each(mutants)('$name', async ({ mutant }) => {
    let caught: string | null = null
    for (let seed = 1; seed <= 400 && caught === null; seed++) {
      caught = await new CrashRun(seed, mutant).run(lives).then(
        () => null,
        (error: unknown) => String(error),
      )
    }
    expect(caught).toMatch(/^Error: seed \d+/)
  })
})

describe('sets over three logs, a kill inside a commit, a power cut inside the replay:', () => {
  // A commit writes its frame in several pieces, the replay puts back a whole one.
  const unsynced: Mutant = (operations) =>
    operations.some((operation) => operation.kind === 'write' && isJournal(operation) && operation.chunks.length === 1)
      ? operations.filter((operation) => !isSync(operation))
      : operations

  test('the logs end at the same set', async () => {
    for (let seed = 1; seed <= 40; seed++) expect(new Set(await endsAfterTwoCrashes(seed)).size, `seed ${seed}`).toBe(1)
  })

  test('unless the frame is replayed before it has been synced', async () => {
    let torn = 0
    for (let seed = 1; seed <= 200 && torn === 0; seed++) {
      if (new Set(await endsAfterTwoCrashes(seed, unsynced)).size > 1) torn++
    }
    expect(torn).toBe(1)
  })
})
