/** The handlers of metadata and administration; those of records are in record-handlers.ts, those of groups in group-handlers.ts. */
import type { Ports } from '../../../base/ports.ts'
import { ConfigAdmin } from '../../../broker/config-admin.ts'
import type { InternalTopics } from '../../../broker/internal-topics.ts'
import { AclAdmin } from '../../../broker/acl-admin.ts'
import { QuotaAdmin } from '../../../broker/quota-admin.ts'
import { ScramAdmin } from '../../../broker/scram-admin.ts'
import type { TopicAdmin } from '../../../broker/topic-admin.ts'
import type { Cluster } from '../../../cluster/cluster.ts'
import type { BrokerSettings } from '../../../cluster/metadata/broker-config.ts'
import type { LogDirectory } from '../../../log/log-directory.ts'
import type { HandlerEntry } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'
import { aclHandlers } from './acl-handlers.ts'
import { configHandlers } from './config-handlers.ts'
import { credentialHandlers } from './credential-handlers.ts'
import { metadataHandlers } from './metadata-handlers.ts'
import { quorumHandlers } from './quorum-handlers.ts'
import { quotaHandlers } from './quota-handlers.ts'
import { replicaHandlers } from './replica-handlers.ts'
import { topicHandlers } from './topic-handlers.ts'
import { transactionHandlers } from './transaction-handlers.ts'

export interface AdminHandlerOptions {
  readonly cluster: Cluster
  readonly directory: Pick<LogDirectory, 'clusterId' | 'directoryId' | 'logDirectory' | 'nodeId'>
  readonly settings: BrokerSettings
  readonly topics: TopicAdmin
  readonly internalTopics: InternalTopics
  readonly ports: Pick<Ports, 'clock' | 'disk' | 'entropy' | 'observer'>
}

/** Their rows of the table. */
export function adminHandlers(options: AdminHandlerOptions): readonly HandlerEntry[] {
  const { cluster, directory, internalTopics, ports, settings, topics } = options
  const { clusterId, directoryId, logDirectory, nodeId } = directory
  const configs = new ConfigAdmin({ cluster, settings, observer: ports.observer, internalTopics, nodeId, logDirectory })
  const parts: AdminParts = {
    cluster,
    topics,
    configs,
    internalTopics,
    disk: ports.disk,
    clock: ports.clock,
    nodeId,
    clusterId,
    directoryId,
    logDirectory,
  }
  return [
    ...metadataHandlers(parts),
    ...topicHandlers(parts),
    ...configHandlers(parts),
    ...replicaHandlers(parts),
    ...quorumHandlers(parts),
    ...transactionHandlers(),
    ...quotaHandlers(new QuotaAdmin(cluster, ports.observer)),
    ...credentialHandlers(new ScramAdmin(cluster, ports.observer)),
    ...aclHandlers(new AclAdmin({ cluster, ...ports }), () => settings.text('authorizer.class.name') !== ''),
  ]
}
