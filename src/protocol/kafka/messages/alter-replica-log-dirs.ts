/** Kafka API 34, AlterReplicaLogDirs: versions 1 to 2. */
import { array, int16, int32, int32Array, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks for replicas to be moved to another log directory of the broker (KIP-113). */
export const AlterReplicaLogDirsRequest = message({
  name: 'AlterReplicaLogDirsRequest',
  apiKey: 34,
  versions: '1-2',
  flexible: '2+',
  fields: {
    dirs: array('0+', {
      /** Absolute. */
      path: string(),
      topics: array('0+', {
        name: string(),
        partitions: int32Array(),
      }),
    }),
  },
})
export type AlterReplicaLogDirsRequest = InferMessage<typeof AlterReplicaLogDirsRequest>
export type AlterReplicaLogDirsRequestInput = InferInput<typeof AlterReplicaLogDirsRequest>

/** Which of them are or will be there. */
export const AlterReplicaLogDirsResponse = message({
  name: 'AlterReplicaLogDirsResponse',
  apiKey: 34,
  versions: '1-2',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      topicName: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
})
export type AlterReplicaLogDirsResponse = InferMessage<typeof AlterReplicaLogDirsResponse>
export type AlterReplicaLogDirsResponseInput = InferInput<typeof AlterReplicaLogDirsResponse>
