/** Committed offsets in `__consumer_offsets`. */
import { int32, int64, message, string, uuid, type InferInput, type InferMessage } from '../schema.ts'

/** Key of a committed offset, behind an int16 that names the kind: 1 (or 0 in logs of old). */
export const OffsetCommitKey = message({
  name: 'OffsetCommitKey',
  apiKey: 1,
  versions: '0',
  flexible: 'none',
  fields: {
    group: string(),
    topic: string(),
    partition: int32(),
  },
})
export type OffsetCommitKey = InferMessage<typeof OffsetCommitKey>
export type OffsetCommitKeyInput = InferInput<typeof OffsetCommitKey>

/** The committed offset, behind an int16 with its version. */
export const OffsetCommitValue = message({
  name: 'OffsetCommitValue',
  apiKey: 1,
  versions: '0-4',
  flexible: '4+',
  fields: {
    /** Next offset to read. */
    offset: int64(),
    /** Of the last record consumed; -1 = not known. */
    leaderEpoch: int32('3+', { default: -1, ignorable: true }),
    /** Text of the application. */
    metadata: string(),
    /** Milliseconds since 1970. */
    commitTimestamp: int64(),
    /** -1 = by the retention of the broker. */
    expireTimestamp: int64('1', { default: -1, ignorable: true }),
    topicId: uuid('4+', { tag: 0, ignorable: true }),
  },
})
export type OffsetCommitValue = InferMessage<typeof OffsetCommitValue>
export type OffsetCommitValueInput = InferInput<typeof OffsetCommitValue>
