/**
 * Which topics are internal: Kafka's own, ours (`__headwater_...`), and those that a room of this build has declared. Clients may
 * read some of them; a client's write, creation, change or deletion of one is refused (architecture law 9).
 */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'

/** Names that begin with it are topics of this node and of nobody else. */
export const ownPrefix = '__headwater_'
/** Names that Apache Kafka keeps for itself, whether this node has such a topic or not. */
const kafkaNames: ReadonlySet<string> = new Set([
  '__cluster_metadata',
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
  '__remote_log_metadata',
])

export class InternalTopics {
  readonly #definitions: ReadonlyMap<string, InternalTopicDefinition>

  constructor(definitions: readonly InternalTopicDefinition[]) {
    this.#definitions = new Map(definitions.map((definition) => [definition.name, definition]))
  }

  isInternal(topic: string): boolean {
    return (
      topic.startsWith('__') && (topic.startsWith(ownPrefix) || kafkaNames.has(topic) || this.#definitions.has(topic))
    )
  }

  /** May a client with the right to read it do so? True of every topic that is not internal. */
  isReadable(topic: string): boolean {
    return !this.isInternal(topic) || this.#definitions.get(topic)?.readable === true
  }

  /** The same, and topics that are for administrators: whoever serves those asks for their right. */
  isServed(topic: string): boolean {
    return this.isReadable(topic) || this.isForAdministrators(topic)
  }

  /** Needs its reader the right to alter the cluster, beside that to read the topic? */
  isForAdministrators(topic: string): boolean {
    return topic.startsWith(ownPrefix) && this.#definitions.get(topic)?.readable === 'administrators'
  }

  /** As its room has declared it. */
  definition(topic: string): InternalTopicDefinition | undefined {
    return this.#definitions.get(topic)
  }
}
