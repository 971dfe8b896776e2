/** `headwater groups`: list, describe, reset-offsets, delete, as a Kafka client. */
import { ApplianceError } from '../../base/errors.ts'
import {
  deleteGroupsApi,
  describeGroupsApi,
  listGroupsApi,
  offsetCommitApi,
  offsetFetchApi,
} from '../../protocol/kafka/apis.ts'
import { cliErrors } from './cli-errors.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'
import { earliestTimestamp, latestTimestamp } from './offset-timestamps.ts'
import { listOffsets, type PartitionPlace, placesOf } from './offsets.ts'
import { formatFacts, formatTable, printResult } from './output.ts'

export async function listGroups(client: KafkaClient, json: boolean): Promise<void> {
  await client.metadata([])
  const groups: { group: string; state: string; protocol: string }[] = []
  for (const nodeId of client.brokers.keys()) {
    const response = await client.askNode(nodeId, listGroupsApi, {})
    refuseError('ListGroups', response.errorCode)
    for (const { groupId, groupState, protocolType } of response.groups)
      groups.push({ group: groupId, state: groupState, protocol: protocolType })
  }
  groups.sort((one, other) => (one.group < other.group ? -1 : 1))
  printResult(groups, json, () =>
    groups.length === 0
      ? 'no groups'
      : formatTable(
          ['GROUP', 'STATE', 'PROTOCOL'],
          groups.map(({ group, state, protocol }) => [group, state, protocol]),
        ),
  )
}

interface GroupOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Committed offsets of a group. */
async function committedOffsets(client: KafkaClient, group: string): Promise<GroupOffset[]> {
  const coordinator = await client.coordinatorOf(group)
  const response = await client.askNode(coordinator, offsetFetchApi, {
    groups: [{ groupId: group, topics: null, memberId: null, memberEpoch: -1 }],
    requireStable: false,
  })
  const found = response.groups[0]
  refuseError('OffsetFetch', found?.errorCode ?? 0)
  return (found?.topics ?? []).flatMap((topic) =>
    topic.partitions.map((partition) => ({
      topic: topic.name,
      partition: partition.partitionIndex,
      offset: partition.committedOffset,
    })),
  )
}

export async function describeGroup(client: KafkaClient, group: string, json: boolean): Promise<void> {
  const coordinator = await client.coordinatorOf(group)
  const response = await client.askNode(coordinator, describeGroupsApi, {
    groups: [group],
  })
  const found = response.groups[0]
  refuseError('DescribeGroups', found?.errorCode ?? 0, found?.errorMessage)
  const offsets = await committedOffsets(client, group)
  const places = await placesOf(client, [...new Set(offsets.map(({ topic }) => topic))])
  const ends = await listOffsets(client, places, latestTimestamp, new Map())
  const rows = offsets
    .map((row) => {
      const end = ends.get(`${row.topic}-${row.partition}`) ?? null
      return { ...row, endOffset: end, lag: end === null || row.offset < 0 ? null : end - row.offset }
    })
    .sort((one, other) =>
      one.topic === other.topic ? one.partition - other.partition : one.topic < other.topic ? -1 : 1,
    )
  const members = found?.members.map(({ memberId, clientId, clientHost }) => ({ memberId, clientId, clientHost })) ?? []
  const description = {
    group,
    state: found?.groupState ?? 'Dead',
    protocol: found?.protocolData ?? '',
    members,
    offsets: rows,
  }
  printResult(description, json, () => {
    const facts = formatFacts([
      ['group', group],
      ['state', description.state],
      ['coordinator', coordinator],
      [
        'members',
        members.length === 0
          ? '-'
          : members.map(({ memberId, clientHost }) => `${memberId} (${clientHost})`).join(', '),
      ],
    ])
    if (rows.length === 0) return `${facts}\n\nno committed offsets`
    const table = formatTable(
      ['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG'],
      rows.map((row) => [row.topic, row.partition, row.offset, row.endOffset ?? '-', row.lag ?? '-']),
    )
    return `${facts}\n\n${table}`
  })
}

/** Where `reset-offsets` sets a group. */
export type ResetTarget =
  | { readonly kind: 'earliest' | 'latest' }
  | { readonly kind: 'offset' | 'shift' | 'timestamp'; readonly value: number }

export async function resetOffsets(
  client: KafkaClient,
  group: string,
  topics: readonly string[],
  options: { readonly target: ResetTarget; readonly execute: boolean; readonly json: boolean },
): Promise<void> {
  const committed = await committedOffsets(client, group)
  const names = topics.length > 0 ? topics : [...new Set(committed.map(({ topic }) => topic))]
  if (names.length === 0)
    throw new ApplianceError(cliErrors.valueInvalid, {
      name: 'reset-offsets',
      detail: `the group ${group} has no committed offsets: name topics with --topic`,
    })
  const places = await placesOf(client, names)
  const current = new Map(committed.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  const planned = await targetOffsets(client, places, current, options.target)
  if (options.execute) await commitOffsets(client, group, planned)
  printResult({ group, executed: options.execute, offsets: planned }, options.json, () => {
    const table = formatTable(
      ['TOPIC', 'PARTITION', 'FROM', 'TO'],
      planned.map(({ topic, partition, offset }) => [
        topic,
        partition,
        current.get(`${topic}-${partition}`) ?? '-',
        offset,
      ]),
    )
    return options.execute ? table : `${table}\n\nnothing was changed; add --execute`
  })
}

/** The new offset of each partition, within what its log holds. */
async function targetOffsets(
  client: KafkaClient,
  places: readonly PartitionPlace[],
  current: ReadonlyMap<string, number>,
  target: ResetTarget,
): Promise<GroupOffset[]> {
  const starts = await listOffsets(client, places, earliestTimestamp)
  const ends = await listOffsets(client, places, latestTimestamp)
  const times = target.kind === 'timestamp' ? await listOffsets(client, places, target.value) : null
  return places.map(({ topic, partition }) => {
    const key = `${topic}-${partition}`
    const start = starts.get(key) ?? 0
    const end = ends.get(key) ?? start
    const wanted = () => {
      if (target.kind === 'earliest') return start
      if (target.kind === 'latest') return end
      if (target.kind === 'offset') return target.value
      if (target.kind === 'shift') return (current.get(key) ?? start) + target.value
      const found = times?.get(key) ?? -1
      return found < 0 ? end : found
    }
    return { topic, partition, offset: Math.min(Math.max(wanted(), start), end) }
  })
}

/** Commits as an administrator does: no member, no generation; the group must be empty. */
async function commitOffsets(client: KafkaClient, group: string, offsets: readonly GroupOffset[]): Promise<void> {
  const coordinator = await client.coordinatorOf(group)
  const topics = [...Map.groupBy(offsets, ({ topic }) => topic)].map(([name, rows]) => ({
    name,
    partitions: rows.map(({ partition, offset }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: -1,
      committedMetadata: '',
    })),
  }))
  const response = await client.askNode(coordinator, offsetCommitApi, {
    groupId: group,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    groupInstanceId: null,
    topics,
  })
  for (const topic of response.topics) {
    for (const partition of topic.partitions)
      refuseError(`OffsetCommit of ${topic.name}-${partition.partitionIndex}`, partition.errorCode)
  }
}

export async function deleteGroups(client: KafkaClient, groups: readonly string[], json: boolean): Promise<void> {
  for (const group of groups) {
    const coordinator = await client.coordinatorOf(group)
    const response = await client.askNode(coordinator, deleteGroupsApi, {
      groupsNames: [group],
    })
    refuseError(`DeleteGroups of ${group}`, response.results[0]?.errorCode ?? 0)
  }
  printResult({ deleted: groups }, json, () => `deleted ${groups.join(', ')}`)
}
