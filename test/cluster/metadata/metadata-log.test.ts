import { describe, expect, it } from 'vitest'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import { decodeMessage } from '../../../src/protocol/kafka/compile.ts'
import {
  KRaftVersionRecord,
  LeaderChangeMessage,
  VotersRecord,
} from '../../../src/protocol/kafka/stored/quorum-records.ts'
import { encodeMetadataRecord } from '../../../src/protocol/kafka/stored/metadata-record.ts'
import { forEachRecord } from '../../../src/protocol/records/record.ts'
import { batchIsControl, batchPartitionLeaderEpoch, forEachBatch } from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { clusterWorld, creationOf, startCluster, stopCluster } from '../cluster-fixture.ts'

interface ControlRecord {
  readonly offset: number
  readonly epoch: number
  readonly type: number
  readonly value: Uint8Array
}

async function controlRecordsOf(log: UnifiedLog): Promise<ControlRecord[]> {
  const read = await log.read({ fromOffset: 0, endOffset: log.logEndOffset, bytesMax: 1 << 20, minOneBatch: true })
  if (read.kind !== 'batches') throw new Error(read.kind)
  const records: ControlRecord[] = []
  forEachBatch(read.bytes, (bytes, at) => {
    if (!batchIsControl(bytes, at)) return
    const epoch = batchPartitionLeaderEpoch(bytes, at)
    forEachRecord(bytes, at, ({ offset, key, value }) => {
      if (key !== null && value !== null) records.push({ offset, epoch, type: Buffer.from(key).readInt16BE(2), value })
      return true
    })
  })
  return records
}

describe('the metadata log', () => {
  it('begins as `kafka-storage format --standalone` has it: leader change, kraft.version 1, one voter with its directory', async () => {
    const place = clusterWorld()
    const { directory } = await startCluster(place)
    const log = directory.logs.get('__cluster_metadata-0')
    if (log === undefined) throw new Error('no log')
    const records = await place.world.settle(controlRecordsOf(log))
    expect(records.map(({ offset, epoch, type }) => [offset, epoch, type])).toEqual([
      [0, 1, 2],
      [1, 1, 5],
      [2, 1, 6],
    ])
    const [leaderChange, kRaftVersion, voters] = records.map(({ value }) => value)
    if (leaderChange === undefined || kRaftVersion === undefined || voters === undefined) throw new Error('missing')
    // By hand, as Apache Kafka's own reader takes it: version 0 whatever the kraft.version, voters without directory ids.
    expect(Buffer.from(leaderChange).toString('hex')).toBe(
      '000000000001' + '02' + '0000000100' + '02' + '0000000100' + '00',
    )
    expect(decodeMessage(LeaderChangeMessage, 0, leaderChange)).toMatchObject({
      value: { leaderId: 1, voters: [{ voterId: 1 }] },
      end: leaderChange.length,
    })
    expect(decodeMessage(KRaftVersionRecord, 0, kRaftVersion).value).toMatchObject({ kRaftVersion: 1 })
    expect(decodeMessage(VotersRecord, 0, voters).value).toMatchObject({
      voters: [{ voterId: 1, voterDirectoryId: directory.directoryId }],
    })
  })

  it('begins an epoch with each start, whose vote is durable before its first batch', async () => {
    const place = clusterWorld()
    const epochs: unknown[] = []
    for (let life = 0; life < 3; life++) {
      const running = await startCluster(place)
      const state = place.host.fileNow('/data/log/__cluster_metadata-0/quorum-state')
      epochs.push([running.cluster.metadataEpoch, JSON.parse(Buffer.from(state ?? []).toString())])
      await stopCluster(place, running)
    }
    const state = (leaderEpoch: number): unknown => ({
      leaderId: 1,
      leaderEpoch,
      votedId: -1,
      votedDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA',
      data_version: 1,
    })
    expect(epochs).toEqual([1, 2, 3].map((epoch) => [epoch, state(epoch)]))
  })

  it('goes on in a higher epoch when the vote is lost or broken', async () => {
    const place = clusterWorld()
    await stopCluster(place, await startCluster(place))
    const ports = place.host.boot()
    const path = '/data/log/__cluster_metadata-0/quorum-state'
    await place.world.settle(ports.disk.submit([{ kind: 'writeFile', path, bytes: Buffer.from('{"leaderEpoch":"x') }]))
    place.host.kill()
    const { cluster } = await startCluster(place)
    expect(cluster.metadataEpoch).toBe(2)
  })

  it('stops the start where a record cannot be read, instead of guessing what comes after it', async () => {
    const place = clusterWorld()
    const first = await startCluster(place)
    await place.world.settle(first.cluster.createTopic(creationOf('a')))
    const ofNoKnownType = Buffer.from([1, 127, 0])
    const builder = new RecordBatchBuilder()
    builder.append(first.ports.clock.wallMs(), null, ofNoKnownType, null)
    const log = first.directory.logs.get('__cluster_metadata-0')
    if (log === undefined) throw new Error('no log')
    first.directory.appendSet([{ log, batch: builder.build(), leaderEpoch: 1, origin: 'internal' }])
    await stopCluster(place, first)
    await expect(startCluster(place)).rejects.toMatchObject({ code: 'METADATA_UNREADABLE' })
  })

  it('gives partitions that another broker has left without a leader theirs back, in a higher epoch, and believes its log starts', async () => {
    const place = clusterWorld()
    const first = await startCluster(place)
    await place.world.settle(first.cluster.createTopic(creationOf('a')))
    const batch = new RecordBatchBuilder()
    for (const value of ['x', 'y', 'z']) batch.append(first.ports.clock.wallMs(), null, Buffer.from(value), null)
    const log = first.directory.logs.get('a-0')
    const metadata = first.directory.logs.get('__cluster_metadata-0')
    if (log === undefined || metadata === undefined) throw new Error('no log')
    first.directory.appendSet([{ log, batch: batch.build(), leaderEpoch: 0, origin: 'internal' }])
    // Leaves a sealed copy of the log starts that will be of another time.
    await place.world.run(() => log.durableEndOffset === 3)
    await place.world.settle(log.deleteRecordsBefore(1))
    const resigned = new RecordBatchBuilder()
    const topicId = first.cluster.image.topic('a')?.topicId ?? ''
    const value = { partitionId: 0, topicId, leader: -1 }
    const record = encodeMetadataRecord({ type: 'PartitionChangeRecord', version: 2, value })
    resigned.append(first.ports.clock.wallMs(), null, record, null)
    first.directory.appendSet([{ log: metadata, batch: resigned.build(), leaderEpoch: 1, origin: 'internal' }])
    await stopCluster(place, first)

    const ports = place.host.boot()
    const vote = Buffer.from('{"leaderId":1,"leaderEpoch":5,"votedId":-1,"data_version":1}')
    await place.world.settle(
      ports.disk.submit([
        { kind: 'writeFile', path: '/data/log/__cluster_metadata-0/quorum-state', bytes: vote },
        { kind: 'writeFile', path: '/data/log/log-start-offset-checkpoint', bytes: Buffer.from('0\n1\na 0 2\n') },
      ]),
    )
    place.host.kill()
    for (const epoch of [6, 7]) {
      const { cluster, directory } = await startCluster(place)
      expect(cluster.metadataEpoch).toBe(epoch)
      expect(cluster.image.topic('a')?.partitions[0]).toMatchObject({ leader: 1, leaderEpoch: 2 })
      expect(directory.logs.get('a-0')?.logStartOffset).toBe(2)
      await stopCluster(place, { cluster, directory, ports, settings: first.settings })
    }
  })
})
