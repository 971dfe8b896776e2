/**
 * The log of metadata records: written by this node as the only voter of a dynamic KRaft quorum (KIP-853), read whole at start.
 *
 * Each start begins an epoch: `quorum-state` (the vote) is durable before the first batch of the epoch, which is a leader-change
 * control record; the very first batch also names the kraft.version and the voters, as `kafka-storage format --standalone` does.
 */
import { ApplianceError, asError } from '../../base/errors.ts'
import { nextTurn } from '../../base/next-turn.ts'
import type { DiskOperation, Ports } from '../../base/ports.ts'
import { replaceFile } from '../../base/replace-file.ts'
import type { LogDirectory } from '../../log/log-directory.ts'
import { readSmall } from '../../log/load-parts.ts'
import { ownQuorumEpoch, quorumEpochOf, quorumEpochWrites, quorumStateName } from '../../log/other-owner.ts'
import type { UnifiedLog } from '../../log/unified-log.ts'
import { encodeMessage } from '../../protocol/kafka/compile.ts'
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
  type MetadataRecordInput,
} from '../../protocol/kafka/stored/metadata-record.ts'
import { LeaderChangeMessage } from '../../protocol/kafka/stored/quorum-records.ts'
import { type ControlRecordType, encodeControlRecordKey } from '../../protocol/records/control-record.ts'
import { forEachRecord } from '../../protocol/records/record.ts'
import { batchIsControl, batchLastOffset, forEachBatch } from '../../protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../protocol/records/record-batch-builder.ts'
import type { Partition } from '../partition/partition.ts'
import { clusterEvents } from '../cluster-events.ts'
import { metadataErrors } from './metadata-errors.ts'
import { readSnapshot, type SnapshotId, snapshotsIn } from './metadata-snapshot.ts'
import { SnapshotFold } from './snapshot-fold.ts'
import { addVoters, encodeSnapshotFile, snapshotName } from './snapshot-writer.ts'

export const metadataTopic = '__cluster_metadata'
/** Kafka's fixed id of the metadata topic. */
export const metadataTopicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
const readBytes = 1_048_576
const quorumStateBytesMax = 65_536
/** Far above the records of 20,000 partitions. */
const snapshotBytesMax = 268_435_456

/** Records from one snapshot to the next, and how many there are to be before a start takes the first. */
const snapshotEveryRecords = 1_000
const firstSnapshotRecords = 10
/** Snapshots that are kept: when the newest turns out to be damaged, the one before it and the log behind that say the same. */
const generations = 2

/** Records of the metadata log that cannot be read any more. */
export interface MetadataLoss {
  readonly fromOffset: number
  /** Exclusive. */
  readonly endOffset: number
  readonly reason: string
}

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
  /** End offset of the newest whole snapshot, as far as it is known; null = there is none. */
  #newestSnapshot: number | null = null

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
   * Every record in order: those of the newest whole snapshot, then those of the log behind it. Answers what of it is lost: damaged parts
   * of the log, or everything before it when it begins behind every whole snapshot. Throws METADATA_UNREADABLE for a whole record that
   * cannot be understood.
   */
  async replay(visit: (replayed: ReplayedRecord) => void, endOffset = this.#log.logEndOffset): Promise<MetadataLoss[]> {
    const losses: MetadataLoss[] = []
    let offset = await this.#replaySnapshot(visit, losses)
    while (offset < endOffset) {
      const read = await this.#log.read({ fromOffset: offset, endOffset, bytesMax: readBytes, minOneBatch: true })
      if (read.kind === 'damaged') {
        losses.push({ fromOffset: offset, endOffset: read.nextOffset, reason: 'the log is damaged there' })
        offset = read.nextOffset
        continue
      }
      if (read.kind !== 'batches' || read.bytes.length === 0) {
        throw new ApplianceError(metadataErrors.metadataUnreadable, { offset, reason: read.kind })
      }
      forEachBatch(read.bytes, (bytes, at) => {
        if (!batchIsControl(bytes, at)) this.#replayBatch(bytes, at, visit)
        offset = batchLastOffset(bytes, at) + 1
      })
    }
    return losses
  }

  /** Answers the offset at which the log goes on. */
  async #replaySnapshot(visit: (replayed: ReplayedRecord) => void, losses: MetadataLoss[]): Promise<number> {
    const { disk } = this.#ports
    const { directory, logStartOffset, logEndOffset } = this.#log
    const names = (await disk.list(directory)).map(({ name }) => name)
    let reason = 'no snapshot stands for what has been deleted'
    for (const { name, endOffset } of snapshotsIn(names)) {
      if (endOffset < logStartOffset || endOffset > logEndOffset) continue
      const records = await this.#readSnapshotFile(name)
      if (typeof records !== 'string') {
        this.#newestSnapshot = endOffset
        for (const record of records) visit({ record, offset: endOffset - 1 })
        return endOffset
      }
      reason = `${name}: ${records}`
      this.#ports.observer.event(clusterEvents.snapshotIgnored, { file: name, reason: records })
    }
    this.#newestSnapshot = null
    if (logStartOffset > 0) losses.push({ fromOffset: 0, endOffset: logStartOffset, reason })
    return logStartOffset
  }

  async #readSnapshotFile(name: string): Promise<readonly MetadataRecord[] | string> {
    try {
      const bytes = await this.#ports.disk.readFile(`${this.#log.directory}/${name}`, snapshotBytesMax)
      return bytes === null ? 'it is gone' : readSnapshot(bytes)
    } catch (thrown) {
      return asError(thrown).message
    }
  }

  /** Is it time for a snapshot? A start takes the first one as soon as there is something to say. */
  isSnapshotDue(isStart: boolean): boolean {
    const behind = this.partition.highWatermark - (this.#newestSnapshot ?? 0)
    return behind >= (isStart && this.#newestSnapshot === null ? firstSnapshotRecords : snapshotEveryRecords)
  }

  /**
   * Writes a snapshot of everything that is committed, and keeps two generations: the two newest whole ones, and the log since the older.
   * Where the log cannot be read whole there is none, unless asked for: it makes the loss final.
   */
  async takeSnapshot(which: 'if whole' | 'with what was lost'): Promise<void> {
    const endOffset = this.partition.highWatermark
    const fold = new SnapshotFold()
    const losses = await this.replay(({ record }) => fold.add(record), endOffset)
    const name = snapshotName(endOffset, this.#log.epochs.epochAt(endOffset - 1))
    if ((losses.length > 0 && which === 'if whole') || this.#newestSnapshot === endOffset) return
    const { clock } = this.#ports
    const { nodeId, directoryId } = this.#directory
    const nowMs = clock.wallMs()
    const content = {
      records: fold.records(),
      epoch: Math.max(0, this.#log.epochs.epochAt(endOffset - 1)),
      timestampMs: nowMs,
      coversUntilMs: nowMs,
      voter: { nodeId, directoryId },
    }
    const bytes = await encodeSnapshotFile(content, () => nextTurn(clock))
    const folder = this.#log.directory
    const writes = [...replaceFile(`${folder}/${name}`, bytes), { kind: 'syncDirectory', path: folder } as const]
    // Without room it is written another time: the log says the same.
    if (!(await this.#directory.tryAside(writes))) return
    if (typeof (await this.#readSnapshotFile(name)) === 'string') return
    this.#newestSnapshot = endOffset
    this.#ports.observer.event(clusterEvents.snapshotTaken, { file: name, records: content.records.length })
    const [first] = losses
    // A front that is lost is made good by the snapshot: the log begins behind it, or each start would look for it.
    if (first?.fromOffset === 0) await this.#log.deleteRecordsBefore(first.endOffset)
    await this.#dropOldGenerations()
  }

  async #dropOldGenerations(): Promise<void> {
    const { disk } = this.#ports
    const folder = this.#log.directory
    const whole: SnapshotId[] = []
    const names = (await disk.list(folder)).map((entry) => entry.name)
    for (const id of snapshotsIn(names)) {
      if (whole.length < generations && typeof (await this.#readSnapshotFile(id.name)) !== 'string') whole.push(id)
    }
    const oldest = whole.at(-1)
    if (whole.length < generations || oldest === undefined) return
    const old = snapshotsIn(names).filter(({ endOffset }) => endOffset < oldest.endOffset)
    if (old.length > 0) {
      const unlinks = old.map(({ name }): DiskOperation => ({ kind: 'unlink', path: `${folder}/${name}` }))
      await this.#directory.writeAside([...unlinks, { kind: 'syncDirectory', path: folder }], { lane: 'relief' })
    }
    // Whole segments only: a log that fits into one is kept.
    const second = this.#log.segments[1]
    if (second !== undefined && second.baseOffset <= oldest.endOffset)
      await this.#log.deleteRecordsBefore(oldest.endOffset)
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
    const { disk } = this.#ports
    const before = quorumEpochOf(await readSmall(disk, path, quorumStateBytesMax))
    const own = await ownQuorumEpoch(disk, this.#directory.stateDirectory)
    this.#epoch = Math.max(before, own, this.#log.latestLeaderEpoch, 0) + 1
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
    addVoters({ nodeId, directoryId }, add)
    return builder
  }
}
