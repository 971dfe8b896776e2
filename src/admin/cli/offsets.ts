/** Offsets of partitions, asked of their leaders. */
import { listOffsetsApi } from '../../protocol/kafka/apis.ts'
import { errorName } from '../../protocol/kafka/error-codes.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'

export interface PartitionPlace {
  readonly topic: string
  readonly partition: number
  readonly leaderId: number
}

/** Where the partitions of these topics are led. Throws when a topic cannot be described. */
export async function placesOf(client: KafkaClient, topics: readonly string[]): Promise<PartitionPlace[]> {
  const metadata = await client.metadata(topics)
  return metadata.topics.flatMap((topic) => {
    refuseError(`Metadata of ${topic.name ?? ''}`, topic.errorCode)
    return topic.partitions.map(({ partitionIndex, leaderId }) => ({
      topic: topic.name ?? '',
      partition: partitionIndex,
      leaderId,
    }))
  })
}

/**
 * Offset of a timestamp (or special timestamp) in each partition, by `topic-partition`; -1 where no record is that new. Throws for one
 * that is refused, unless `refused` takes the name of the error: then it is left out.
 */
export async function listOffsets(
  client: KafkaClient,
  places: readonly PartitionPlace[],
  timestamp: number,
  refused: Map<string, string> | null = null,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>()
  for (const [leaderId, led] of Map.groupBy(places, (place) => place.leaderId)) {
    const topics = [...Map.groupBy(led, (place) => place.topic)].map(([name, partitions]) => ({
      name,
      partitions: partitions.map(({ partition }) => ({ partitionIndex: partition, timestamp, currentLeaderEpoch: -1 })),
    }))
    const response = await client.askNode(leaderId, listOffsetsApi, {
      replicaId: -1,
      isolationLevel: 0,
      topics,
    })
    for (const topic of response.topics) {
      for (const partition of topic.partitions) {
        const key = `${topic.name}-${partition.partitionIndex}`
        if (refused === null) refuseError(`ListOffsets of ${key}`, partition.errorCode)
        if (partition.errorCode === 0) offsets.set(key, partition.offset)
        else refused?.set(key, errorName(partition.errorCode))
      }
    }
  }
  return offsets
}
