/**
 * Topics come, grow and go: the verbs behind CreateTopics, CreatePartitions, DeleteTopics, automatic creation and the internal
 * topics. The controller decides, one command at a time; a verb answers when the change is durable and its logs are there.
 */
import { ApplianceError } from '../base/errors.ts'
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import { type Clock, DiskError, type Observer } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { BrokerSettings } from '../cluster/metadata/broker-config.ts'
import type { ConfigChange, TopicCreation, TopicOutcome } from '../cluster/metadata/metadata-controller.ts'
import { configResourceType, type MetadataImage, type TopicImage } from '../cluster/metadata/metadata-image.ts'
import { topicNameFault } from '../cluster/metadata/topic-names.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { adminErrors } from './admin-errors.ts'
import { adminEvents, createdByClient } from './admin-events.ts'
import { storageRefusal } from './storage-refusal.ts'
import { withinDeadline } from './deadline.ts'
import { type InternalTopics, ownPrefix } from './internal-topics.ts'

export interface TopicAdminParts {
  readonly cluster: Cluster
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly observer: Observer
  readonly internalTopics: InternalTopics
  /** Topics of users beyond which none is created by asking for it: a bound on files and memory, not a Kafka setting. */
  readonly autoTopicsMax: number
}

/** What a client asks for; the rest of a `TopicCreation` is ours to say. */
export type TopicRequest = Omit<TopicCreation, 'owner'>

export interface VerbOptions {
  /** After it REQUEST_TIMED_OUT is answered; the change may still happen. */
  readonly timeoutMs: number
  /** Check and answer, change nothing. */
  readonly validateOnly: boolean
}

/** A topic by its name or by its id; the other is null. */
export interface TopicReference {
  readonly name: string | null
  readonly topicId: string | null
}

export class TopicAdmin {
  readonly #parts: TopicAdminParts
  /** Creations under way, so that many who ask for one topic share one. Bound: a name belongs to a request of a door. */
  readonly #creating = new Map<string, Promise<TopicOutcome>>()

  constructor(parts: TopicAdminParts) {
    this.#parts = parts
  }

  async create(request: TopicRequest, options: VerbOptions): Promise<TopicOutcome> {
    const { cluster } = this.#parts
    const outcome = await this.#run(options, () =>
      cluster.createTopic({ ...request, owner: 'client' }, options.validateOnly),
    )
    if (outcome.kind === 'done' && !options.validateOnly) this.#created(outcome.topic, createdByClient)
    return outcome
  }

  async grow(
    name: string,
    count: number,
    assignments: readonly (readonly number[])[] | null,
    options: VerbOptions,
  ): Promise<TopicOutcome> {
    const { cluster, internalTopics, observer } = this.#parts
    if (internalTopics.isInternal(name)) return refuseInternal(name, 'its number of partitions is fixed')
    const outcome = await this.#run(options, () =>
      cluster.createPartitions(name, count, assignments, options.validateOnly),
    )
    if (outcome.kind === 'done' && !options.validateOnly) {
      observer.event(adminEvents.topicGrown, { topic: name, partitions: outcome.topic.partitions.length })
    }
    return outcome
  }

  async delete(reference: TopicReference, timeoutMs: number): Promise<TopicOutcome> {
    const { cluster, internalTopics, observer, settings } = this.#parts
    const topic = this.find(reference)
    if (topic === undefined) {
      return reference.topicId === null
        ? refuse('UNKNOWN_TOPIC_OR_PARTITION', 'This server does not host this topic-partition.')
        : refuse('UNKNOWN_TOPIC_ID', 'This server does not host this topic ID.')
    }
    if (internalTopics.isInternal(topic.name)) return refuseInternal(topic.name, 'clients cannot delete it')
    if (!settings.flag('delete.topic.enable')) {
      return refuse('TOPIC_DELETION_DISABLED', 'Topic deletion is disabled (delete.topic.enable).')
    }
    const outcome = await this.#run({ timeoutMs, validateOnly: false }, () => cluster.deleteTopic(topic.topicId))
    if (outcome.kind === 'done') {
      observer.event(adminEvents.topicDeleted, { topic: topic.name, topicId: topic.topicId })
    }
    return outcome
  }

  find(reference: TopicReference): TopicImage | undefined {
    const { image } = this.#parts.cluster
    if (reference.topicId !== null) return image.topicById(reference.topicId)
    return reference.name === null ? undefined : image.topic(reference.name)
  }

  /** Makes sure that a user's topic is there, creating it where that is allowed: null when it is, else why not. */
  async ensure(name: string): Promise<KafkaErrorName | null> {
    if (this.#isServed(name)) return null
    const refusal = this.#creating.has(name) ? null : this.#whyNotAutomatic(name)
    if (refusal !== null) {
      // Auto-creation switched off is a decision of the operator, not an event.
      if (refusal.error !== 'UNKNOWN_TOPIC_OR_PARTITION') {
        this.#parts.observer.event(adminEvents.topicNotAutoCreated, { topic: name, reason: refusal.message })
      }
      return refusal.error
    }
    const error = errorOf(await this.#createOnce({ ...defaultTopic, name, owner: 'client' }, 'automatically'))
    return error ?? ((await this.#serve(name)) === null ? null : 'KAFKA_STORAGE_ERROR')
  }

  /**
   * Makes sure that an internal topic is there, with its logs and with the settings that this build declares. Throws
   * INTERNAL_TOPIC_MISSING when that cannot be had.
   */
  async ensureInternal(topic: string | InternalTopicDefinition): Promise<void> {
    const definition = typeof topic === 'string' ? this.#parts.internalTopics.definition(topic) : topic
    const name = typeof topic === 'string' ? topic : topic.name
    if (this.#isServed(name)) {
      if (definition !== undefined) await this.#declare(definition)
      return
    }
    if (definition === undefined) {
      throw new ApplianceError(adminErrors.internalTopicMissing, { topic: name, reason: 'no room has declared it' })
    }
    const outcome = await this.#createOnce(
      {
        ...defaultTopic,
        name,
        partitions: definition.partitions,
        configs: new Map(Object.entries(definition.configs)),
        owner: 'node',
      },
      'for this node itself',
    )
    const refusal = errorOf(outcome) !== null && outcome.kind === 'refused' ? outcome.message : null
    const reason = refusal ?? (await this.#serve(name))
    if (reason === null) return this.#declare(definition)
    throw new ApplianceError(adminErrors.internalTopicMissing, { topic: name, reason })
  }

  /** Gives a topic of this node the settings that are declared now: an earlier build may have made it with others. */
  async #declare({ name, configs }: InternalTopicDefinition): Promise<void> {
    const { cluster, observer } = this.#parts
    const isOwn = name.startsWith(ownPrefix)
    const changesOf = (image: MetadataImage): readonly ConfigChange[] => {
      const set = image.configs(configResourceType.topic, name)
      const declared = Object.entries(configs).filter(([key]) => isOwn || key === 'cleanup.policy')
      const others = isOwn ? [...set.keys()].filter((key) => !(key in configs)) : []
      const wanted = [...declared, ...others.map((key) => [key, null] as const)]
      return wanted
        .filter(([key, value]) => (set.get(key) ?? null) !== value)
        .map(([key, value]) => ({ type: configResourceType.topic, name, key, value }))
    }
    const changes = changesOf(cluster.image)
    if (changes.length === 0) return
    await cluster.controller.alterConfigs(changesOf)
    cluster.applyConfigs()
    const keys = changes.map(({ key }) => key).join(', ')
    observer.event(adminEvents.configsChanged, { resource: `topic ${name}`, keys })
  }

  /** Makes the logs of a known topic that lacks some; why it cannot, in words, or null. */
  async #serve(name: string): Promise<string | null> {
    if (this.#isServed(name)) return null
    try {
      await this.#parts.cluster.serveTopic(name)
    } catch (thrown) {
      if (!(thrown instanceof ApplianceError) && !(thrown instanceof DiskError)) throw thrown
      return thrown.message
    }
    return this.#isServed(name) ? null : 'its logs are not there'
  }

  /** Known and with its logs: between the two a topic is being created. */
  #isServed(name: string): boolean {
    const { image, partitions } = this.#parts.cluster
    const known = image.topic(name)?.partitions ?? []
    return known.length > 0 && known.every(({ partition }) => partitions.get(name, partition) !== undefined)
  }

  #whyNotAutomatic(name: string): { readonly error: KafkaErrorName; readonly message: string } | null {
    const { autoTopicsMax, cluster, internalTopics, settings } = this.#parts
    const fault = topicNameFault(name)
    if (fault !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message: fault }
    if (internalTopics.isInternal(name)) return { error: 'INVALID_TOPIC_EXCEPTION', message: 'the name is internal' }
    if (!settings.flag('auto.create.topics.enable')) {
      return { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'auto.create.topics.enable is false' }
    }
    let users = this.#creating.size
    for (const topic of cluster.image.topics()) if (!internalTopics.isInternal(topic.name)) users++
    if (users < autoTopicsMax) return null
    return { error: 'POLICY_VIOLATION', message: `there are ${autoTopicsMax} topics already` }
  }

  #createOnce(creation: TopicCreation, how: string): Promise<TopicOutcome> {
    const underWay = this.#creating.get(creation.name)
    if (underWay !== undefined) return underWay
    const created = orStorageError(this.#parts.cluster.createTopic(creation)).finally(() =>
      this.#creating.delete(creation.name),
    )
    this.#creating.set(creation.name, created)
    return created.then((outcome) => {
      if (outcome.kind === 'done') this.#created(outcome.topic, how)
      return outcome
    })
  }

  #run(options: VerbOptions, command: () => Promise<TopicOutcome>): Promise<TopicOutcome> {
    return withinDeadline(this.#parts.clock, options.timeoutMs, orStorageError(command()), () =>
      refuse('REQUEST_TIMED_OUT', `not finished within ${options.timeoutMs} ms; it may still happen`),
    )
  }

  #created(topic: TopicImage, how: string): void {
    this.#parts.observer.event(adminEvents.topicCreated, {
      topic: topic.name,
      partitions: topic.partitions.length,
      how,
    })
  }
}

const defaultTopic = { partitions: -1, replicationFactor: -1, assignments: [], configs: new Map<string, string>() }

/** Null also when somebody else was faster. */
function errorOf(outcome: TopicOutcome): KafkaErrorName | null {
  return outcome.kind === 'done' || outcome.error === 'TOPIC_ALREADY_EXISTS' ? null : outcome.error
}

async function orStorageError(work: Promise<TopicOutcome>): Promise<TopicOutcome> {
  try {
    return await work
  } catch (thrown) {
    return { kind: 'refused', ...storageRefusal(thrown) }
  }
}

function refuse(error: KafkaErrorName, message: string): TopicOutcome {
  return { kind: 'refused', error, message }
}

function refuseInternal(name: string, why: string): TopicOutcome {
  return refuse('INVALID_TOPIC_EXCEPTION', `${name} is an internal topic of this node: ${why}`)
}
