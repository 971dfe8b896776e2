/** Control records of the quorum and of snapshots. */
import {
  array,
  int16,
  int32,
  int64,
  message,
  string,
  struct,
  uint16,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Value of the control record with which a new leader of the quorum begins its epoch (KIP-595). */
export const LeaderChangeMessage = message({
  name: 'LeaderChangeMessage',
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** The version that the record was written in. */
    version: int16(),
    leaderId: int32(),
    /** The whole quorum. */
    voters: array('0+', {
      voterId: int32(),
      /** All zero = not known. */
      voterDirectoryId: uuid('1+'),
    }),
    /** Those that voted for the leader. */
    grantingVoters: array('0+', {
      voterId: int32(),
      /** All zero = not known. */
      voterDirectoryId: uuid('1+'),
    }),
  },
})
export type LeaderChangeMessage = InferMessage<typeof LeaderChangeMessage>
export type LeaderChangeMessageInput = InferInput<typeof LeaderChangeMessage>

/** First control record of a snapshot (KIP-630). */
export const SnapshotHeaderRecord = message({
  name: 'SnapshotHeaderRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    /** The version that the record was written in. */
    version: int16(),
    /** Of the newest record that the snapshot covers. */
    lastContainedLogTimestamp: int64(),
  },
})
export type SnapshotHeaderRecord = InferMessage<typeof SnapshotHeaderRecord>
export type SnapshotHeaderRecordInput = InferInput<typeof SnapshotHeaderRecord>

/** Last control record of a snapshot (KIP-630). */
export const SnapshotFooterRecord = message({
  name: 'SnapshotFooterRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    /** The version that the record was written in. */
    version: int16(),
  },
})
export type SnapshotFooterRecord = InferMessage<typeof SnapshotFooterRecord>
export type SnapshotFooterRecordInput = InferInput<typeof SnapshotFooterRecord>

/** Control record: 0 = voters fixed by configuration, 1 = voters kept in the log (KIP-853). */
export const KRaftVersionRecord = message({
  name: 'KRaftVersionRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    /** The version that the record was written in. */
    version: int16(),
    kRaftVersion: int16(),
  },
})
export type KRaftVersionRecord = InferMessage<typeof KRaftVersionRecord>
export type KRaftVersionRecordInput = InferInput<typeof KRaftVersionRecord>

/** Control record: the voters of the quorum (KIP-853). */
export const VotersRecord = message({
  name: 'VotersRecord',
  versions: '0',
  flexible: '0+',
  fields: {
    /** The version that the record was written in. */
    version: int16(),
    voters: array('0+', {
      voterId: int32(),
      /** All zero = not known. */
      voterDirectoryId: uuid(),
      endpoints: array('0+', {
        name: string(),
        host: string(),
        port: uint16(),
      }),
      /** What the voter can run with. */
      kRaftVersionFeature: struct('0+', {
        minSupportedVersion: int16(),
        maxSupportedVersion: int16(),
      }),
    }),
  },
})
export type VotersRecord = InferMessage<typeof VotersRecord>
export type VotersRecordInput = InferInput<typeof VotersRecord>
