/** Kafka's error codes: the names are Kafka's, letter for letter, the sentences are ours. Numbers and retriability as in Apache Kafka 4.3. */

export interface KafkaError {
  /** What stands on the wire (int16). */
  readonly code: number
  /** The same request may succeed when sent again, perhaps after new metadata. */
  readonly retriable: boolean
  /** What happened, for people. */
  readonly sentence: string
}

/** Every error of the protocol by its name. */
export const kafkaErrors = {
  UNKNOWN_SERVER_ERROR: final(-1, 'The server failed in a way it has no name for.'),
  NONE: final(0, 'No error.'),
  OFFSET_OUT_OF_RANGE: final(1, 'The log does not hold this offset.'),
  CORRUPT_MESSAGE: retriable(2, 'The records are damaged: checksum, size or framing is wrong.'),
  UNKNOWN_TOPIC_OR_PARTITION: retriable(3, 'There is no such topic or partition here.'),
  INVALID_FETCH_SIZE: final(4, 'The fetch size makes no sense.'),
  LEADER_NOT_AVAILABLE: retriable(5, 'The partition has no leader at the moment.'),
  NOT_LEADER_OR_FOLLOWER: retriable(6, 'This node does not lead (or does not hold) the partition.'),
  REQUEST_TIMED_OUT: retriable(7, 'The request was not finished in time.'),
  BROKER_NOT_AVAILABLE: final(8, 'The broker is not there.'),
  REPLICA_NOT_AVAILABLE: retriable(9, 'The replica is not there.'),
  MESSAGE_TOO_LARGE: final(10, 'A batch is larger than the topic allows.'),
  STALE_CONTROLLER_EPOCH: final(11, 'The request comes from a controller that has been replaced.'),
  OFFSET_METADATA_TOO_LARGE: final(12, 'The text committed with an offset is too long.'),
  NETWORK_EXCEPTION: retriable(13, 'The connection ended before the answer came.'),
  COORDINATOR_LOAD_IN_PROGRESS: retriable(14, 'The coordinator is still reading its log.'),
  COORDINATOR_NOT_AVAILABLE: retriable(15, 'The coordinator is not available.'),
  NOT_COORDINATOR: retriable(16, 'This node does not coordinate that group or transaction.'),
  INVALID_TOPIC_EXCEPTION: final(17, 'The topic name is not lawful, or the topic is not open to this operation.'),
  RECORD_LIST_TOO_LARGE: final(18, 'The batch is larger than a segment.'),
  NOT_ENOUGH_REPLICAS: retriable(19, 'Fewer replicas are in sync than the topic demands; nothing was written.'),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: retriable(20, 'Written, but then fewer replicas were in sync than demanded.'),
  INVALID_REQUIRED_ACKS: final(21, 'acks must be 0, 1 or -1.'),
  ILLEGAL_GENERATION: final(22, 'The group has moved on to another generation.'),
  INCONSISTENT_GROUP_PROTOCOL: final(23, 'The member shares no protocol with the group.'),
  INVALID_GROUP_ID: final(24, 'The group id is not lawful.'),
  UNKNOWN_MEMBER_ID: final(25, 'The group does not know this member.'),
  INVALID_SESSION_TIMEOUT: final(26, 'The session timeout is outside the bounds of the broker.'),
  REBALANCE_IN_PROGRESS: final(27, 'The group is rebalancing: join again.'),
  INVALID_COMMIT_OFFSET_SIZE: final(28, 'The commit is too large to be stored.'),
  TOPIC_AUTHORIZATION_FAILED: final(29, 'The principal may not do this with the topic.'),
  GROUP_AUTHORIZATION_FAILED: final(30, 'The principal may not do this with the group.'),
  CLUSTER_AUTHORIZATION_FAILED: final(31, 'The principal may not do this with the cluster.'),
  INVALID_TIMESTAMP: final(32, 'A record timestamp lies outside what the topic accepts.'),
  UNSUPPORTED_SASL_MECHANISM: final(33, 'The listener does not offer this SASL mechanism.'),
  ILLEGAL_SASL_STATE: final(34, 'The request does not fit the state of the SASL exchange.'),
  UNSUPPORTED_VERSION: final(35, 'This version of the request is not supported.'),
  TOPIC_ALREADY_EXISTS: final(36, 'A topic of this name exists.'),
  INVALID_PARTITIONS: final(37, 'The number of partitions is not possible.'),
  INVALID_REPLICATION_FACTOR: final(38, 'The replication factor is below 1 or above the number of brokers.'),
  INVALID_REPLICA_ASSIGNMENT: final(39, 'The replica assignment is not possible.'),
  INVALID_CONFIG: final(40, 'A configuration name or value is not lawful.'),
  NOT_CONTROLLER: retriable(41, 'This node is not the controller.'),
  INVALID_REQUEST: final(42, 'The request contradicts itself or is not well formed.'),
  UNSUPPORTED_FOR_MESSAGE_FORMAT: final(43, 'The record format of the partition does not allow this.'),
  POLICY_VIOLATION: final(44, 'A policy of the cluster forbids this.'),
  OUT_OF_ORDER_SEQUENCE_NUMBER: final(45, 'A batch of the producer is missing before this one.'),
  DUPLICATE_SEQUENCE_NUMBER: final(46, 'The batch was written before, too long ago to know its offset.'),
  INVALID_PRODUCER_EPOCH: final(47, 'The producer wrote with an epoch that has been replaced.'),
  INVALID_TXN_STATE: final(48, 'The transaction is not in a state that allows this.'),
  INVALID_PRODUCER_ID_MAPPING: final(49, 'The producer id does not belong to this transactional id.'),
  INVALID_TRANSACTION_TIMEOUT: final(50, 'The transaction timeout is above the maximum of the broker.'),
  CONCURRENT_TRANSACTIONS: retriable(51, 'Another operation on the same transaction is still under way.'),
  TRANSACTION_COORDINATOR_FENCED: final(52, 'The marker comes from a coordinator that has been replaced.'),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: final(53, 'The principal may not use this transactional id.'),
  SECURITY_DISABLED: final(54, 'No authorizer is configured.'),
  OPERATION_NOT_ATTEMPTED: final(55, 'Not tried, because another part of the same request failed.'),
  KAFKA_STORAGE_ERROR: retriable(56, 'The disk failed while the log was read or written.'),
  LOG_DIR_NOT_FOUND: final(57, 'There is no such log directory.'),
  SASL_AUTHENTICATION_FAILED: final(58, 'The credentials were not accepted.'),
  UNKNOWN_PRODUCER_ID: final(59, 'The partition has forgotten this producer.'),
  REASSIGNMENT_IN_PROGRESS: final(60, 'A reassignment of the partition is under way.'),
  DELEGATION_TOKEN_AUTH_DISABLED: final(61, 'Delegation tokens are not enabled.'),
  DELEGATION_TOKEN_NOT_FOUND: final(62, 'There is no such delegation token.'),
  DELEGATION_TOKEN_OWNER_MISMATCH: final(63, 'The principal neither owns nor may renew the token.'),
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: final(64, 'This connection may not ask for delegation tokens.'),
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: final(65, 'The principal may not do this with delegation tokens.'),
  DELEGATION_TOKEN_EXPIRED: final(66, 'The delegation token has expired.'),
  INVALID_PRINCIPAL_TYPE: final(67, 'Principals of this type are not supported.'),
  NON_EMPTY_GROUP: final(68, 'The group still has members.'),
  GROUP_ID_NOT_FOUND: final(69, 'There is no such group.'),
  FETCH_SESSION_ID_NOT_FOUND: retriable(70, 'The fetch session is gone: open a new one.'),
  INVALID_FETCH_SESSION_EPOCH: retriable(71, 'The fetch session is at another epoch.'),
  LISTENER_NOT_FOUND: retriable(72, 'The leader has no listener of the name this request came in on.'),
  TOPIC_DELETION_DISABLED: final(73, 'Topics may not be deleted here.'),
  FENCED_LEADER_EPOCH: retriable(74, 'The client knows an older leader epoch than the broker.'),
  UNKNOWN_LEADER_EPOCH: retriable(75, 'The client knows a newer leader epoch than the broker.'),
  UNSUPPORTED_COMPRESSION_TYPE: final(76, 'The version of the request does not allow this compression.'),
  STALE_BROKER_EPOCH: final(77, 'The broker has registered again since.'),
  OFFSET_NOT_AVAILABLE: retriable(78, 'A new leader does not know its high watermark yet.'),
  MEMBER_ID_REQUIRED: final(79, 'Join again with the member id in this answer.'),
  PREFERRED_LEADER_NOT_AVAILABLE: retriable(80, 'The preferred leader is not available.'),
  GROUP_MAX_SIZE_REACHED: final(81, 'The group is full.'),
  FENCED_INSTANCE_ID: final(82, 'Another member has taken this group.instance.id.'),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: retriable(83, 'No replica that may lead is available.'),
  ELECTION_NOT_NEEDED: retriable(84, 'The partition has the leader it should have.'),
  NO_REASSIGNMENT_IN_PROGRESS: final(85, 'No reassignment of the partition is under way.'),
  GROUP_SUBSCRIBED_TO_TOPIC: final(86, 'The group reads the topic: its offsets cannot be deleted.'),
  INVALID_RECORD: final(87, 'A record breaks a rule of the topic.'),
  UNSTABLE_OFFSET_COMMIT: retriable(88, 'A transaction still holds offsets of the group.'),
  THROTTLING_QUOTA_EXCEEDED: retriable(89, 'The quota is used up.'),
  PRODUCER_FENCED: final(90, 'A newer producer uses the same transactional id.'),
  RESOURCE_NOT_FOUND: final(91, 'The request names something that does not exist.'),
  DUPLICATE_RESOURCE: final(92, 'The request names the same thing twice.'),
  UNACCEPTABLE_CREDENTIAL: final(93, 'The credential is too weak or not well formed.'),
  INCONSISTENT_VOTER_SET: final(94, 'Sender or receiver is not one of the expected voters.'),
  INVALID_UPDATE_VERSION: final(95, 'The version of the update is not possible.'),
  FEATURE_UPDATE_FAILED: final(96, 'The finalized features could not be changed.'),
  PRINCIPAL_DESERIALIZATION_FAILURE: final(97, 'The principal of a forwarded request cannot be read.'),
  SNAPSHOT_NOT_FOUND: final(98, 'There is no such snapshot.'),
  POSITION_OUT_OF_RANGE: final(99, 'The position lies outside the snapshot.'),
  UNKNOWN_TOPIC_ID: retriable(100, 'No topic here has this id.'),
  DUPLICATE_BROKER_REGISTRATION: final(101, 'Another live broker has this id.'),
  BROKER_ID_NOT_REGISTERED: final(102, 'No broker is registered with this id.'),
  INCONSISTENT_TOPIC_ID: retriable(103, 'The log belongs to a topic with another id.'),
  INCONSISTENT_CLUSTER_ID: final(104, 'The request is meant for another cluster.'),
  TRANSACTIONAL_ID_NOT_FOUND: final(105, 'There is no such transactional id.'),
  FETCH_SESSION_TOPIC_ID_ERROR: retriable(106, 'The fetch session mixes topic names and topic ids.'),
  INELIGIBLE_REPLICA: final(107, 'A replica that may not be in sync was proposed for the ISR.'),
  NEW_LEADER_ELECTED: final(108, 'The change was made and the partition has another leader now.'),
  OFFSET_MOVED_TO_TIERED_STORAGE: final(109, 'The offset lives in the remote tier only.'),
  FENCED_MEMBER_EPOCH: final(110, 'The coordinator has fenced the member: give up all partitions and join again.'),
  UNRELEASED_INSTANCE_ID: final(111, 'The instance id is still in use by another member.'),
  UNSUPPORTED_ASSIGNOR: final(112, 'The group cannot use this assignor.'),
  STALE_MEMBER_EPOCH: final(113, 'The member must learn its new epoch by a heartbeat first.'),
  MISMATCHED_ENDPOINT_TYPE: final(114, 'The request went to the wrong kind of endpoint.'),
  UNSUPPORTED_ENDPOINT_TYPE: final(115, 'This kind of endpoint is not supported.'),
  UNKNOWN_CONTROLLER_ID: final(116, 'There is no controller with this id.'),
  UNKNOWN_SUBSCRIPTION_ID: final(117, 'The telemetry subscription is out of date.'),
  TELEMETRY_TOO_LARGE: final(118, 'The telemetry payload is too large.'),
  INVALID_REGISTRATION: final(119, 'The controller did not accept the registration.'),
  TRANSACTION_ABORTABLE: final(120, 'The transaction must be aborted; the producer may go on with a new one.'),
  INVALID_RECORD_STATE: final(121, 'The record is not in a state that can be acknowledged.'),
  SHARE_SESSION_NOT_FOUND: retriable(122, 'The share session is gone.'),
  INVALID_SHARE_SESSION_EPOCH: retriable(123, 'The share session is at another epoch.'),
  FENCED_STATE_EPOCH: final(124, 'The share partition is at another state epoch.'),
  INVALID_VOTER_KEY: final(125, 'The voter key names another replica.'),
  DUPLICATE_VOTER: final(126, 'The voter is in the set already.'),
  VOTER_NOT_FOUND: final(127, 'The voter is not in the set.'),
  INVALID_REGULAR_EXPRESSION: final(128, 'The regular expression is not lawful.'),
  REBOOTSTRAP_REQUIRED: final(129, 'The metadata of the client is too old: start again from the bootstrap servers.'),
  STREAMS_INVALID_TOPOLOGY: final(130, 'The topology is not lawful.'),
  STREAMS_INVALID_TOPOLOGY_EPOCH: final(131, 'The topology epoch is not lawful.'),
  STREAMS_TOPOLOGY_FENCED: final(132, 'The group has a newer topology.'),
  SHARE_SESSION_LIMIT_REACHED: retriable(133, 'No further share session can be opened.'),
} as const satisfies Readonly<Record<string, KafkaError>>

export type KafkaErrorName = keyof typeof kafkaErrors

const nameByCode = new Map(
  Object.entries(kafkaErrors).map(([name, error]) => [error.code, name as KafkaErrorName] as const),
)

/** The number of an error on the wire. */
export function errorCode(name: KafkaErrorName): number {
  return kafkaErrors[name].code
}

/** The name of a number; UNKNOWN_SERVER_ERROR for a number we do not know, as Kafka's clients read it. */
export function errorName(code: number): KafkaErrorName {
  return nameByCode.get(code) ?? 'UNKNOWN_SERVER_ERROR'
}

/** True when the same request may succeed later. */
export function errorIsRetriable(name: KafkaErrorName): boolean {
  return kafkaErrors[name].retriable
}

/** What the error means, one sentence. */
export function errorSentence(name: KafkaErrorName): string {
  return kafkaErrors[name].sentence
}

function final(code: number, sentence: string): KafkaError {
  return { code, retriable: false, sentence }
}

function retriable(code: number, sentence: string): KafkaError {
  return { code, retriable: true, sentence }
}
