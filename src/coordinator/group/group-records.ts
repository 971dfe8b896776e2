/**
 * The records of `__consumer_offsets`, in Kafka's formats: OffsetCommitKey/Value and GroupMetadataKey/Value.
 *
 * Written: key version 1, value version 3 (1 where the commit has a retention of its own) for offsets; key version 2, value version 3
 * for groups, as Apache Kafka 4.1 does. Read: all versions. Records of the newer group protocols (KIP-848, share, streams) are
 * kept in the log and not understood here.
 */
import { decodeMessage, encodeMessage } from '../../protocol/kafka/compile.ts'
import { ProtocolError } from '../../protocol/kafka/protocol-error.ts'
import { GroupMetadataKey, GroupMetadataValue } from '../../protocol/kafka/stored/group-metadata.ts'
import { OffsetCommitKey, OffsetCommitValue } from '../../protocol/kafka/stored/offset-commit.ts'
import { readInt16, writeInt16 } from '../../protocol/records/record-batch.ts'
import type { StoredGroup } from './classic-group.ts'
import type { StoredOffset } from './offset-store.ts'

export interface StoredMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly subscription: Uint8Array
  readonly assignment: Uint8Array
}

export interface StoredGroupWithMembers extends StoredGroup {
  readonly members: readonly StoredMember[]
}

/** One change of the coordinator's state. A null value forgets. */
export type GroupRecord =
  | {
      readonly kind: 'offset'
      readonly groupId: string
      readonly topic: string
      readonly partition: number
      readonly stored: StoredOffset | null
    }
  | { readonly kind: 'group'; readonly groupId: string; readonly stored: StoredGroupWithMembers | null }

/** What a record of the log is to us: one of ours, one of a kind we do not serve, or one that cannot be read. */
export type DecodedGroupRecord = GroupRecord | { readonly kind: 'foreign' } | { readonly kind: 'unreadable' }

export interface EncodedGroupRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

const legacyOffsetKeyType = 0
const offsetKeyType = 1
const groupKeyType = 2
const offsetValueVersion = 3
/** The last version that can keep a moment of expiry. */
const expiringOffsetValueVersion = 1
const groupValueVersion = 3

/** The bytes of a record. */
export function encodeGroupRecord(record: GroupRecord): EncodedGroupRecord {
  if (record.kind === 'offset') return encodeOffset(record)
  const { groupId, stored } = record
  const key = framed(groupKeyType, encodeMessage(GroupMetadataKey, 0, { group: groupId }))
  if (stored === null) return { key, value: null }
  const value = encodeMessage(GroupMetadataValue, groupValueVersion, {
    protocolType: stored.protocolType ?? '',
    generation: stored.generationId,
    protocol: stored.protocolName,
    leader: stored.leader,
    currentStateTimestamp: stored.stateTimestampMs ?? -1,
    members: stored.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: member.subscription,
      assignment: member.assignment,
    })),
  })
  return { key, value: framed(groupValueVersion, value) }
}

/** What the key and value of a record say. */
export function decodeGroupRecord(key: Uint8Array | null, value: Uint8Array | null): DecodedGroupRecord {
  if (key === null || key.length < 2) return { kind: 'unreadable' }
  try {
    const type = readInt16(key, 0)
    if (type === legacyOffsetKeyType || type === offsetKeyType) return decodeOffset(key, value)
    return type === groupKeyType ? decodeGroup(key, value) : { kind: 'foreign' }
  } catch (thrown) {
    if (thrown instanceof ProtocolError) return { kind: 'unreadable' }
    throw thrown
  }
}

function encodeOffset(record: GroupRecord & { readonly kind: 'offset' }): EncodedGroupRecord {
  const { groupId, topic, partition, stored } = record
  const key = framed(offsetKeyType, encodeMessage(OffsetCommitKey, 0, { group: groupId, topic, partition }))
  if (stored === null) return { key, value: null }
  const version = stored.expireTimestampMs === null ? offsetValueVersion : expiringOffsetValueVersion
  const value = encodeMessage(OffsetCommitValue, version, {
    offset: stored.offset,
    leaderEpoch: stored.leaderEpoch,
    metadata: stored.metadata,
    commitTimestamp: stored.commitTimestampMs,
    expireTimestamp: stored.expireTimestampMs ?? -1,
  })
  return { key, value: framed(version, value) }
}

function decodeOffset(key: Uint8Array, value: Uint8Array | null): DecodedGroupRecord {
  const { group: groupId, topic, partition } = decodeMessage(OffsetCommitKey, 0, key, 2).value
  if (value === null) return { kind: 'offset', groupId, topic, partition, stored: null }
  const version = versionOf(value, OffsetCommitValue.versions.last)
  if (version === null) return { kind: 'unreadable' }
  const read = decodeMessage(OffsetCommitValue, version, value, 2).value
  const stored: StoredOffset = {
    offset: read.offset,
    leaderEpoch: read.leaderEpoch,
    metadata: read.metadata,
    commitTimestampMs: read.commitTimestamp,
    expireTimestampMs: read.expireTimestamp === -1 ? null : read.expireTimestamp,
  }
  return { kind: 'offset', groupId, topic, partition, stored }
}

function decodeGroup(key: Uint8Array, value: Uint8Array | null): DecodedGroupRecord {
  const groupId = decodeMessage(GroupMetadataKey, 0, key, 2).value.group
  if (value === null) return { kind: 'group', groupId, stored: null }
  const version = versionOf(value, GroupMetadataValue.versions.last)
  if (version === null) return { kind: 'unreadable' }
  const read = decodeMessage(GroupMetadataValue, version, value, 2).value
  return {
    kind: 'group',
    groupId,
    stored: {
      generationId: read.generation,
      protocolType: read.protocolType === '' ? null : read.protocolType,
      protocolName: read.protocol,
      leader: read.leader,
      stateTimestampMs: read.currentStateTimestamp === -1 ? null : read.currentStateTimestamp,
      members: read.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeout === -1 ? member.sessionTimeout : member.rebalanceTimeout,
        sessionTimeoutMs: member.sessionTimeout,
        subscription: member.subscription,
        assignment: member.assignment,
      })),
    },
  }
}

/** The version in front of a value, or null when it is not one that we can read. */
function versionOf(value: Uint8Array, versionMax: number): number | null {
  if (value.length < 2) return null
  const version = readInt16(value, 0)
  return version < 0 || version > versionMax ? null : version
}

/** A message behind an int16. */
function framed(prefix: number, chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 2))
  writeInt16(bytes, 0, prefix)
  let at = 2
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
