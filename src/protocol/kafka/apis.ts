/**
 * The APIs we speak, at the versions of Apache Kafka 4.1. What a broker really answers is this table less the APIs it has no handler for.
 *
 * Produce is here from version 0 on, as Apache Kafka announces it (old librdkafka reads its abilities from versions 0 to 2, KAFKA-18659);
 * no batch of those versions is accepted.
 */
import { AlterClientQuotasRequest, AlterClientQuotasResponse } from './messages/alter-client-quotas.ts'
import { AlterConfigsRequest, AlterConfigsResponse } from './messages/alter-configs.ts'
import { ApiVersionsRequest, ApiVersionsResponse } from './messages/api-versions.ts'
import { CreatePartitionsRequest, CreatePartitionsResponse } from './messages/create-partitions.ts'
import { CreateTopicsRequest, CreateTopicsResponse } from './messages/create-topics.ts'
import { DeleteGroupsRequest, DeleteGroupsResponse } from './messages/delete-groups.ts'
import { DeleteRecordsRequest, DeleteRecordsResponse } from './messages/delete-records.ts'
import { DeleteTopicsRequest, DeleteTopicsResponse } from './messages/delete-topics.ts'
import { DescribeClusterRequest, DescribeClusterResponse } from './messages/describe-cluster.ts'
import { DescribeConfigsRequest, DescribeConfigsResponse } from './messages/describe-configs.ts'
import { DescribeGroupsRequest, DescribeGroupsResponse } from './messages/describe-groups.ts'
import { DescribeLogDirsRequest, DescribeLogDirsResponse } from './messages/describe-log-dirs.ts'
import { DescribeProducersRequest, DescribeProducersResponse } from './messages/describe-producers.ts'
import {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from './messages/describe-topic-partitions.ts'
import { FetchRequest, FetchResponse } from './messages/fetch.ts'
import { FindCoordinatorRequest, FindCoordinatorResponse } from './messages/find-coordinator.ts'
import { HeartbeatRequest, HeartbeatResponse } from './messages/heartbeat.ts'
import {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from './messages/incremental-alter-configs.ts'
import { InitProducerIdRequest, InitProducerIdResponse } from './messages/init-producer-id.ts'
import { JoinGroupRequest, JoinGroupResponse } from './messages/join-group.ts'
import { LeaveGroupRequest, LeaveGroupResponse } from './messages/leave-group.ts'
import { ListGroupsRequest, ListGroupsResponse } from './messages/list-groups.ts'
import { ListOffsetsRequest, ListOffsetsResponse } from './messages/list-offsets.ts'
import {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from './messages/list-partition-reassignments.ts'
import { MetadataRequest, MetadataResponse } from './messages/metadata.ts'
import { OffsetCommitRequest, OffsetCommitResponse } from './messages/offset-commit.ts'
import { OffsetDeleteRequest, OffsetDeleteResponse } from './messages/offset-delete.ts'
import { OffsetFetchRequest, OffsetFetchResponse } from './messages/offset-fetch.ts'
import { OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse } from './messages/offset-for-leader-epoch.ts'
import { ProduceRequest, ProduceResponse } from './messages/produce.ts'
import { SyncGroupRequest, SyncGroupResponse } from './messages/sync-group.ts'
import { SaslHandshakeRequest, SaslHandshakeResponse } from './messages/sasl-handshake.ts'
import { SaslAuthenticateRequest, SaslAuthenticateResponse } from './messages/sasl-authenticate.ts'
import { DescribeAclsRequest, DescribeAclsResponse } from './messages/describe-acls.ts'
import { CreateAclsRequest, CreateAclsResponse } from './messages/create-acls.ts'
import { DeleteAclsRequest, DeleteAclsResponse } from './messages/delete-acls.ts'
import {
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponse,
} from './messages/describe-user-scram-credentials.ts'
import {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from './messages/alter-user-scram-credentials.ts'
import { DescribeClientQuotasRequest, DescribeClientQuotasResponse } from './messages/describe-client-quotas.ts'
import { AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse } from './messages/alter-replica-log-dirs.ts'
import { ElectLeadersRequest, ElectLeadersResponse } from './messages/elect-leaders.ts'
import {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from './messages/alter-partition-reassignments.ts'
import { DescribeQuorumRequest, DescribeQuorumResponse } from './messages/describe-quorum.ts'
import { ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse } from './messages/consumer-group-heartbeat.ts'
import { DescribeTransactionsRequest, DescribeTransactionsResponse } from './messages/describe-transactions.ts'
import { ListTransactionsRequest, ListTransactionsResponse } from './messages/list-transactions.ts'
import { ListConfigResourcesRequest, ListConfigResourcesResponse } from './messages/list-config-resources.ts'
import type { MessageSchema } from './schema.ts'

export interface KafkaApi<Q extends MessageSchema = MessageSchema, R extends MessageSchema = MessageSchema> {
  readonly key: number
  readonly name: string
  readonly request: Q
  readonly response: R
  readonly minVersion: number
  readonly maxVersion: number
  /** First version with compact lengths and tagged fields, whose header has tagged fields too; Infinity = none. */
  readonly flexibleFrom: number
}

export const produceApi = api('Produce', ProduceRequest, ProduceResponse)
export const fetchApi = api('Fetch', FetchRequest, FetchResponse)
export const listOffsetsApi = api('ListOffsets', ListOffsetsRequest, ListOffsetsResponse)
export const metadataApi = api('Metadata', MetadataRequest, MetadataResponse)
export const offsetCommitApi = api('OffsetCommit', OffsetCommitRequest, OffsetCommitResponse)
export const offsetFetchApi = api('OffsetFetch', OffsetFetchRequest, OffsetFetchResponse)
export const findCoordinatorApi = api('FindCoordinator', FindCoordinatorRequest, FindCoordinatorResponse)
export const joinGroupApi = api('JoinGroup', JoinGroupRequest, JoinGroupResponse)
export const heartbeatApi = api('Heartbeat', HeartbeatRequest, HeartbeatResponse)
export const leaveGroupApi = api('LeaveGroup', LeaveGroupRequest, LeaveGroupResponse)
export const syncGroupApi = api('SyncGroup', SyncGroupRequest, SyncGroupResponse)
export const describeGroupsApi = api('DescribeGroups', DescribeGroupsRequest, DescribeGroupsResponse)
export const listGroupsApi = api('ListGroups', ListGroupsRequest, ListGroupsResponse)
export const apiVersionsApi = api('ApiVersions', ApiVersionsRequest, ApiVersionsResponse)
export const createTopicsApi = api('CreateTopics', CreateTopicsRequest, CreateTopicsResponse)
export const deleteTopicsApi = api('DeleteTopics', DeleteTopicsRequest, DeleteTopicsResponse)
export const deleteRecordsApi = api('DeleteRecords', DeleteRecordsRequest, DeleteRecordsResponse)
export const initProducerIdApi = api('InitProducerId', InitProducerIdRequest, InitProducerIdResponse)
export const offsetForLeaderEpochApi = api(
  'OffsetForLeaderEpoch',
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
)
export const describeConfigsApi = api('DescribeConfigs', DescribeConfigsRequest, DescribeConfigsResponse)
export const alterConfigsApi = api('AlterConfigs', AlterConfigsRequest, AlterConfigsResponse)
export const describeLogDirsApi = api('DescribeLogDirs', DescribeLogDirsRequest, DescribeLogDirsResponse)
export const createPartitionsApi = api('CreatePartitions', CreatePartitionsRequest, CreatePartitionsResponse)
export const deleteGroupsApi = api('DeleteGroups', DeleteGroupsRequest, DeleteGroupsResponse)
export const incrementalAlterConfigsApi = api(
  'IncrementalAlterConfigs',
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
)
export const listPartitionReassignmentsApi = api(
  'ListPartitionReassignments',
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
)
export const offsetDeleteApi = api('OffsetDelete', OffsetDeleteRequest, OffsetDeleteResponse)
export const describeClusterApi = api('DescribeCluster', DescribeClusterRequest, DescribeClusterResponse)
export const describeTopicPartitionsApi = api(
  'DescribeTopicPartitions',
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
)
export const describeProducersApi = api('DescribeProducers', DescribeProducersRequest, DescribeProducersResponse)

export const saslHandshakeApi = api('SaslHandshake', SaslHandshakeRequest, SaslHandshakeResponse)
export const saslAuthenticateApi = api('SaslAuthenticate', SaslAuthenticateRequest, SaslAuthenticateResponse)
export const describeAclsApi = api('DescribeAcls', DescribeAclsRequest, DescribeAclsResponse)
export const createAclsApi = api('CreateAcls', CreateAclsRequest, CreateAclsResponse)
export const deleteAclsApi = api('DeleteAcls', DeleteAclsRequest, DeleteAclsResponse)
export const describeUserScramCredentialsApi = api(
  'DescribeUserScramCredentials',
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponse,
)
export const alterUserScramCredentialsApi = api(
  'AlterUserScramCredentials',
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
)
export const describeClientQuotasApi = api(
  'DescribeClientQuotas',
  DescribeClientQuotasRequest,
  DescribeClientQuotasResponse,
)

export const alterClientQuotasApi = api('AlterClientQuotas', AlterClientQuotasRequest, AlterClientQuotasResponse)

export const alterReplicaLogDirsApi = api(
  'AlterReplicaLogDirs',
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse,
)
export const electLeadersApi = api('ElectLeaders', ElectLeadersRequest, ElectLeadersResponse)
export const alterPartitionReassignmentsApi = api(
  'AlterPartitionReassignments',
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
)
export const describeQuorumApi = api('DescribeQuorum', DescribeQuorumRequest, DescribeQuorumResponse)
export const describeTransactionsApi = api(
  'DescribeTransactions',
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
)
export const listTransactionsApi = api('ListTransactions', ListTransactionsRequest, ListTransactionsResponse)
export const consumerGroupHeartbeatApi = api(
  'ConsumerGroupHeartbeat',
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
)
export const listConfigResourcesApi = api(
  'ListConfigResources',
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
)

/** What a broker of ours can answer. */
export const kafkaApis: readonly KafkaApi[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  saslHandshakeApi,
  apiVersionsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  offsetForLeaderEpochApi,
  describeAclsApi,
  createAclsApi,
  deleteAclsApi,
  describeConfigsApi,
  alterConfigsApi,
  alterReplicaLogDirsApi,
  describeLogDirsApi,
  saslAuthenticateApi,
  createPartitionsApi,
  deleteGroupsApi,
  electLeadersApi,
  incrementalAlterConfigsApi,
  alterPartitionReassignmentsApi,
  listPartitionReassignmentsApi,
  offsetDeleteApi,
  describeClientQuotasApi,
  alterClientQuotasApi,
  describeUserScramCredentialsApi,
  alterUserScramCredentialsApi,
  describeQuorumApi,
  describeClusterApi,
  describeProducersApi,
  describeTransactionsApi,
  listTransactionsApi,
  consumerGroupHeartbeatApi,
  listConfigResourcesApi,
  describeTopicPartitionsApi,
]

/** What a client of ours can ask: the same. */
export const kafkaClientApis: readonly KafkaApi[] = kafkaApis

export const apiByKey: ReadonlyMap<number, KafkaApi> = new Map(kafkaApis.map((each) => [each.key, each]))

export const clientApiByKey: ReadonlyMap<number, KafkaApi> = new Map(kafkaClientApis.map((each) => [each.key, each]))

function api<Q extends MessageSchema, R extends MessageSchema>(name: string, request: Q, response: R): KafkaApi<Q, R> {
  return {
    key: request.apiKey,
    name,
    request,
    response,
    minVersion: request.versions.first,
    maxVersion: request.versions.last,
    flexibleFrom: request.flexible?.first ?? Number.POSITIVE_INFINITY,
  }
}
