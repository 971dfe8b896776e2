import type { GroupCoordinator } from '../../coordinator/group/group-coordinator.ts'
import type { FetchedOffset, OffsetToCommit } from '../../coordinator/group/group-requests.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'

/** Offsets of command routes: each route is a consumer group without members. */
export interface CommandOffsets {
  /** Of the text that goes with an offset. */
  readonly metadataLengthMax: number
  fetch(groupId: string, topic: string, partitions: readonly number[]): readonly FetchedOffset[] | KafkaErrorName
  /** Null when they are durable. */
  commit(groupId: string, offsets: readonly OffsetToCommit[]): Promise<KafkaErrorName | null>
}

/** A route may be idle for as long as it likes: its offsets are kept a hundred years. */
const retentionMs = 100 * 365 * 86_400_000

export function commandOffsetsOf(coordinator: GroupCoordinator, metadataLengthMax: number): CommandOffsets {
  return {
    metadataLengthMax,
    fetch: (groupId, topic, partitions) =>
      coordinator.fetchOffsets({ groupId, topics: [{ topic, partitions }], requireStable: false }),
    async commit(groupId, offsets) {
      const result = await coordinator.commit({
        groupId,
        generationId: -1,
        memberId: '',
        groupInstanceId: null,
        retentionMs,
        knowsGroupIdNotFound: true,
        offsets,
      })
      return result.error ?? result.errors.find((error) => error !== null) ?? null
    },
  }
}
