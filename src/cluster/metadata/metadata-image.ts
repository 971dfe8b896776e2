/** The cluster as the records of `__cluster_metadata` tell it. Pure: `replay` is the only thing that changes it. */
import type { MetadataRecord } from '../../protocol/kafka/stored/metadata-record.ts'
import { AclTable } from '../../security/acl-table.ts'
import { ClientQuotas, entityOf } from '../../security/quotas/client-quotas.ts'
import { scramMechanismOf } from '../../security/sasl/scram-crypto.ts'
import { ScramCredentials } from '../../security/scram-credentials.ts'
import { collisionKey } from './topic-names.ts'

export interface PartitionImage {
  readonly partition: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  /** -1 = none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly partitionEpoch: number
  /** Directory ids of the replicas, in their order. */
  readonly directories: readonly string[]
}

export interface TopicImage {
  readonly name: string
  readonly topicId: string
  /** By partition number, without holes. */
  readonly partitions: readonly PartitionImage[]
}

export interface BrokerImage {
  readonly brokerId: number
  readonly brokerEpoch: number
  readonly incarnationId: string
  readonly isFenced: boolean
  readonly rack: string | null
}

/** Kafka's numbers for the kinds of things that have configs. */
export const configResourceType = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const

export class MetadataImage {
  readonly credentials = new ScramCredentials()
  readonly acls = new AclTable()
  readonly quotas = new ClientQuotas()
  readonly #topics = new Map<string, TopicImage>()
  readonly #names = new Map<string, string>()
  /** Names of topics by what they collide by. Bound: the topics. */
  readonly #twins = new Map<string, readonly string[]>()
  #partitionCount = 0
  #revision = 0
  readonly #configs = new Map<string, Map<string, string>>()
  readonly #features = new Map<string, number>()
  readonly #brokers = new Map<number, BrokerImage>()
  #nextProducerId = 0

  topic(name: string): TopicImage | undefined {
    return this.#topics.get(name)
  }

  topicById(topicId: string): TopicImage | undefined {
    const name = this.#names.get(topicId)
    return name === undefined ? undefined : this.#topics.get(name)
  }

  topics(): IterableIterator<TopicImage> {
    return this.#topics.values()
  }

  get topicCount(): number {
    return this.#topics.size
  }

  get partitionCount(): number {
    return this.#partitionCount
  }

  /** Rises with each record: what was derived of the image with the same one still holds. */
  get revision(): number {
    return this.#revision
  }

  /** The topic whose name differs from this one in `.` and `_` at most. */
  twinOf(name: string): string | undefined {
    return this.#twins.get(collisionKey(name))?.[0]
  }

  /** What has been set for a topic or broker; without defaults. The cluster-wide broker defaults have the empty name. */
  configs(type: number, name: string): ReadonlyMap<string, string> {
    return this.#configs.get(`${type}:${name}`) ?? noConfigs
  }

  features(): ReadonlyMap<string, number> {
    return this.#features
  }

  broker(id: number): BrokerImage | undefined {
    return this.#brokers.get(id)
  }

  /** First id of the next block of producer ids. */
  get nextProducerId(): number {
    return this.#nextProducerId
  }

  /** Applies one record; kinds that mean nothing on this node are read and change nothing. */
  replay(record: MetadataRecord, offset: number): void {
    this.#revision++
    switch (record.type) {
      case 'TopicRecord': {
        const { name, topicId } = record.value
        this.#forgetTopic(this.#topics.get(name))
        this.#topics.set(name, { name, topicId, partitions: [] })
        this.#names.set(topicId, name)
        const key = collisionKey(name)
        this.#twins.set(key, [...(this.#twins.get(key) ?? []), name])
        return
      }
      case 'PartitionRecord':
        this.#setPartition(record.value.topicId, {
          partition: record.value.partitionId,
          replicas: record.value.replicas,
          isr: record.value.isr,
          leader: record.value.leader,
          leaderEpoch: record.value.leaderEpoch,
          partitionEpoch: record.value.partitionEpoch,
          directories: record.value.directories,
        })
        return
      case 'PartitionChangeRecord': {
        const change = record.value
        const before = this.topicById(change.topicId)?.partitions[change.partitionId]
        if (before === undefined) return
        this.#setPartition(change.topicId, {
          ...before,
          replicas: change.replicas ?? before.replicas,
          isr: change.isr ?? before.isr,
          leader: change.leader === -2 ? before.leader : change.leader,
          // Naming a leader, the same or another, is what raises the epoch.
          leaderEpoch: change.leader === -2 ? before.leaderEpoch : before.leaderEpoch + 1,
          partitionEpoch: before.partitionEpoch + 1,
          directories: change.directories ?? before.directories,
        })
        return
      }
      case 'RemoveTopicRecord': {
        const topic = this.topicById(record.value.topicId)
        if (topic === undefined) return
        this.#forgetTopic(topic)
        this.#configs.delete(`${configResourceType.topic}:${topic.name}`)
        return
      }
      case 'ConfigRecord':
        this.#setConfig(record.value.resourceType, record.value.resourceName, record.value.name, record.value.value)
        return
      case 'FeatureLevelRecord':
        if (record.value.featureLevel === 0) this.#features.delete(record.value.name)
        else this.#features.set(record.value.name, record.value.featureLevel)
        return
      case 'ProducerIdsRecord':
        this.#nextProducerId = record.value.nextProducerId
        return
      case 'RegisterBrokerRecord':
        this.#brokers.set(record.value.brokerId, {
          brokerId: record.value.brokerId,
          brokerEpoch: record.value.brokerEpoch === -1 ? offset : record.value.brokerEpoch,
          incarnationId: record.value.incarnationId,
          isFenced: record.value.fenced,
          rack: record.value.rack,
        })
        return
      case 'BrokerRegistrationChangeRecord': {
        const before = this.#brokers.get(record.value.brokerId)
        if (before === undefined || record.value.fenced === 0) return
        this.#brokers.set(before.brokerId, { ...before, isFenced: record.value.fenced === 1 })
        return
      }
      case 'UnregisterBrokerRecord':
        this.#brokers.delete(record.value.brokerId)
        return
      default:
        this.#replaySecurity(record)
    }
  }

  #replaySecurity(record: MetadataRecord): void {
    switch (record.type) {
      case 'AccessControlEntryRecord': {
        const { id, resourceType, resourceName, patternType, principal, host, operation, permissionType } = record.value
        this.acls.add(id, { resourceType, resourceName, patternType, principal, host, operation, permissionType })
        return
      }
      case 'RemoveAccessControlEntryRecord':
        this.acls.remove(record.value.id)
        return
      case 'UserScramCredentialRecord': {
        const { name, salt, storedKey, serverKey, iterations } = record.value
        const mechanism = scramMechanismOf(record.value.mechanism)
        if (mechanism === undefined) return
        // The record's bytes are views into a batch.
        const own = { salt: salt.slice(), storedKey: storedKey.slice(), serverKey: serverKey.slice(), iterations }
        this.credentials.set(name, mechanism, own)
        return
      }
      case 'ClientQuotaRecord': {
        const { entity, key, value, remove } = record.value
        this.quotas.set(entityOf(entity), key, remove ? null : value)
        return
      }
      case 'RemoveUserScramCredentialRecord': {
        const mechanism = scramMechanismOf(record.value.mechanism)
        if (mechanism !== undefined) this.credentials.delete(record.value.name, mechanism)
        return
      }
      default:
        return
    }
  }

  #setPartition(topicId: string, partition: PartitionImage): void {
    const topic = this.topicById(topicId)
    if (topic === undefined) return
    const partitions = topic.partitions.slice()
    partitions[partition.partition] = partition
    this.#partitionCount += partitions.length - topic.partitions.length
    this.#topics.set(topic.name, { ...topic, partitions })
  }

  #forgetTopic(topic: TopicImage | undefined): void {
    if (topic === undefined) return
    this.#topics.delete(topic.name)
    this.#names.delete(topic.topicId)
    this.#partitionCount -= topic.partitions.length
    const key = collisionKey(topic.name)
    const others = (this.#twins.get(key) ?? []).filter((name) => name !== topic.name)
    if (others.length === 0) this.#twins.delete(key)
    else this.#twins.set(key, others)
  }

  #setConfig(type: number, name: string, key: string, value: string | null): void {
    const place = `${type}:${name}`
    const configs = this.#configs.get(place) ?? new Map<string, string>()
    if (value === null) configs.delete(key)
    else configs.set(key, value)
    if (configs.size === 0) this.#configs.delete(place)
    else this.#configs.set(place, configs)
  }
}

const noConfigs: ReadonlyMap<string, string> = new Map()
