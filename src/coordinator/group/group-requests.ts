/** What is asked of a group and what it answers, without the wire: the handlers translate. `error: null` is success. */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'

/** A way of assigning that a member supports. */
export interface GroupProtocol {
  readonly name: string
  /** Opaque to us but for the subscribed topics of protocol type `consumer`. */
  readonly metadata: Uint8Array
}

/** Who asks. */
export interface GroupClient {
  /** Empty when the client gave none. */
  readonly clientId: string
  /** Kafka's form: `/10.0.0.7`. */
  readonly clientHost: string
}

export interface JoinRequest extends GroupClient {
  readonly groupId: string
  /** Empty for a member without an id. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly GroupProtocol[]
  /** From version 4 a dynamic member gets an id first and joins with it (KIP-394). */
  readonly requiresMemberId: boolean
  /** From version 9 a returning static leader is told to skip the assignment (KIP-814). */
  readonly supportsSkippingAssignment: boolean
  /** A fresh unique text for a member id that may be needed. */
  readonly uniqueText: string
}

export interface JoinedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly metadata: Uint8Array
}

export interface JoinResult {
  readonly error: KafkaErrorName | null
  readonly memberId: string
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string
  readonly skipAssignment: boolean
  /** For the leader only. */
  readonly members: readonly JoinedMember[]
}
export type JoinReply = (result: JoinResult) => void

/** Kafka's answer to a member that may not join. */
export function joinRefused(error: KafkaErrorName, memberId = ''): JoinResult {
  return {
    error,
    memberId,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    members: [],
  }
}

/** A member's claim to belong to a generation. */
export interface MemberClaim {
  readonly groupId: string
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
}

export interface SyncRequest extends MemberClaim {
  /** Null before version 5. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  /** From the leader. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[]
}

export interface SyncResult {
  readonly error: KafkaErrorName | null
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Uint8Array
}
export type SyncReply = (result: SyncResult) => void

const noAssignment = new Uint8Array(0)

export function syncRefused(error: KafkaErrorName): SyncResult {
  return { error, protocolType: null, protocolName: null, assignment: noAssignment }
}

export interface LeavingMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface LeftMember extends LeavingMember {
  readonly error: KafkaErrorName | null
}

export interface LeaveResult {
  readonly error: KafkaErrorName | null
  readonly members: readonly LeftMember[]
}

export interface OffsetToCommit {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** -1 when unknown. */
  readonly leaderEpoch: number
  readonly metadata: string
}

export interface CommitRequest extends MemberClaim {
  /** Of requests before version 5; null for the retention of the broker. */
  readonly retentionMs: number | null
  /** A request from version 9 on is told that the group does not exist, an older one that its generation is wrong. */
  readonly knowsGroupIdNotFound: boolean
  readonly offsets: readonly OffsetToCommit[]
}

export interface CommitResult {
  /** For the whole request; the list is then empty. */
  readonly error: KafkaErrorName | null
  /** One for each offset of the request, in its order. */
  readonly errors: readonly (KafkaErrorName | null)[]
}
export type CommitReply = (result: CommitResult) => void

export interface FetchedOffset {
  readonly topic: string
  readonly partition: number
  /** -1 when nothing is committed. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly error: KafkaErrorName | null
}

export interface FetchOffsetsRequest {
  readonly groupId: string
  /** Null for all that the group has. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
  /** Answer UNSTABLE_OFFSET_COMMIT where a transaction's commit is still open. */
  readonly requireStable: boolean
}

export interface DescribedMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly metadata: Uint8Array
  readonly assignment: Uint8Array
}

export interface DescribedGroup {
  readonly groupId: string
  readonly state: GroupState
  readonly protocolType: string
  /** The chosen protocol while the group is stable, else empty. */
  readonly protocol: string
  readonly members: readonly DescribedMember[]
}

export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'
