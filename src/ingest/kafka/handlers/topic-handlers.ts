/** The handlers that change topics: CreateTopics, CreatePartitions, DeleteTopics. They translate; `broker/topic-admin.ts` does it. */
import { zeroUuid } from '../../../base/ids.ts'
import { nextTurn } from '../../../base/next-turn.ts'
import type { Clock } from '../../../base/ports.ts'
import type { TopicReference } from '../../../broker/topic-admin.ts'
import type { TopicOutcome } from '../../../cluster/metadata/metadata-controller.ts'
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponseInput,
} from '../../../protocol/kafka/messages/create-partitions.ts'
import type { CreateTopicsRequest, CreateTopicsResponseInput } from '../../../protocol/kafka/messages/create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponseInput } from '../../../protocol/kafka/messages/delete-topics.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'

/** The three rows of the table. */
export function topicHandlers(parts: AdminParts): readonly HandlerEntry[] {
  return [
    [19, createTopics(parts)],
    [20, deleteTopics(parts)],
    [37, createPartitions(parts)],
  ]
}

type CreatedTopic = NonNullable<CreateTopicsResponseInput['topics']>[number]

/** CreateTopics 2-7. Not implemented: creation policies, quotas on changes, replicas on other nodes (there are none). */
function createTopics(parts: AdminParts): KafkaHandler<CreateTopicsRequest, CreateTopicsResponseInput> {
  return async ({ topics, timeoutMs, validateOnly }) => {
    const { once, twice } = splitDuplicates(topics, ({ name }) => name)
    const settingsOf = settingsTeller(parts)
    const created = await startEach(once, parts.clock, async (topic): Promise<CreatedTopic> => {
      const configs = new Map(topic.configs.map(({ name, value }) => [name, value]))
      if (configs.size < topic.configs.length) {
        return refusedTopic(topic.name, 'INVALID_REQUEST', 'Error due to duplicate config keys')
      }
      const nameless = topic.configs.find(({ value }) => value === null)
      if (nameless !== undefined) {
        const message = `Null value not supported for topic configs: ${nameless.name}`
        return refusedTopic(topic.name, 'INVALID_CONFIG', message)
      }
      const { name, numPartitions: partitions, replicationFactor, assignments } = topic
      const request = { name, partitions, replicationFactor, assignments, configs }
      const outcome = await parts.topics.create(request, { timeoutMs, validateOnly })
      if (outcome.kind === 'refused') return refusedTopic(name, outcome.error, outcome.message)
      return doneTopic(outcome, settingsOf(configs), validateOnly)
    })
    return {
      topics: [...created, ...twice.map(({ name }) => refusedTopic(name, 'INVALID_REQUEST', 'Duplicate topic name.'))],
    }
  }
}

type ToldSettings = NonNullable<CreatedTopic['configs']>

/** What the settings of new topics mean; those that are made alike are told alike, and it is found out once. */
function settingsTeller(parts: AdminParts): (configs: ReadonlyMap<string, string | null>) => ToldSettings {
  const told = new Map<string, ToldSettings>()
  return (configs) => {
    const key = JSON.stringify([...configs])
    const known = told.get(key)
    if (known !== undefined) return known
    const set = new Map([...configs].map(([name, value]) => [name, value ?? '']))
    const settings = parts.configs.describeTopic(set).map(({ name, value, isReadOnly, source }) => ({
      name,
      value,
      readOnly: isReadOnly,
      configSource: source,
      isSensitive: false,
    }))
    told.set(key, settings)
    return settings
  }
}

function doneTopic(
  { topic }: Extract<TopicOutcome, { kind: 'done' }>,
  configs: ToldSettings,
  validateOnly: boolean,
): CreatedTopic {
  return {
    name: topic.name,
    topicId: validateOnly ? zeroUuid : topic.topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions: topic.partitions.length,
    replicationFactor: 1,
    configs,
  }
}

function refusedTopic(name: string, error: KafkaErrorName, errorMessage: string): CreatedTopic {
  return { name, errorCode: errorCode(error), errorMessage }
}

/** CreatePartitions 0-3. Not implemented: the same as for CreateTopics. */
function createPartitions(parts: AdminParts): KafkaHandler<CreatePartitionsRequest, CreatePartitionsResponseInput> {
  return async ({ topics, timeoutMs, validateOnly }) => {
    const { once, twice } = splitDuplicates(topics, ({ name }) => name)
    const grown = await startEach(once, parts.clock, async ({ name, count, assignments }) => {
      const brokers = assignments?.map(({ brokerIds }) => brokerIds) ?? null
      const outcome = await parts.topics.grow(name, count, brokers, { timeoutMs, validateOnly })
      if (outcome.kind === 'done') return { name, errorCode: 0 }
      return { name, errorCode: errorCode(outcome.error), errorMessage: outcome.message }
    })
    const duplicates = twice.map(({ name }) => ({
      name,
      errorCode: errorCode('INVALID_REQUEST'),
      errorMessage: 'Duplicate topic name.',
    }))
    return { results: [...grown, ...duplicates] }
  }
}

/** DeleteTopics 1-6; by name, and from version 6 on by id. A deleted topic is out of service before it is answered. */
function deleteTopics(parts: AdminParts): KafkaHandler<DeleteTopicsRequest, DeleteTopicsResponseInput> {
  return async (request, { apiVersion }) => {
    const references: readonly TopicReference[] =
      apiVersion < 6
        ? request.topicNames.map((name) => ({ name, topicId: null }))
        : request.topics.map(({ name, topicId }) => ({ name, topicId: topicId === zeroUuid ? null : topicId }))
    // One topic may be meant twice, by its name and by its id.
    const { once, twice } = splitDuplicates(
      references,
      (reference) => parts.topics.find(reference)?.topicId ?? `${reference.topicId ?? ''} ${reference.name ?? ''}`,
    )
    const deleted = await startEach(once, parts.clock, async (reference) => {
      if ((reference.name === null) === (reference.topicId === null)) {
        const count = reference.name === null ? 'Neither topic name nor id were specified.' : bothGiven
        return deletedTopic(reference, 'INVALID_REQUEST', count)
      }
      const outcome = await parts.topics.delete(reference, request.timeoutMs)
      if (outcome.kind === 'refused') return deletedTopic(reference, outcome.error, outcome.message)
      return { name: outcome.topic.name, topicId: outcome.topic.topicId, errorCode: 0 }
    })
    const duplicates = twice.map((reference) => deletedTopic(reference, 'INVALID_REQUEST', 'Duplicate topic.'))
    return { responses: [...deleted, ...duplicates] }
  }
}

const bothGiven = 'You may not specify both topic name and topic id.'

type DeletedTopic = NonNullable<DeleteTopicsResponseInput['responses']>[number]

function deletedTopic({ name, topicId }: TopicReference, error: KafkaErrorName, errorMessage: string): DeletedTopic {
  return { name, topicId: topicId ?? zeroUuid, errorCode: errorCode(error), errorMessage }
}

/** Verbs begun in one turn of the loop: a few milliseconds. */
const startsPerTurn = 256

/** Like Promise.all over map, with room for others on the loop between the starts. */
async function startEach<T, R>(entries: readonly T[], clock: Clock, start: (entry: T) => Promise<R>): Promise<R[]> {
  const started: Promise<R>[] = []
  for (const entry of entries) {
    const verb = start(entry)
    // It is waited for below; until then nobody hears that it failed.
    verb.catch(() => {})
    if (started.push(verb) % startsPerTurn === 0) await nextTurn(clock)
  }
  return Promise.all(started)
}

/** Entries named once; and of those named more than once, one each: which of them was meant cannot be known. */
function splitDuplicates<T>(
  entries: readonly T[],
  nameOf: (entry: T) => string,
): { readonly once: readonly T[]; readonly twice: readonly T[] } {
  const byName = new Map<string, T[]>()
  for (const entry of entries) {
    const name = nameOf(entry)
    const same = byName.get(name)
    if (same === undefined) byName.set(name, [entry])
    else same.push(entry)
  }
  const groups = [...byName.values()]
  return {
    once: groups.flatMap((group) => (group.length === 1 ? group : [])),
    twice: groups.flatMap((group) => (group.length > 1 ? group.slice(0, 1) : [])),
  }
}
