/** Snapshots of the metadata, judged by one that Apache Kafka 4.3.1 has written. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MetadataImage } from '../../../src/cluster/metadata/metadata-image.ts'
import { readSnapshot, snapshotsIn } from '../../../src/cluster/metadata/metadata-snapshot.ts'
import { batchSizeInBytes } from '../../../src/protocol/records/record-batch.ts'

const foreign = new Uint8Array(readFileSync(new URL('../../golden/kafka-metadata.checkpoint', import.meta.url)))

describe('a metadata snapshot of Apache Kafka', () => {
  // Taken while the broker was fenced, so that no partition has a leader.
  it('makes the image that Kafka had', () => {
    const records = readSnapshot(foreign)
    if (typeof records === 'string') throw new Error(records)
    const image = new MetadataImage()
    for (const record of records) image.replay(record, 59)
    const topics = [...image.topics()].map(({ name, partitions }) => `${name} ${partitions.length}`).toSorted()
    expect(topics).toEqual(['__consumer_offsets 8', '__headwater_mqtt_sessions 4', 'readings 3'])
    expect([...image.configs(2, 'readings')]).toEqual([['retention.ms', '7200000']])
    expect(image.topic('readings')?.partitions[2]).toMatchObject({ replicas: [1], isr: [1], leader: -1 })
    expect(image.broker(1)?.brokerEpoch).toBeGreaterThan(0)
  })

  it('counts for nothing when any byte of a batch is another, or when it ends early', () => {
    for (let at = 12; at < foreign.length; at += 37) {
      const damaged = foreign.slice()
      damaged[at] = (damaged[at] as number) ^ 0x10
      // The leader epoch of a batch stands outside its checksum, and says nothing here.
      if (typeof readSnapshot(damaged) !== 'string') expect(isInUncheckedBytes(at)).toBe(true)
    }
    for (const bytes of [0, 60, 300, foreign.length - 1])
      expect(readSnapshot(foreign.subarray(0, bytes))).toBeTypeOf('string')
    expect(readSnapshot(foreign.subarray(batchSizeInBytes(foreign)))).toBe('it does not begin with a header')
  })

  it('is found by its name, newest first', () => {
    const names = [
      '00000000000000000000.log',
      '00000000000000000040-0000000003.checkpoint',
      '00000000000000000100-0000000004.checkpoint',
      '00000000000000000100-0000000004.checkpoint.deleted',
      '00000000000000000007-0000000001.checkpoint.part',
    ]
    expect(snapshotsIn(names).map(({ endOffset, epoch }) => [endOffset, epoch])).toEqual([
      [100, 4],
      [40, 3],
    ])
  })
})

/** Base offset and leader epoch of a batch. */
function isInUncheckedBytes(position: number): boolean {
  let at = 0
  while (at + batchSizeInBytes(foreign, at) <= position) at += batchSizeInBytes(foreign, at)
  return position - at < 8 || (position - at >= 12 && position - at < 16)
}
