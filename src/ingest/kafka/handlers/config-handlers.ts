/**
 * The handlers of settings: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources. They translate;
 * `broker/config-admin.ts` does it.
 */
import { configResourceType } from '../../../cluster/metadata/metadata-image.ts'
import type { ConfigEdit, ConfigOperation, ConfigResource } from '../../../broker/config-admin.ts'
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type { AlterConfigsRequest, AlterConfigsResponseInput } from '../../../protocol/kafka/messages/alter-configs.ts'
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponseInput,
} from '../../../protocol/kafka/messages/describe-configs.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponseInput,
} from '../../../protocol/kafka/messages/incremental-alter-configs.ts'
import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponseInput,
} from '../../../protocol/kafka/messages/list-config-resources.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'

/** The four rows of the table. */
export function configHandlers(parts: AdminParts): readonly HandlerEntry[] {
  return [
    [32, describeConfigs(parts)],
    [33, alterConfigs(parts)],
    [44, incrementalAlterConfigs(parts)],
    [74, listConfigResources(parts)],
  ]
}

/**
 * DescribeConfigs 1-4: topics and brokers; broker loggers, groups and client metrics have no settings, of which tools list none. What is
 * named twice is told once: a name is a few bytes, and its settings are thousands.
 */
function describeConfigs({ configs }: AdminParts): KafkaHandler<DescribeConfigsRequest, DescribeConfigsResponseInput> {
  return ({ resources, includeSynonyms, includeDocumentation }) => ({
    results: onceEach(resources).map(({ resourceType, resourceName, configurationKeys }) => {
      const keys = configurationKeys === null || configurationKeys.length === 0 ? null : configurationKeys
      const outcome = configs.describe({ type: resourceType, name: resourceName }, keys)
      if (outcome.kind === 'refused') {
        return { errorCode: errorCode(outcome.error), errorMessage: outcome.message, resourceType, resourceName }
      }
      return {
        errorCode: 0,
        errorMessage: null,
        resourceType,
        resourceName,
        configs: outcome.configs.map((config) => ({
          name: config.name,
          value: config.value,
          readOnly: config.isReadOnly,
          configSource: config.source,
          isSensitive: false,
          synonyms: includeSynonyms ? config.synonyms : [],
          configType: config.type,
          documentation: includeDocumentation ? config.documentation : null,
        })),
      }
    }),
  })
}

function onceEach(resources: DescribeConfigsRequest['resources']): DescribeConfigsRequest['resources'] {
  const named = new Map<string, DescribeConfigsRequest['resources'][number]>()
  for (const resource of resources) {
    const key = `${resource.resourceType} ${resource.resourceName}`
    if (!named.has(key)) named.set(key, resource)
  }
  return [...named.values()]
}

/** ListConfigResources 0-1: topics and this broker. Client metrics (all that version 0 asks for) and groups have no settings here. */
function listConfigResources({
  cluster,
  nodeId,
}: AdminParts): KafkaHandler<ListConfigResourcesRequest, ListConfigResourcesResponseInput> {
  const { topic, broker, brokerLogger, clientMetrics, group } = configResourceType
  const kinds: readonly number[] = [topic, broker, brokerLogger, clientMetrics, group]
  return ({ resourceTypes }, { apiVersion }) => {
    const asked = new Set(apiVersion === 0 ? [clientMetrics] : resourceTypes.length === 0 ? kinds : resourceTypes)
    if (![...asked].every((kind) => kinds.includes(kind))) return { errorCode: errorCode('UNSUPPORTED_VERSION') }
    const topics = asked.has(topic) ? [...cluster.image.topics()].map(({ name }) => name) : []
    const brokers = [broker, brokerLogger].filter((kind) => asked.has(kind))
    return {
      errorCode: 0,
      configResources: [
        ...topics.map((name) => ({ resourceName: name, resourceType: topic })),
        ...brokers.map((kind) => ({ resourceName: String(nodeId), resourceType: kind })),
      ],
    }
  }
}

/** AlterConfigs 0-2: replaces all settings of a resource: what is not named goes back to its default. Kafka has deprecated it. */
function alterConfigs(parts: AdminParts): KafkaHandler<AlterConfigsRequest, AlterConfigsResponseInput> {
  return ({ resources, validateOnly }) => {
    const edited = resources.map(({ resourceType, resourceName, configs }) => ({
      resource: { type: resourceType, name: resourceName },
      edits: configs.map(({ name, value }): ConfigEdit => ({ key: name, operation: 'set', value })),
    }))
    return alterAll(parts, edited, { replace: true, validateOnly })
  }
}

const operations: readonly ConfigOperation[] = ['set', 'delete', 'append', 'subtract']

/** IncrementalAlterConfigs 0-1: single settings; all of a resource's changes or none (KIP-339). */
function incrementalAlterConfigs(
  parts: AdminParts,
): KafkaHandler<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponseInput> {
  return ({ resources, validateOnly }) => {
    const edited = resources.map(({ resourceType, resourceName, configs }) => ({
      resource: { type: resourceType, name: resourceName },
      edits: configs.map(({ name, configOperation, value }): ConfigEdit | null => {
        const operation = operations[configOperation]
        return operation === undefined ? null : { key: name, operation, value }
      }),
    }))
    return alterAll(parts, edited, { replace: false, validateOnly })
  }
}

interface EditedResource {
  readonly resource: ConfigResource
  /** Null for an operation that does not exist. */
  readonly edits: readonly (ConfigEdit | null)[]
}

type AlteredResource = NonNullable<AlterConfigsResponseInput['responses']>[number]

async function alterAll(
  { configs }: AdminParts,
  edited: readonly EditedResource[],
  options: { readonly replace: boolean; readonly validateOnly: boolean },
): Promise<{ readonly responses: readonly AlteredResource[] }> {
  const names = edited.map(({ resource }) => `${resource.type} ${resource.name}`)
  const responses = await Promise.all(
    edited.map(async ({ resource, edits }, index) => {
      if (names.indexOf(names[index] ?? '') !== names.lastIndexOf(names[index] ?? '')) {
        return altered(resource, 'INVALID_REQUEST', 'Each resource must appear at most once.')
      }
      const known = edits.filter((edit) => edit !== null)
      if (known.length < edits.length) return altered(resource, 'INVALID_REQUEST', 'Unknown config operation.')
      const refusal = await configs.alter(resource, known, options)
      return refusal === null ? altered(resource, null, null) : altered(resource, refusal.error, refusal.message)
    }),
  )
  return { responses }
}

function altered(resource: ConfigResource, error: KafkaErrorName | null, errorMessage: string | null): AlteredResource {
  return {
    errorCode: error === null ? 0 : errorCode(error),
    errorMessage,
    resourceType: resource.type,
    resourceName: resource.name,
  }
}
