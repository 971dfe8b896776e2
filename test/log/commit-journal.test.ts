/** The ring of the commit journal: when it grows, how far, and what it counts for before it does. */
import { beforeEach, describe, expect, test } from 'vitest'
import { CommitJournal } from '../../src/log/commit-journal.ts'
import { DirtyFiles } from '../../src/log/dirty-files.ts'
import { journalBlockBytes } from '../../src/log/journal-frame.ts'
import { Stage } from '../explore/stage.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'

const path = '/data/journal'
const stepBytes = 4 * journalBlockBytes
const bytesMax = 24 * journalBlockBytes
let stage: Stage
let dirty: DirtyFiles
let journal: CommitJournal

beforeEach(async () => {
  const image = new DiskImage()
  image.makeDirectory('/data')
  stage = new Stage(image, 'run', new Prng(1, 'stage'), 1_000_000)
  dirty = new DirtyFiles()
  journal = new CommitJournal(stage.disk, { path, bytesMax, stepBytes, directoryId: new Uint8Array(16) }, dirty)
  await stage.settle(journal.reset(new Uint8Array(16)))
})

/** Frames of one block each that no file has been synced behind. */
function append(frames: number): void {
  dirty.mark('/data/a', journal.nextSequence)
  for (let frame = 0; frame < frames; frame++) {
    expect(journal.hasRoom(0, 0)).toBe(true)
    journal.append([], 0)
  }
}

async function blocksAfterGrowth(): Promise<number> {
  await stage.settle(journal.growIfWanted())
  return ((await stage.settle(stage.disk.size(path))) as number) / journalBlockBytes
}

describe('the ring', () => {
  test('stays as it is while more than a quarter is free', async () => {
    append(2)
    expect(await blocksAfterGrowth()).toBe(4)
  })

  test('doubles when three quarters are needed, and ends at its bound', async () => {
    append(3)
    expect(await blocksAfterGrowth()).toBe(8)
    append(4)
    expect(await blocksAfterGrowth()).toBe(16)
    append(8)
    expect(await blocksAfterGrowth()).toBe(24)
    append(8)
    expect([journal.hasRoom(0, 0), await blocksAfterGrowth()]).toEqual([false, 24])
  })

  test('doubles behind a frame that found no room, however little is needed then', async () => {
    append(2)
    expect(journal.hasRoom(0, 2 * journalBlockBytes)).toBe(false)
    for (const operation of journal.beginAnew(0, 0)) await stage.settle(stage.disk.submit([operation]))
    dirty.beginSync(['/data/a'])()
    expect(await blocksAfterGrowth()).toBe(8)
    // Once: it has room now.
    expect(await blocksAfterGrowth()).toBe(8)
  })

  test('counts for what it will take before it grows', async () => {
    const soon = journal.sizeSoon
    append(3)
    expect((await blocksAfterGrowth()) * journalBlockBytes).toBe(soon)
  })
})
