/** Appending to a topic of the node itself, where the caller wants to know that it is committed. */
import { ApplianceError } from '../base/errors.ts'
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import { adminErrors } from './admin-errors.ts'
import type { Broker } from './broker.ts'

/** Appends to partition 0, and makes the topic where it is missing. Resolves when the batch is committed; rejects with INTERNAL_TOPIC_MISSING. */
export async function appendToOwnTopic(
  broker: Pick<Broker, 'partitions' | 'ensureInternalTopic'>,
  definition: InternalTopicDefinition,
  batch: Uint8Array,
): Promise<void> {
  const topic = definition.name
  if (broker.partitions.get(topic, 0) === undefined) await broker.ensureInternalTopic(definition)
  const partition = broker.partitions.get(topic, 0)
  const refuse = (reason: string): never => {
    throw new ApplianceError(adminErrors.internalTopicMissing, { topic, reason })
  }
  if (partition === undefined) return refuse('it has no log')
  const [outcome] = broker.partitions.appendSet([{ partition, batch, origin: 'internal' }])
  if (outcome === undefined || outcome.kind === 'refused') return refuse(outcome?.message ?? 'no outcome')
  const end = outcome.lastOffset + 1
  const error = await new Promise<string | null>((resolve) => partition.whenHighWatermark(end, resolve))
  if (error !== null) refuse(error)
}
