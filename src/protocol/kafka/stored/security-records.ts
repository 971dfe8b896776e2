/** Records of `__cluster_metadata` about access control and credentials. */
import {
  bytes,
  int32,
  int64,
  int8,
  message,
  string,
  stringArray,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** One access control entry. */
export const AccessControlEntryRecord = message({
  name: 'AccessControlEntryRecord',
  apiKey: 18,
  versions: '0',
  flexible: '0+',
  fields: {
    id: uuid(),
    /** 2 topic, 4 broker, 16 client metrics, 32 group; of access control entries as ACLs number them. */
    resourceType: int8(),
    resourceName: string(),
    /** 3 literal, 4 prefixed. */
    patternType: int8(),
    principal: string(),
    host: string(),
    /** As ACLs number them. */
    operation: int8(),
    /** 2 deny, 3 allow. */
    permissionType: int8(),
  },
})
export type AccessControlEntryRecord = InferMessage<typeof AccessControlEntryRecord>
export type AccessControlEntryRecordInput = InferInput<typeof AccessControlEntryRecord>

/** It is gone. */
export const RemoveAccessControlEntryRecord = message({
  name: 'RemoveAccessControlEntryRecord',
  apiKey: 19,
  versions: '0',
  flexible: '0+',
  fields: {
    id: uuid(),
  },
})
export type RemoveAccessControlEntryRecord = InferMessage<typeof RemoveAccessControlEntryRecord>
export type RemoveAccessControlEntryRecordInput = InferInput<typeof RemoveAccessControlEntryRecord>

/** A SCRAM credential (KIP-554). */
export const UserScramCredentialRecord = message({
  name: 'UserScramCredentialRecord',
  apiKey: 11,
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    /** 1 SCRAM-SHA-256, 2 SCRAM-SHA-512. */
    mechanism: int8(),
    salt: bytes(),
    storedKey: bytes(),
    serverKey: bytes(),
    iterations: int32(),
  },
})
export type UserScramCredentialRecord = InferMessage<typeof UserScramCredentialRecord>
export type UserScramCredentialRecordInput = InferInput<typeof UserScramCredentialRecord>

/** It is gone. */
export const RemoveUserScramCredentialRecord = message({
  name: 'RemoveUserScramCredentialRecord',
  apiKey: 22,
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    /** 1 SCRAM-SHA-256, 2 SCRAM-SHA-512. */
    mechanism: int8(),
  },
})
export type RemoveUserScramCredentialRecord = InferMessage<typeof RemoveUserScramCredentialRecord>
export type RemoveUserScramCredentialRecordInput = InferInput<typeof RemoveUserScramCredentialRecord>

/** A delegation token (KIP-48). */
export const DelegationTokenRecord = message({
  name: 'DelegationTokenRecord',
  apiKey: 10,
  versions: '0',
  flexible: '0+',
  fields: {
    owner: string(),
    requester: string(),
    renewers: stringArray(),
    issueTimestamp: int64(),
    maxTimestamp: int64(),
    expirationTimestamp: int64(),
    tokenId: string(),
  },
})
export type DelegationTokenRecord = InferMessage<typeof DelegationTokenRecord>
export type DelegationTokenRecordInput = InferInput<typeof DelegationTokenRecord>

/** It is gone. */
export const RemoveDelegationTokenRecord = message({
  name: 'RemoveDelegationTokenRecord',
  apiKey: 26,
  versions: '0',
  flexible: '0+',
  fields: {
    tokenId: string(),
  },
})
export type RemoveDelegationTokenRecord = InferMessage<typeof RemoveDelegationTokenRecord>
export type RemoveDelegationTokenRecordInput = InferInput<typeof RemoveDelegationTokenRecord>
