/**
 * Settings of topics and of this broker: described with where each value comes from, and changed as ConfigRecords. A setting that
 * Kafka knows and this node does not act on is refused with the reason, never stored in vain.
 *
 * A value is looked for from the nearest place outwards: the topic, this broker, all brokers, the configuration file, the default.
 */
import type { Observer } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { type BrokerSettings, brokerConfigTable } from '../cluster/metadata/broker-config.ts'
import {
  type ConfigDefinition,
  configSourceCode,
  configTypeCode,
  faultOf,
  listOf,
  shownText,
} from '../cluster/metadata/config-table.ts'
import type { ConfigChange, Refusal } from '../cluster/metadata/metadata-controller.ts'
import { configResourceType, type MetadataImage } from '../cluster/metadata/metadata-image.ts'
import { topicConfigFault, topicConfigTable } from '../cluster/metadata/topic-config.ts'
import { topicNameFault } from '../cluster/metadata/topic-names.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { adminEvents } from './admin-events.ts'
import { storageRefusal } from './storage-refusal.ts'
import { describeFacts, isFact } from './broker-facts.ts'
import type { InternalTopics } from './internal-topics.ts'

export interface ConfigAdminParts {
  readonly cluster: Cluster
  readonly settings: BrokerSettings
  readonly observer: Observer
  readonly internalTopics: InternalTopics
  readonly nodeId: number
  /** `dataDir/log`, absolute. */
  readonly logDirectory: string
}

/** Kafka's kind (`configResourceType`) and the name: a topic, or a broker id (empty = the default of all brokers). */
export interface ConfigResource {
  readonly type: number
  readonly name: string
}

export interface ConfigValue {
  readonly name: string
  readonly value: string
  /** One of `configSourceCode`. */
  readonly source: number
}

export interface DescribedConfig extends ConfigValue {
  /** Cannot be changed while the broker runs. */
  readonly isReadOnly: boolean
  /** One of `configTypeCode`. */
  readonly type: number
  /** Every place that has a value, the nearest first. */
  readonly synonyms: readonly ConfigValue[]
  readonly documentation: string
}

export type DescribeOutcome =
  | { readonly kind: 'described'; readonly configs: readonly DescribedConfig[] }
  | ({ readonly kind: 'refused' } & Refusal)

export type ConfigOperation = 'set' | 'delete' | 'append' | 'subtract'

export interface ConfigEdit {
  readonly key: string
  readonly operation: ConfigOperation
  readonly value: string | null
}

export class ConfigAdmin {
  readonly #parts: ConfigAdminParts

  constructor(parts: ConfigAdminParts) {
    this.#parts = parts
  }

  /** The settings of a resource, those of `keys` or (null) all. */
  describe(resource: ConfigResource, keys: readonly string[] | null): DescribeOutcome {
    const refusal = this.#resourceFault(resource, 'describe')
    if (refusal !== null) return { kind: 'refused', ...refusal }
    const isWanted = ({ name }: DescribedConfig): boolean => keys === null || keys.includes(name)
    return { kind: 'described', configs: this.#allOf(resource).filter(isWanted) }
  }

  /** The settings that a topic has, or would have if these were set for it. */
  describeTopic(set: ReadonlyMap<string, string>): readonly DescribedConfig[] {
    return Object.entries(topicConfigTable).map(([name, definition]) => {
      const own = set.get(name)
      const outer =
        definition.synonym === undefined
          ? [{ name, value: definition.default, source: configSourceCode.default }]
          : this.#brokerPlaces(definition.synonym.name)
      const places = own === undefined ? outer : [{ name, value: own, source: configSourceCode.dynamicTopic }, ...outer]
      return described(name, definition, places, false)
    })
  }

  /**
   * Changes settings of one resource, all of the edits or none. `replace`: a setting that no edit names goes back to its default
   * (AlterConfigs). Null when it is done and in force, or (validateOnly) could be.
   */
  async alter(
    resource: ConfigResource,
    edits: readonly ConfigEdit[],
    options: { readonly replace: boolean; readonly validateOnly: boolean },
  ): Promise<Refusal | null> {
    const { cluster, observer } = this.#parts
    let refusal: Refusal | null = null
    let changed: readonly ConfigChange[] = []
    try {
      // Decided in the controller's turn, so that an append to a list sees what the change before it has left.
      await cluster.controller.alterConfigs((image) => {
        const decision = this.#decide(image, resource, edits, options.replace)
        if ('error' in decision) refusal = decision
        else if (!options.validateOnly) changed = decision
        return changed
      })
    } catch (thrown) {
      return storageRefusal(thrown)
    }
    if (changed.length > 0) {
      cluster.applyConfigs()
      observer.event(adminEvents.configsChanged, {
        resource: nameOf(resource),
        keys: changed.map(({ key, value }) => (value === null ? `-${key}` : `${key}=${value}`)).join(' '),
      })
    }
    return refusal
  }

  #decide(
    image: MetadataImage,
    resource: ConfigResource,
    edits: readonly ConfigEdit[],
    replace: boolean,
  ): readonly ConfigChange[] | Refusal {
    const fault = this.#resourceFault(resource, 'alter')
    if (fault !== null) return fault
    const keys = new Set(edits.map(({ key }) => key))
    if (keys.size < edits.length) return refuse('INVALID_REQUEST', 'Error due to duplicate config keys')
    const stored = image.configs(resource.type, resource.name)
    const changes: ConfigChange[] = []
    for (const edit of edits) {
      const decided = this.#editedValue(resource, edit, stored)
      if (decided !== null && typeof decided === 'object') return decided
      changes.push({ ...resource, key: edit.key, value: decided })
    }
    if (replace) for (const key of stored.keys()) if (!keys.has(key)) changes.push({ ...resource, key, value: null })
    return changes
  }

  /** The value to store (null = take it back), or why not. */
  #editedValue(
    resource: ConfigResource,
    edit: ConfigEdit,
    stored: ReadonlyMap<string, string>,
  ): string | null | Refusal {
    const { key, operation } = edit
    const isTopic = resource.type === configResourceType.topic
    const table = isTopic ? topicConfigTable : brokerConfigTable
    const definition = Object.hasOwn(table, key) ? table[key] : undefined
    // What is stored can always be taken back, whoever wrote it. Of what is not known nothing is: Kafka's tools take settings back unasked.
    if (operation === 'delete' && (stored.has(key) || definition === undefined)) return null
    if (!isTopic && (definition === undefined ? isFact(key) : definition.dynamic !== true)) {
      return refuse('INVALID_REQUEST', `Cannot update these configs dynamically: [${key}]`)
    }
    if (definition === undefined) {
      return refuse('INVALID_CONFIG', isTopic ? topicConfigFault(key, '') : `Unknown broker config name: ${key}`)
    }
    if (operation === 'delete') return null
    if (edit.value === null) return refuse('INVALID_REQUEST', `Null value not supported for : ${key}`)
    const value = operation === 'set' ? edit.value : this.#editedList(resource, edit, definition, stored.get(key))
    if (value === null) {
      return refuse('INVALID_CONFIG', `Can't ${operation.toUpperCase()} to key ${key} because its type is not LIST.`)
    }
    const fault = isTopic ? topicConfigFault(key, value) : faultOf(key, definition, value)
    // Kafka judges a topic's values as settings, and a broker's as parts of the request.
    return fault === null ? value : refuse(isTopic ? 'INVALID_CONFIG' : 'INVALID_REQUEST', fault)
  }

  /** Null when the setting is no list. */
  #editedList(
    resource: ConfigResource,
    { key, operation, value }: ConfigEdit,
    definition: ConfigDefinition,
    stored: string | undefined,
  ): string | null {
    if (definition.type !== 'list') return null
    const inForce =
      resource.type === configResourceType.topic ? this.#parts.settings.topicDefault(key) : this.#text(key)
    const before = listOf(stored ?? inForce)
    const words = listOf(value ?? '')
    const kept = operation === 'append' ? [...before, ...words] : before.filter((word) => !words.includes(word))
    return [...new Set(kept)].join(',')
  }

  #text(key: string): string {
    return this.#parts.settings.text(key)
  }

  #resourceFault({ type, name }: ConfigResource, verb: 'describe' | 'alter'): Refusal | null {
    const { cluster, internalTopics, nodeId } = this.#parts
    switch (type) {
      case configResourceType.topic: {
        if (verb === 'alter' && name === '')
          return refuse('INVALID_REQUEST', 'Default topic resources are not allowed.')
        const fault = topicNameFault(name)
        if (fault !== null) return refuse('INVALID_TOPIC_EXCEPTION', `Topic name is invalid: ${fault}`)
        if (cluster.image.topic(name) === undefined) {
          return refuse('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`)
        }
        if (verb === 'describe' || !internalTopics.isInternal(name)) return null
        return refuse('INVALID_TOPIC_EXCEPTION', `${name} is an internal topic of this node: its settings are fixed`)
      }
      case configResourceType.broker:
        if (name === '' || name === String(nodeId)) return null
        return refuse(
          'INVALID_REQUEST',
          `Unexpected broker id, expected ${nodeId} or empty string, but received ${name}`,
        )
      case configResourceType.brokerLogger:
        if (verb === 'alter') {
          return refuse('INVALID_REQUEST', 'Log levels cannot be changed while the broker runs; see log.level.')
        }
        if (name === String(nodeId)) return null
        return refuse('INVALID_REQUEST', `Unexpected broker id, expected ${nodeId} but received ${name}`)
      case configResourceType.group:
      case configResourceType.clientMetrics:
        if (verb === 'alter') return refuse('INVALID_REQUEST', 'Groups and client metrics have no settings here.')
        return name === '' ? refuse('INVALID_REQUEST', 'Groups and client metrics have names.') : null
      default:
        return refuse('INVALID_REQUEST', `Unexpected resource type ${type}.`)
    }
  }

  #allOf({ type, name }: ConfigResource): readonly DescribedConfig[] {
    const { cluster, nodeId, logDirectory } = this.#parts
    const { endPoints, image } = cluster
    if (type === configResourceType.topic) return this.describeTopic(image.configs(type, name))
    if (type !== configResourceType.broker) return []
    const stored = image.configs(configResourceType.broker, '')
    const all: DescribedConfig[] = name === '' ? [] : [...describeFacts({ nodeId, logDirectory, endPoints })]
    for (const [key, definition] of Object.entries(brokerConfigTable)) {
      const isReadOnly = definition.dynamic !== true
      if (name !== '') {
        all.push(described(key, definition, this.#brokerPlaces(key), isReadOnly))
        continue
      }
      // The default of all brokers holds what has been set for all, and nothing else.
      const value = stored.get(key)
      if (value === undefined) continue
      const place = { name: key, value, source: configSourceCode.dynamicDefaultBroker }
      all.push(described(key, definition, [place], isReadOnly))
    }
    return all
  }

  /** Where a broker setting has a value; never empty. */
  #brokerPlaces(name: string): readonly ConfigValue[] {
    const { cluster, nodeId, settings } = this.#parts
    const of = (broker: string): string | undefined =>
      cluster.image.configs(configResourceType.broker, broker).get(name)
    const found: readonly (readonly [source: number, value: string | undefined])[] = [
      [configSourceCode.dynamicBroker, of(String(nodeId))],
      [configSourceCode.dynamicDefaultBroker, of('')],
      [configSourceCode.staticBroker, settings.staticValue(name)],
      [configSourceCode.default, brokerConfigTable[name]?.default],
    ]
    return found.flatMap(([source, value]) => (value === undefined ? [] : [{ name, value, source }]))
  }
}

function described(
  name: string,
  definition: ConfigDefinition,
  places: readonly ConfigValue[],
  isReadOnly: boolean,
): DescribedConfig {
  const nearest = places[0] ?? { name, value: definition.default, source: configSourceCode.default }
  return {
    name,
    value: shownText(definition.type, nearest.value),
    source: nearest.source,
    isReadOnly,
    type: configTypeCode[definition.type],
    synonyms: places.map((place) => ({ ...place, value: shownText(definition.type, place.value) })),
    documentation: definition.doc,
  }
}

function nameOf({ type, name }: ConfigResource): string {
  if (type === configResourceType.topic) return `topic ${name}`
  return name === '' ? 'all brokers' : `broker ${name}`
}

function refuse(error: KafkaErrorName, message: string | null): Refusal {
  return { error, message: message ?? '' }
}
