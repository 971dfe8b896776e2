/**
 * Internal topics are declared by the room that replays them and handed to `cluster/metadata` when the appliance is built.
 * Clients may read those that are `readable`; a client's write, auto-creation or deletion is refused with INVALID_TOPIC_EXCEPTION.
 */
export interface InternalTopicDefinition {
  /** Kafka's own name, or `__headwater_...`. */
  readonly name: string
  /** Fixed when the topic is created. */
  readonly partitions: number
  /** Topic configs it is created with. */
  readonly configs: Readonly<Record<string, string>>
  /** May clients read it? `administrators`: with an authorizer those alone who may alter the cluster. */
  readonly readable: boolean | 'administrators'
  /** What it holds: one sentence for docs/internal-topics.md. */
  readonly holds: string
}
