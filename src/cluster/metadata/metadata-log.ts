/**
 * The log of metadata records: written by this node as the only voter of a dynamic KRaft quorum (KIP-853), read whole at start.
 *
 * Each start begins an epoch: `quorum-state` (the vote) is durable before the first batch of the epoch, which is a leader-change
 * control record; the very first batch also names the kraft.version and the voters, as `kafka-storage format --standalone` does.
 */
import { ApplianceError } from '../../base/errors.ts'
import type { Ports } from '../../base/ports.ts'
import type { LogDirectory } from '../../log/log-directory.ts'
import { quorumEpochOf, quorumEpochWrites, quorumStateName } from '../../log/other-owner.ts'
import type { UnifiedLog } from '../../log/unified-log.ts'
import { encodeMessage } from '../../protocol/kafka/compile.ts'
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type MetadataRecordInput,
} from '../../protocol/kafka/stored/metadata-record.ts'
import { KRaftVersionRecord, LeaderChangeMessage, VotersRecord } from '../../protocol/kafka/stored/quorum-records.ts'
import { type ControlRecordType, encodeControlRecordKey } from '../../protocol/records/control-record.ts'
import { forEachRecord } from '../../protocol/records/record.ts'
import { batchIsControl, batchLastOffset, forEachBatch } from '../../protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../protocol/records/record-batch-builder.ts'
import type { Partition } from '../partition/partition.ts'
import { clusterEvents } from '../cluster-events.ts'
import { metadataErrors } from './metadata-errors.ts'
import { readSnapshot, snapshotsIn } from './metadata-snapshot.ts'

export const metadataTopic = '__cluster_metadata'
/** Kafka's fixed id of the metadata topic. */
export const metadataTopicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const readBytes = 1_048_576
const quorumStateBytesMax = 65_536
/** Far above the records of 20,000 partitions. */
const snapshotBytesMax = 268_435_456

export interface ReplayedRecord {
  readonly record: MetadataRecord
  readonly offset: number
}

export class MetadataLog {
  readonly #directory: LogDirectory
  readonly #ports: Pick<Ports, 'disk' | 'clock' | 'observer'>
  readonly partition: Partition
  readonly #log: UnifiedLog
  #epoch = 0

  constructor(directory: LogDirectory, partition: Partition, ports: Pick<Ports, 'disk' | 'clock' | 'observer'>) {
    this.#directory = directory
    this.#ports = ports
    this.partition = partition
    this.#log = partition.log
  }

  /** Epoch of the quorum since this start. */
  get epoch(): number {
    return this.#epoch
  }

  /**
   * Every record in order: those of the newest whole snapshot, then those of the log behind it. Throws METADATA_UNREADABLE when one
   * cannot be read, or when the log begins behind every snapshot: what comes after would mean something else.
   */
  async replay(visit: (replayed: ReplayedRecord) => void): Promise<void> {
    let offset = await this.#replaySnapshot(visit)
    while (offset < this.#log.logEndOffset) {
      const read = await this.#log.read({
        fromOffset: offset,
        endOffset: this.#log.logEndOffset,
        bytesMax: readBytes,
        minOneBatch: true,
      })
      if (read.kind !== 'batches' || read.bytes.length === 0) {
        throw new ApplianceError(metadataErrors.metadataUnreadable, { offset, reason: read.kind })
      }
      forEachBatch(read.bytes, (bytes, at) => {
        if (!batchIsControl(bytes, at)) this.#replayBatch(bytes, at, visit)
        offset = batchLastOffset(bytes, at) + 1
      })
    }
  }

  /** Answers the offset at which the log goes on. */
  async #replaySnapshot(visit: (replayed: ReplayedRecord) => void): Promise<number> {
    const { disk } = this.#ports
    const { directory, logStartOffset, logEndOffset } = this.#log
    const names = (await disk.list(directory)).map(({ name }) => name)
    let reason = 'no snapshot stands for what has been deleted'
    for (const { name, endOffset } of snapshotsIn(names)) {
      if (endOffset < logStartOffset || endOffset > logEndOffset) continue
      const bytes = await disk.readFile(`${directory}/${name}`, snapshotBytesMax)
      const records = bytes === null ? 'it is too large' : readSnapshot(bytes)
      if (typeof records !== 'string') {
        for (const record of records) visit({ record, offset: endOffset - 1 })
        return endOffset
      }
      reason = `${name}: ${records}`
      this.#ports.observer.event(clusterEvents.snapshotIgnored, { file: name, reason: records })
    }
    if (logStartOffset > 0) throw new ApplianceError(metadataErrors.metadataUnreadable, { offset: 0, reason })
    return 0
  }

  #replayBatch(bytes: Uint8Array, at: number, visit: (replayed: ReplayedRecord) => void): void {
    forEachRecord(bytes, at, ({ offset, value }) => {
      if (value === null) return true
      try {
        visit({ record: decodeMetadataRecord(value), offset })
      } catch (thrown) {
        const reason = thrown instanceof Error ? thrown.message : String(thrown)
        throw new ApplianceError(metadataErrors.metadataUnreadable, { offset, reason }, { cause: thrown })
      }
      return true
    })
  }

  /** Begins the epoch of this start. Durable when it resolves. */
  async beginEpoch(): Promise<void> {
    const folder = this.#log.directory
    const path = `${folder}/${quorumStateName}`
    const before = await this.#ports.disk.readFile(path, quorumStateBytesMax)
    this.#epoch = Math.max(quorumEpochOf(before), this.#log.latestLeaderEpoch, 0) + 1
    const leaderId = this.#directory.nodeId
    const state = {
      leaderId,
      leaderEpoch: this.#epoch,
      votedId: -1,
      votedDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA',
      data_version: 1,
    }
    await this.#directory.writeAside([
      ...quorumEpochWrites(this.#directory.stateDirectory, this.#epoch),
      { kind: 'writeFile', path: `${path}.tmp`, bytes: Buffer.from(JSON.stringify(state)) },
      { kind: 'sync', path: `${path}.tmp` },
      { kind: 'rename', from: `${path}.tmp`, to: path },
      { kind: 'syncDirectory', path: folder },
    ])
    await this.#append(this.#leaderChange(), true)
  }

  /** Appends records as one batch: all or none of them. Resolves with the offset of the first when they are durable. */
  append(records: readonly MetadataRecordInput[]): Promise<number> {
    const builder = new RecordBatchBuilder()
    const nowMs = this.#ports.clock.wallMs()
    for (const record of records) builder.append(nowMs, null, encodeMetadataRecord(record), null)
    return this.#append(builder, false)
  }

  #append(builder: RecordBatchBuilder, isControl: boolean): Promise<number> {
    const batch = builder.build({ isControl, partitionLeaderEpoch: this.#epoch })
    const [outcome] = this.#directory.appendSet([
      { log: this.#log, batch, leaderEpoch: this.#epoch, origin: 'internal' },
    ])
    if (outcome === undefined || outcome.kind === 'refused') {
      return Promise.reject(
        new ApplianceError(metadataErrors.metadataNotWritten, { reason: outcome?.message ?? 'no answer' }),
      )
    }
    return new Promise((resolve, reject) => {
      this.partition.whenHighWatermark(outcome.lastOffset + 1, (error) => {
        if (error === null) resolve(outcome.baseOffset)
        else reject(new ApplianceError(metadataErrors.metadataNotWritten, { reason: error }))
      })
    })
  }

  #leaderChange(): RecordBatchBuilder {
    const { nodeId, directoryId } = this.#directory
    const voter = { voterId: nodeId, voterDirectoryId: directoryId }
    const builder = new RecordBatchBuilder()
    const nowMs = this.#ports.clock.wallMs()
    const add = (type: ControlRecordType, value: readonly Uint8Array[]): void =>
      builder.append(nowMs, encodeControlRecordKey(type), Buffer.concat(value), null)
    add(
      'LEADER_CHANGE',
      // Kafka's own tools read this record as version 0, whatever the kraft.version.
      encodeMessage(LeaderChangeMessage, 0, {
        version: 0,
        leaderId: nodeId,
        voters: [{ voterId: nodeId }],
        grantingVoters: [{ voterId: nodeId }],
      }),
    )
    if (this.#log.logEndOffset > 0) return builder
    add('KRAFT_VERSION', encodeMessage(KRaftVersionRecord, 0, { version: 0, kRaftVersion: 1 }))
    const endpoints = [{ name: 'CONTROLLER', host: '127.0.0.1', port: 9093 }]
    const kRaftVersionFeature = { minSupportedVersion: 0, maxSupportedVersion: 1 }
    add(
      'KRAFT_VOTERS',
      encodeMessage(VotersRecord, 0, { version: 0, voters: [{ ...voter, endpoints, kRaftVersionFeature }] }),
    )
    return builder
  }
}
