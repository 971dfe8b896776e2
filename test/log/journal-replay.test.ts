import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeFrame, encodeJournalHead, type JournalRange } from '../../src/log/journal-frame.ts'
import { replayJournal } from '../../src/log/journal-replay.ts'
import { AddOn } from '../../src/node/add-on.ts'
import { NodeDisk } from '../../src/node/disk.ts'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import { setBatchBaseOffset } from '../../src/protocol/records/record-batch.ts'
import { testObserver } from '../node/test-observer.ts'
import { Prng } from '../sim/prng.ts'

const directoryId = new Uint8Array(16).fill(7)
const incarnation = new Uint8Array(16).fill(9)

interface Bench {
  readonly root: string
  /** Writes the frames as one journal and replays it over what the files hold; answers the files it wrote to. */
  replay(frames: readonly (readonly JournalRange[])[]): Promise<ReadonlySet<string>>
}

async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-replay-'))
  const disk = new NodeDisk({ observer: testObserver(), addOn: new AddOn(), dataDescriptorsMax: 64 })
  try {
    await body({
      root,
      async replay(frames) {
        const bytes = [encodeJournalHead(incarnation, directoryId)]
        frames.forEach((ranges, index) => {
          bytes.push(...encodeFrame({ incarnation, sequence: index + 1, oldestNeeded: 1 }, ranges))
        })
        fs.writeFileSync(`${root}/journal`, Buffer.concat(bytes))
        const pathOf = ({ partition }: { readonly partition: number }): Promise<string> =>
          Promise.resolve(`${root}/${partition}.log`)
        const result = await replayJournal(disk, `${root}/journal`, directoryId, { pathOf })
        expect(result).toMatchObject({ frames: frames.length, reason: null })
        return result.paths
      },
    })
  } finally {
    await disk.close()
    fs.rmSync(root, { recursive: true })
  }
}

function range(partition: number, position: number, bytes: Uint8Array): JournalRange {
  const topicId = new Uint8Array(16).fill(1)
  return { topicId, partition, segmentBaseOffset: 0, position, chunks: [bytes], bytes: bytes.length }
}

function batchOf(text: string, baseOffset = 0): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.append(1, null, Buffer.from(text), null)
  const batch = builder.build()
  setBatchBaseOffset(batch, 0, baseOffset)
  return batch
}

describe('a replay', () => {
  it('puts the ranges of thousands of frames where they belong, whatever lies between them', async () => {
    await withBench(async ({ root, replay }) => {
      const prng = new Prng(11)
      const wanted = [0, 1, 2].map((partition) => {
        const standing = Buffer.alloc(partition * 1_000_000, 0x2e)
        fs.writeFileSync(`${root}/${partition}.log`, standing)
        return Buffer.concat([standing, Buffer.alloc(9_000_000)])
      })
      const ends = [0, 0, 0]
      const frames: JournalRange[][] = []
      for (let index = 0; index < 3_000; index++) {
        const ranges: JournalRange[] = []
        for (let partition = 0; partition < 3; partition++) {
          if (prng.chance(0.2)) continue
          const bytes = Buffer.alloc(1 + prng.below(3_000), 1 + prng.below(250))
          // What went to the file directly stands in no frame.
          const position = (ends[partition] as number) + (prng.chance(0.1) ? prng.below(500) : 0)
          ranges.push(range(partition, position, bytes))
          bytes.copy(wanted[partition] as Buffer, position)
          ends[partition] = position + bytes.length
        }
        frames.push(ranges)
      }
      await replay(frames)
      for (let partition = 0; partition < 3; partition++) {
        const found = fs.readFileSync(`${root}/${partition}.log`)
        expect(found.length).toBe(Math.max(ends[partition] as number, partition * 1_000_000))
        expect(found.equals((wanted[partition] as Buffer).subarray(0, found.length))).toBe(true)
      }
    })
  })

  it('leaves another whole batch that stands where one of its own belongs, and writes those around it', async () => {
    await withBench(async ({ root, replay }) => {
      const own = ['first', 'other', 'third'].map((text, index) => batchOf(text, index))
      const foreign = batchOf('OTHER', 1)
      fs.writeFileSync(`${root}/0.log`, Buffer.concat([new Uint8Array(own[0]?.length ?? 0), foreign]))
      let position = 0
      const frames = own.map((batch) => {
        const ranges = [range(0, position, batch)]
        position += batch.length
        return ranges
      })
      await replay(frames)
      const wanted = Buffer.concat([own[0] as Uint8Array, foreign, own[2] as Uint8Array])
      expect(fs.readFileSync(`${root}/0.log`).equals(wanted)).toBe(true)
    })
  })

  it('leaves one that is longer than what its frames hold there', async () => {
    await withBench(async ({ root, replay }) => {
      const foreign = batchOf('longer than ours by far')
      fs.writeFileSync(`${root}/0.log`, foreign)
      expect([...(await replay([[range(0, 0, batchOf('ours'))]]))]).toEqual([])
      expect(fs.readFileSync(`${root}/0.log`).equals(foreign)).toBe(true)
    })
  })

  it('writes over what is torn, and over its own batch whose base offset alone is', async () => {
    await withBench(async ({ root, replay }) => {
      const own = batchOf('ours', 5)
      const torn = batchOf('THEY', 5)
      torn.fill(0, 70)
      fs.writeFileSync(`${root}/0.log`, torn)
      fs.writeFileSync(`${root}/1.log`, batchOf('ours', 4))
      await replay([[range(0, 0, own), range(1, 0, own)]])
      for (const name of ['0.log', '1.log']) expect(fs.readFileSync(`${root}/${name}`).equals(own)).toBe(true)
    })
  })
})
