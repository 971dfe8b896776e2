import type { Clock, Disk } from '../../../base/ports.ts'
import type { ConfigAdmin } from '../../../broker/config-admin.ts'
import type { InternalTopics } from '../../../broker/internal-topics.ts'
import type { TopicAdmin } from '../../../broker/topic-admin.ts'
import type { Cluster } from '../../../cluster/cluster.ts'

/** What the handlers of metadata and administration work on. */
export interface AdminParts {
  readonly cluster: Cluster
  readonly topics: TopicAdmin
  readonly configs: ConfigAdmin
  readonly internalTopics: InternalTopics
  readonly disk: Disk
  readonly clock: Clock
  readonly nodeId: number
  readonly clusterId: string
  /** Id of the log directory, by which the quorum knows its voter. */
  readonly directoryId: string
  /** `dataDir/log`, absolute. */
  readonly logDirectory: string
}

/** "Not asked for", where a response has room for authorized operations. */
export const operationsNotAsked = -2_147_483_648

/** Bits of Kafka's AclOperation: everything that can be done with a topic. Nothing is forbidden while there is no authorizer. */
export const topicOperations = bits([3, 4, 5, 6, 7, 8, 10, 11])
/** The same for the cluster. */
export const clusterOperations = bits([5, 7, 8, 9, 10, 11, 12])

function bits(operations: readonly number[]): number {
  return operations.reduce((sum, operation) => sum | (1 << operation), 0)
}
