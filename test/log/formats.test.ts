import { describe, expect, test } from 'vitest'
import {
  formatOffsets,
  parseCleanShutdown,
  parseEpochs,
  parseOffsets,
  parsePartitionMetadata,
  parseProperties,
  sealText,
  unsealText,
} from '../../src/log/checkpoint-file.ts'
import { LeaderEpochCache } from '../../src/log/leader-epoch-cache.ts'
import { deletedLogName, isDeletedLogName, parseLogName } from '../../src/log/log-files.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/log/producer-snapshot.ts'
import { ProducerState } from '../../src/log/producer-state.ts'
import {
  lookupOffsetFile,
  lookupTimeFile,
  SegmentIndex,
  validOffsetEntries,
  validTimeEntries,
} from '../../src/log/segment-index.ts'
import { batchOf } from './log-fixture.ts'

describe("Kafka's small files", () => {
  test('are read as Apache Kafka 4.3.1 wrote them', () => {
    expect(parseOffsets(Buffer.from('0\n2\nsensors 0 42\n__consumer_offsets 7 0\n'))).toEqual(
      new Map([
        ['sensors-0', 42],
        ['__consumer_offsets-7', 0],
      ]),
    )
    expect(parseEpochs(Buffer.from('0\n2\n0 0\n3 17\n'))).toEqual([
      { epoch: 0, startOffset: 0 },
      { epoch: 3, startOffset: 17 },
    ])
    expect(parsePartitionMetadata(Buffer.from('version: 0\ntopic_id: 2Ksh6R1ZQxuFekjDdCVS2Q'))).toBe(
      '2Ksh6R1ZQxuFekjDdCVS2Q',
    )
    expect(parseCleanShutdown(Buffer.from('{"version":0,"brokerEpoch":12}'))).toBe(12)
    const properties =
      '#\n#Sat Nov 21 08:51:00 UTC 2026\nnode.id=1\nversion=1\ndirectory.id=nwhwvOPbS0OKr_mqneH8Pg\ncluster.id=a\\=b\n'
    expect(Object.fromEntries(parseProperties(Buffer.from(properties)))).toEqual({
      'node.id': '1',
      version: '1',
      'directory.id': 'nwhwvOPbS0OKr_mqneH8Pg',
      'cluster.id': 'a=b',
    })
  })

  test.each([
    '',
    '0\n',
    '0\n2\na 0 1\n',
    '1\n0\n',
    '0\n1\na 0 -1\n',
    '0\n1\na 0 1',
    '0\n1\na 0 99999999999999999\n',
    '0\n1\na b\n',
  ])('that are torn are no files: %j', (text) => {
    expect(parseOffsets(Buffer.from(text))).toBeNull()
  })

  test('a sealed text is known by its CRC', () => {
    const sealed = sealText(formatOffsets([{ topic: 'a', partition: 1, offset: 5 }]))
    expect(parseOffsets(unsealText(sealed))).toEqual(new Map([['a-1', 5]]))
    for (let at = 0; at < sealed.length; at++) {
      const bent = Uint8Array.from(sealed)
      bent[at] = (bent[at] as number) ^ 1
      expect(unsealText(bent)).toBeNull()
    }
  })

  test('folders of logs are told from others', () => {
    expect(parseLogName('a-b.c-12')).toEqual({ topic: 'a-b.c', partition: 12 })
    for (const name of ['a', 'a-', '-1', 'a-x', 'a-00', 'lost+found']) expect(parseLogName(name)).toBeNull()
    const deleted = deletedLogName(`${'t'.repeat(249)}-3`, new Uint8Array(16).fill(7))
    expect(deleted.length).toBe(255)
    expect([isDeletedLogName(deleted), parseLogName(deleted)]).toEqual([true, null])
  })
})

describe('leader epochs', () => {
  test('answer where an epoch ended, as OffsetForLeaderEpoch wants it', () => {
    const cache = new LeaderEpochCache()
    expect(cache.endOffsetForEpoch(0, 0)).toEqual({ epoch: -1, endOffset: -1 })
    cache.assign(2, 0)
    cache.assign(4, 10)
    cache.assign(3, 12)
    cache.assign(7, 30)
    const answers = [0, 2, 3, 4, 5, 7, 8].map((epoch) => cache.endOffsetForEpoch(epoch, 44))
    expect(answers.map(({ epoch, endOffset }) => [epoch, endOffset])).toEqual([
      [0, 0],
      [2, 10],
      [2, 10],
      [4, 30],
      [4, 30],
      [7, 44],
      [-1, -1],
    ])
    cache.truncateStart(15)
    expect(cache.entries).toEqual([
      { epoch: 4, startOffset: 15 },
      { epoch: 7, startOffset: 30 },
    ])
    cache.truncateEnd(30)
    expect(cache.latestEpoch).toBe(4)
  })

  test('an epoch that began and wrote nothing gives way to the next at its offset', () => {
    const cache = new LeaderEpochCache()
    cache.assign(1, 5)
    cache.assign(2, 5)
    expect(cache.entries).toEqual([{ epoch: 2, startOffset: 5 }])
  })
})

describe('producer state', () => {
  const batchAt = (baseOffset: number, sequence: number, fields = {}): Uint8Array =>
    batchOf(['x', 'y'], {
      producerId: 9,
      producerEpoch: 2,
      baseSequence: sequence,
      baseOffset,
      timestampMs: 500 + baseOffset,
      ...fields,
    })

  test('comes back from a snapshot with five batches and open transactions', () => {
    const state = new ProducerState()
    for (let index = 0; index < 7; index++) state.update(batchAt(index * 2, index * 2))
    state.update(batchAt(14, 0, { producerId: 11, isTransactional: true }))
    const restored = new ProducerState()
    expect(decodeSnapshot(encodeSnapshot(state), restored)).toBe(true)
    expect(restored.get(9)).toEqual(state.get(9))
    expect(restored.get(9)?.batches).toHaveLength(5)
    expect([restored.firstUnstableOffset(100), state.firstUnstableOffset(100)]).toEqual([14, 14])
  })

  test('is not taken from a snapshot with any bit wrong', () => {
    const state = new ProducerState()
    state.update(batchAt(0, 0))
    const bytes = encodeSnapshot(state)
    for (let at = 0; at < bytes.length; at++) {
      const bent = Uint8Array.from(bytes)
      bent[at] = (bent[at] as number) ^ 4
      expect(decodeSnapshot(bent, state)).toBe(false)
      expect(state.size).toBe(0)
    }
  })

  test('holds the last stable offset until the marker is below the high watermark', () => {
    const state = new ProducerState()
    state.update(batchAt(4, 0, { isTransactional: true }))
    expect(state.firstUnstableOffset(50)).toBe(4)
    const marker = batchOf([''], {
      producerId: 9,
      producerEpoch: 2,
      isControl: true,
      isTransactional: true,
      baseOffset: 6,
      key: '\0\0\0\u0001',
    })
    state.update(marker)
    expect(state.get(9)?.transactionFirstOffset).toBe(4)
    const builder = batchOf(['\0\0\0\0\0\u0003'], {
      producerId: 9,
      producerEpoch: 2,
      isControl: true,
      isTransactional: true,
      baseOffset: 6,
      key: '\0\0\0\u0001',
    })
    state.update(builder)
    expect([state.firstUnstableOffset(6), state.firstUnstableOffset(7)]).toEqual([4, null])
  })

  test('forgets idle producers, but none with an open transaction', () => {
    const state = new ProducerState()
    state.update(batchAt(0, 0))
    state.update(batchAt(2, 0, { producerId: 10, isTransactional: true }))
    state.expire(10_000, 1000)
    expect([state.get(9), state.get(10)?.epoch]).toEqual([undefined, 2])
  })
})

describe('segment indexes', () => {
  const index = new SegmentIndex()
  for (let entry = 1; entry <= 50; entry++) {
    index.addOffset(entry * 10, entry * 4000)
    index.addTime(1_700_000_000_000 + entry * 5, entry * 10)
  }
  const { offsets, times } = index.encodeUnfiled()

  test('answer the last entry not above what is asked, from memory and from the file alike', () => {
    for (const [relative, position] of [
      [5, 0],
      [10, 4000],
      [19, 4000],
      [500, 200_000],
      [9999, 200_000],
    ] as const) {
      expect(lookupOffsetFile(offsets, relative)?.position ?? 0).toBe(position)
      expect(index.lookupUnfiled(relative) ?? 0).toBe(position)
    }
    for (const [later, relative] of [
      [0, 0],
      [5, 0],
      [6, 10],
      [250, 490],
      [251, 500],
    ] as const) {
      expect(lookupTimeFile(times, 1_700_000_000_000 + later)).toBe(relative)
      expect(index.lookupUnfiledTime(1_700_000_000_000 + later) ?? 0).toBe(relative)
    }
  })

  test('are believed up to the first entry that cannot be right', () => {
    expect(validOffsetEntries(offsets, 1e6, 1e6)).toBe(50)
    expect(validOffsetEntries(offsets, 100_000, 1e6)).toBe(24)
    expect(validOffsetEntries(offsets, 1e6, 100)).toBe(9)
    const zeroed = Uint8Array.from(offsets).fill(0, 80, 160)
    expect(validOffsetEntries(zeroed, 1e6, 1e6)).toBe(10)
    expect(validTimeEntries(times, 1e6)).toBe(50)
    expect(validTimeEntries(Uint8Array.from(times).fill(0, 120), 1e6)).toBe(10)
  })

  test('leave memory when they are in the files, and not when they were rebuilt meanwhile', () => {
    const tail = new SegmentIndex()
    tail.addOffset(1, 100)
    tail.addTime(5, 1)
    const { generation } = tail
    tail.addOffset(2, 200)
    tail.markFiled(generation, 1, 1)
    tail.markFiled(generation, 1, 1)
    expect([tail.filedOffsets, tail.firstUnfiledPosition, tail.offsetEntries]).toEqual([1, 200, 2])
    tail.replaceFiled(new SegmentIndex())
    tail.markFiled(generation, 2, 1)
    expect([tail.filedOffsets, tail.firstUnfiledPosition]).toEqual([0, 200])
  })
})
