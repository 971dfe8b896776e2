/**
 * What a client may publish to and read: the rights on the Kafka topics that its MQTT topics map to (WRITE and READ). There is no right to
 * create: a topic that a rule names, and that may be written, is created as for anybody.
 */
import { copyBytes } from '../../base/bytes.ts'
import { isOfSys, plainFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import { isValidTopicName, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { aclOperation, aclResource, clusterResourceName } from '../../security/acl.ts'
import type { Subject } from '../../security/authorizer.ts'
import type { DoorServices } from './door-services.ts'
import { type CachedByTopic, hashTopic, TopicCache } from './route-cache.ts'
import { certificatePrefix, decodedPrefix } from './sparkplug.ts'
import type { TopicMapping } from './topic-mapping.ts'

/** Whose a session is, and from where it was opened: entries of access control name both. */
export interface SessionOwner {
  readonly principal: string
  readonly host: string
}

/** Null: the client may do everything. */
export function rightsOf(
  { principal, host }: SessionOwner,
  { authorizer, mapping, options }: Pick<DoorServices, 'authorizer' | 'mapping' | 'options'>,
): TopicRights | null {
  const subject = authorizer?.subject(principal, host)
  if (subject === undefined || subject.isUnlimited) return null
  const { lastResortTopic, sparkplug } = options
  const { certificatesTopic = null, decodedTopic = null } = sparkplug ?? {}
  return new TopicRights({ subject, mapping, lastResortTopic, certificatesTopic, decodedTopic })
}

export interface TopicRightsOptions {
  readonly subject: Subject
  readonly mapping: TopicMapping
  readonly lastResortTopic: string
  /** Kafka topic of Sparkplug's birth certificates; null = there are none. */
  readonly certificatesTopic: string | null
  /** Kafka topic of Sparkplug's messages as JSON; null = there are none. */
  readonly decodedTopic: string | null
}

interface PlannedTopic extends CachedByTopic {
  /** Null: the topic is not stored at all, and refused by others. */
  readonly kafkaTopic: string | null
}

/** MQTT topics of one client whose Kafka topic is remembered. */
const cacheCapacity = 256

/** The rights of one client that is not unlimited. */
export class TopicRights {
  private readonly options: TopicRightsOptions
  private readonly cache = new TopicCache<PlannedTopic>(cacheCapacity)

  constructor(options: TopicRightsOptions) {
    this.options = options
  }

  /** May a message be published to the topic name [start, end)? What is no topic name is for others to refuse. */
  mayPublish(bytes: Uint8Array, start: number, end: number): boolean {
    const hash = hashTopic(bytes, start, end)
    let planned = this.cache.find(hash, bytes, start, end)
    if (planned === undefined) {
      if (!isValidTopicName(bytes, start, end)) return true
      planned = {
        topic: copyBytes(bytes, start, end),
        topicHash: hash,
        kafkaTopic: this.plan(utf8Text(bytes, start, end)),
      }
      this.cache.add(planned)
    }
    return planned.kafkaTopic === null || this.mayWrite(planned.kafkaTopic)
  }

  /** The same for a topic as text. */
  mayPublishTo(topic: string): boolean {
    const kafkaTopic = this.plan(topic)
    return kafkaTopic === null || this.mayWrite(kafkaTopic)
  }

  /** Where a message really goes may be another topic than the planned one: the last resort. */
  mayWrite(kafkaTopic: string): boolean {
    return this.options.subject.demands(aclOperation.write, aclResource.topic, kafkaTopic)
  }

  mayRead(kafkaTopic: string): boolean {
    return this.options.subject.allows(aclOperation.read, aclResource.topic, kafkaTopic)
  }

  /**
   * May the filter be subscribed to? One with wildcards speaks of topics that nobody knows yet: it is refused where nothing at all may be
   * read, and each message is judged when it is delivered.
   */
  maySubscribe(subscription: string): boolean {
    const filter = plainFilterOf(subscription)
    if (isOfSys(filter)) return this.mayReadSys()
    if (/[+#]/.test(filter)) return this.options.subject.allowsSome(aclOperation.read, aclResource.topic)
    const kafkaTopic = this.plan(filter)
    return kafkaTopic === null || this.options.subject.demands(aclOperation.read, aclResource.topic, kafkaTopic)
  }

  /** May a message of this topic name be given to the client? */
  mayReceive(topic: string): boolean {
    if (isOfSys(topic)) return this.mayReadSys()
    const kafkaTopic = this.plan(topic)
    return kafkaTopic === null || this.mayRead(kafkaTopic)
  }

  /** `$SYS` tells of the whole broker. */
  private mayReadSys(): boolean {
    return this.options.subject.allows(aclOperation.describe, aclResource.cluster, clusterResourceName)
  }

  private plan(topic: string): string | null {
    if (topic.startsWith(certificatePrefix)) return this.options.certificatesTopic
    if (topic.startsWith(decodedPrefix)) return this.options.decodedTopic
    const plan = this.options.mapping.plan(topic)
    if (plan.kind === 'refused') return null
    return plan.kind === 'routed' ? plan.kafkaTopic : this.options.lastResortTopic
  }
}
