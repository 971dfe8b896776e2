/**
 * What the metadata has to be told when a part of it is lost: the topics and partitions that lie on the disk. A directory names topic
 * and partition, its `partition.metadata` the topic id, its batches the leader epochs. Pure: answers records, changes nothing.
 */
import { zeroUuid } from '../../base/ids.ts'
import type { MetadataRecordInput } from '../../protocol/kafka/stored/metadata-record.ts'
import { configResourceType, type MetadataImage } from './metadata-image.ts'

/** A log of the disk. */
export interface FoundLog {
  readonly topic: string
  readonly partition: number
  /** All zero = not known. */
  readonly topicId: string
  /** -1 = none. */
  readonly latestLeaderEpoch: number
  /** Greatest producer id that its batches name; -1 = none. */
  readonly maxProducerId: number
}

export interface RebuildOptions {
  readonly nodeId: number
  readonly directoryId: string
  freshTopicId(): string
  /** What an internal topic is declared with: without its cleanup policy it would lose what it holds. */
  configsOf(topic: string): Readonly<Record<string, string>> | null
}

export interface Rebuild {
  readonly records: readonly MetadataRecordInput[]
  /** Topics that the metadata did not know any more. */
  readonly topics: number
  readonly partitions: number
}

/** Far above the ids that can have been given out since the newest batch that we see. */
const producerIdMargin = 1_000_000
const partitionRecordVersion = 2

/** What is to be written so that the image has every log of the disk. */
export function rebuildMetadata(image: MetadataImage, logs: readonly FoundLog[], options: RebuildOptions): Rebuild {
  const records: MetadataRecordInput[] = []
  let topics = 0
  let partitions = 0
  for (const [name, found] of byTopic(logs)) {
    const known = image.topic(name)
    const topicId = idOf(found, known?.topicId) ?? options.freshTopicId()
    const isKnown = known?.topicId === topicId
    if (!isKnown) {
      // A topic of this name that is not on the disk was deleted in the part that is lost.
      if (known !== undefined)
        records.push({ type: 'RemoveTopicRecord', version: 0, value: { topicId: known.topicId } })
      records.push({ type: 'TopicRecord', version: 0, value: { name, topicId } }, ...configRecords(name, options))
      topics++
    }
    const mine = found.filter((log) => log.topicId === topicId || log.topicId === zeroUuid)
    const count = Math.max(...mine.map((log) => log.partition + 1), isKnown ? known.partitions.length : 0)
    for (let partition = 0; partition < count; partition++) {
      const before = isKnown ? known.partitions[partition] : undefined
      const epoch = mine.find((log) => log.partition === partition)?.latestLeaderEpoch ?? -1
      if (before !== undefined && before.leaderEpoch >= epoch) continue
      if (before === undefined) partitions++
      const leaderEpoch = Math.max(epoch, before?.leaderEpoch ?? 0, 0)
      records.push(
        partitionRecord({ topicId, partition, leaderEpoch, epoch: (before?.partitionEpoch ?? -1) + 1 }, options),
      )
    }
  }
  const maxProducerId = Math.max(-1, ...logs.map((log) => log.maxProducerId))
  if (maxProducerId >= image.nextProducerId || topics > 0) {
    const nextProducerId = Math.max(image.nextProducerId, maxProducerId + 1) + producerIdMargin
    const brokerEpoch = image.broker(options.nodeId)?.brokerEpoch ?? -1
    records.push({
      type: 'ProducerIdsRecord',
      version: 0,
      value: { brokerId: options.nodeId, brokerEpoch, nextProducerId },
    })
  }
  return { records, topics, partitions }
}

function byTopic(logs: readonly FoundLog[]): ReadonlyMap<string, readonly FoundLog[]> {
  const topics = new Map<string, FoundLog[]>()
  for (const log of logs) {
    const found = topics.get(log.topic) ?? []
    found.push(log)
    topics.set(log.topic, found)
  }
  return topics
}

/** The id that the metadata and a directory agree on, else that of most directories; null = none names one. */
function idOf(logs: readonly FoundLog[], known: string | undefined): string | null {
  const counts = new Map<string, number>()
  for (const { topicId } of logs) if (topicId !== zeroUuid) counts.set(topicId, (counts.get(topicId) ?? 0) + 1)
  if (known !== undefined && (counts.has(known) || counts.size === 0)) return known
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null
}

function configRecords(topic: string, options: RebuildOptions): readonly MetadataRecordInput[] {
  return Object.entries(options.configsOf(topic) ?? {}).map(([name, value]) => ({
    type: 'ConfigRecord',
    version: 0,
    value: { resourceType: configResourceType.topic, resourceName: topic, name, value },
  }))
}

function partitionRecord(
  place: { readonly topicId: string; readonly partition: number; readonly leaderEpoch: number; readonly epoch: number },
  { nodeId, directoryId }: RebuildOptions,
): MetadataRecordInput {
  const { topicId, partition: partitionId, leaderEpoch, epoch: partitionEpoch } = place
  const replica = { replicas: [nodeId], isr: [nodeId], leader: nodeId, directories: [directoryId] }
  return {
    type: 'PartitionRecord',
    version: partitionRecordVersion,
    value: { partitionId, topicId, ...replica, leaderEpoch, partitionEpoch },
  }
}
