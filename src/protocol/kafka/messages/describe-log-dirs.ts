/** Kafka API 35, DescribeLogDirs: versions 1 to 4. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  int64,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the sizes of replicas on disk (KIP-113, KIP-827). */
export const DescribeLogDirsRequest = message({
  name: 'DescribeLogDirsRequest',
  apiKey: 35,
  versions: '1-4',
  flexible: '2+',
  fields: {
    /** Null = all. */
    topics: array(
      '0+',
      {
        topic: string(),
        partitions: int32Array(),
      },
      { nullable: '0+' },
    ),
  },
})
export type DescribeLogDirsRequest = InferMessage<typeof DescribeLogDirsRequest>
export type DescribeLogDirsRequestInput = InferInput<typeof DescribeLogDirsRequest>

/** Directories with the replicas in them. */
export const DescribeLogDirsResponse = message({
  name: 'DescribeLogDirsResponse',
  apiKey: 35,
  versions: '1-4',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16('3+', { ignorable: true }),
    results: array('0+', {
      errorCode: int16(),
      /** Absolute path. */
      logDir: string(),
      topics: array('0+', {
        name: string(),
        partitions: array('0+', {
          partitionIndex: int32(),
          /** Bytes in the log of the replica. */
          partitionSize: int64(),
          /** Behind the high watermark (or, of a future replica, behind the current one). */
          offsetLag: int64(),
          /** A replica that is being moved here. */
          isFutureKey: bool(),
        }),
      }),
      /** Of the file system; -1 = not known. */
      totalBytes: int64('4+', { default: -1, ignorable: true }),
      /** Of the file system; -1 = not known. */
      usableBytes: int64('4+', { default: -1, ignorable: true }),
    }),
  },
})
export type DescribeLogDirsResponse = InferMessage<typeof DescribeLogDirsResponse>
export type DescribeLogDirsResponseInput = InferInput<typeof DescribeLogDirsResponse>
