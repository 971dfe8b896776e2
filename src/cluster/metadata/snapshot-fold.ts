/**
 * What a snapshot of the metadata has to say: all records so far, those that a later one has taken the place of left out. Kinds that
 * this node does not act on are kept as they came, in their order: nothing that Apache Kafka has written is lost by a snapshot of ours.
 */
import type { MetadataRecord } from '../../protocol/kafka/stored/metadata-record.ts'

type RecordOf<T extends MetadataRecord['type']> = Extract<MetadataRecord, { readonly type: T }>

interface TopicFold {
  readonly record: RecordOf<'TopicRecord'>
  readonly partitions: Map<number, RecordOf<'PartitionRecord'>>
}

/** Version 2 has every field of a partition that this node knows. */
const partitionRecordVersion = 2

export class SnapshotFold {
  readonly #features = new Map<string, MetadataRecord>()
  readonly #brokers = new Map<number, RecordOf<'RegisterBrokerRecord'>>()
  readonly #controllers = new Map<number, MetadataRecord>()
  /** By topic id. */
  readonly #topics = new Map<string, TopicFold>()
  readonly #configs = new Map<string, MetadataRecord>()
  /** Access control entries by their id. */
  readonly #acls = new Map<string, MetadataRecord>()
  /** SCRAM credentials by user and mechanism. */
  readonly #credentials = new Map<string, MetadataRecord>()
  /** Quotas by entity and key. */
  readonly #quotas = new Map<string, MetadataRecord>()
  readonly #others: MetadataRecord[] = []
  #producerIds: MetadataRecord | null = null

  /** Takes in the next record. */
  add(record: MetadataRecord): void {
    switch (record.type) {
      case 'FeatureLevelRecord':
        if (record.value.featureLevel === 0) this.#features.delete(record.value.name)
        else this.#features.set(record.value.name, record)
        return
      case 'RegisterBrokerRecord':
        this.#brokers.set(record.value.brokerId, record)
        return
      case 'UnregisterBrokerRecord':
        this.#brokers.delete(record.value.brokerId)
        return
      case 'FenceBrokerRecord':
      case 'UnfenceBrokerRecord':
        this.#changeBroker(record.value.id, { fenced: record.type === 'FenceBrokerRecord' })
        return
      case 'BrokerRegistrationChangeRecord':
        this.#changeRegistration(record)
        return
      case 'RegisterControllerRecord':
        this.#controllers.set(record.value.controllerId, record)
        return
      case 'TopicRecord':
        this.#topics.set(record.value.topicId, { record, partitions: new Map() })
        return
      case 'PartitionRecord':
        this.#topics.get(record.value.topicId)?.partitions.set(record.value.partitionId, record)
        return
      case 'PartitionChangeRecord':
        this.#changePartition(record)
        return
      case 'RemoveTopicRecord':
        this.#removeTopic(record.value.topicId)
        return
      case 'ConfigRecord': {
        const { resourceType, resourceName, name, value } = record.value
        const key = JSON.stringify([resourceType, resourceName, name])
        if (value === null) this.#configs.delete(key)
        else this.#configs.set(key, record)
        return
      }
      case 'ProducerIdsRecord':
        this.#producerIds = record
        return
      case 'NoOpRecord':
        return
      default:
        if (!this.#addSecurity(record)) this.#others.push(record)
    }
  }

  /** The records of the snapshot, features first: they tell a reader how to take the rest. */
  records(): readonly MetadataRecord[] {
    const topics = [...this.#topics.values()].flatMap(({ record, partitions }) => [record, ...partitions.values()])
    return [
      ...this.#features.values(),
      ...this.#controllers.values(),
      ...this.#brokers.values(),
      ...topics,
      ...this.#configs.values(),
      ...(this.#producerIds === null ? [] : [this.#producerIds]),
      ...this.#credentials.values(),
      ...this.#acls.values(),
      ...this.#quotas.values(),
      ...this.#others,
    ]
  }

  /** False: it is about something else. */
  #addSecurity(record: MetadataRecord): boolean {
    switch (record.type) {
      case 'AccessControlEntryRecord':
        this.#acls.set(record.value.id, record)
        return true
      case 'RemoveAccessControlEntryRecord':
        this.#acls.delete(record.value.id)
        return true
      case 'UserScramCredentialRecord':
        this.#credentials.set(JSON.stringify([record.value.name, record.value.mechanism]), record)
        return true
      case 'ClientQuotaRecord': {
        const { entity, key, remove } = record.value
        const parts = entity.map(({ entityType, entityName }) => JSON.stringify([entityType, entityName]))
        const place = JSON.stringify([parts.toSorted(), key])
        if (remove) this.#quotas.delete(place)
        else this.#quotas.set(place, record)
        return true
      }
      case 'RemoveUserScramCredentialRecord':
        this.#credentials.delete(JSON.stringify([record.value.name, record.value.mechanism]))
        return true
      default:
        return false
    }
  }

  #changeBroker(id: number, change: Partial<RecordOf<'RegisterBrokerRecord'>['value']>): void {
    const before = this.#brokers.get(id)
    if (before !== undefined) this.#brokers.set(id, { ...before, value: { ...before.value, ...change } })
  }

  #changeRegistration({ value }: RecordOf<'BrokerRegistrationChangeRecord'>): void {
    const before = this.#brokers.get(value.brokerId)
    if (before === undefined) return
    const { fenced, inControlledShutdown } = before.value
    this.#changeBroker(value.brokerId, {
      // 1 and -1 say what is so from now on, 0 says nothing.
      fenced: value.fenced === 0 ? fenced : value.fenced === 1,
      inControlledShutdown: value.inControlledShutdown === 1 ? true : inControlledShutdown,
      ...(value.logDirs.length > 0 ? { logDirs: value.logDirs } : {}),
    })
  }

  #changePartition({ value: change }: RecordOf<'PartitionChangeRecord'>): void {
    const partitions = this.#topics.get(change.topicId)?.partitions
    const before = partitions?.get(change.partitionId)
    if (partitions === undefined || before === undefined) return
    const { value } = before
    const namesLeader = change.leader !== -2
    partitions.set(change.partitionId, {
      ...before,
      version: Math.max(before.version, partitionRecordVersion),
      value: {
        ...value,
        isr: change.isr ?? value.isr,
        leader: namesLeader ? change.leader : value.leader,
        replicas: change.replicas ?? value.replicas,
        removingReplicas: change.removingReplicas ?? value.removingReplicas,
        addingReplicas: change.addingReplicas ?? value.addingReplicas,
        leaderRecoveryState: change.leaderRecoveryState === -1 ? value.leaderRecoveryState : change.leaderRecoveryState,
        directories: change.directories ?? value.directories,
        eligibleLeaderReplicas: change.eligibleLeaderReplicas ?? value.eligibleLeaderReplicas,
        lastKnownElr: change.lastKnownElr ?? value.lastKnownElr,
        leaderEpoch: namesLeader ? value.leaderEpoch + 1 : value.leaderEpoch,
        partitionEpoch: value.partitionEpoch + 1,
      },
    })
  }

  #removeTopic(topicId: string): void {
    const name = this.#topics.get(topicId)?.record.value.name
    this.#topics.delete(topicId)
    for (const [key, record] of this.#configs) {
      const isOfTopic =
        record.type === 'ConfigRecord' &&
        record.value.resourceType === topicResource &&
        record.value.resourceName === name
      if (isOfTopic) this.#configs.delete(key)
    }
  }
}

const topicResource = 2
