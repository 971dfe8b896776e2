/** All handlers but those of groups (group-handlers.ts) and ApiVersions, which is the door's own. */
import type { Broker } from '../../../broker/broker.ts'
import type { HandlerEntry } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'
import { configHandlers } from './config-handlers.ts'
import { metadataHandlers } from './metadata-handlers.ts'
import { recordHandlers } from './record-handlers.ts'
import { replicaHandlers } from './replica-handlers.ts'
import { topicHandlers } from './topic-handlers.ts'

/** The rows of the table that the broker answers. */
export function brokerHandlers(broker: Broker, admin: AdminParts): readonly HandlerEntry[] {
  return [
    ...recordHandlers(broker),
    ...metadataHandlers(admin),
    ...topicHandlers(admin),
    ...configHandlers(admin),
    ...replicaHandlers(admin),
  ]
}
