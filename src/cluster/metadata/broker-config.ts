/**
 * Kafka's broker settings that mean something on this node, under Kafka's names: the `kafka:` section of the configuration, and what
 * DescribeConfigs tells of a broker. Settings named as a synonym in topic-config.ts are the defaults of topics.
 */
import { parseAddressOverrides } from '../../base/connection-gate.ts'
import { ApplianceError } from '../../base/errors.ts'
import { brokerConfigErrors } from './metadata-errors.ts'
import { type ConfigDefinition, type ConfigTable, faultOf } from './config-table.ts'
import { parseSuperUsers } from '../../security/authorizer.ts'
import { parsePrincipalMapping } from '../../security/principal-mapping.ts'
import { tokenSettings } from './token-settings.ts'
import { topicConfigTable } from './topic-config.ts'

/** Settings that give topics their defaults: same type, checks and meaning as the topic's. */
function topicDefaults(): ConfigTable {
  const table: Record<string, ConfigDefinition> = {}
  for (const [name, definition] of Object.entries(topicConfigTable)) {
    if (definition.synonym === undefined) continue
    const { synonym, ...rest } = definition
    table[synonym.name] = { ...rest, dynamic: true, doc: `Default of ${name}: ${definition.doc}` }
  }
  return table
}

export const brokerConfigTable: ConfigTable = {
  ...topicDefaults(),
  'auto.create.topics.enable': {
    type: 'boolean',
    default: 'true',
    doc: 'Does a Metadata request, or an MQTT publish, for a topic that does not exist create it?',
  },
  'num.partitions': {
    type: 'int',
    default: '1',
    least: 1,
    most: 10_000,
    doc: 'Partitions of a topic that is created without a number.',
  },
  'default.replication.factor': {
    type: 'int',
    default: '1',
    least: 1,
    most: 1,
    doc: 'Replicas of a topic that is created without a number. There is one node.',
  },
  'delete.topic.enable': { type: 'boolean', default: 'true', doc: 'May clients delete topics?' },
  'log.retention.check.interval.ms': {
    type: 'long',
    default: '300000',
    least: 1,
    doc: 'Time between two passes that look for segments to delete.',
  },
  'producer.id.expiration.ms': {
    type: 'int',
    default: '86400000',
    least: 1,
    dynamic: true,
    doc: 'How long an idle producer is remembered.',
  },
  'log.cleaner.backoff.ms': {
    type: 'long',
    default: '15000',
    least: 1,
    dynamic: true,
    doc: 'Time between two looks for logs to compact.',
  },
  'log.cleaner.dedupe.buffer.size': {
    type: 'long',
    default: '16777216',
    least: 65_536,
    most: 1_073_741_824,
    dynamic: true,
    doc: 'Memory of compaction while it runs: 24 bytes a key; a log with more keys is compacted in several passes. Kafka: 128 MiB.',
  },
  'log.cleaner.io.max.bytes.per.second': {
    type: 'double',
    default: '16777216',
    least: 65_536,
    dynamic: true,
    doc: 'Bytes a second that compaction reads and writes together. Kafka has no limit by default.',
  },
  'fetch.max.bytes': {
    type: 'int',
    default: '57671680',
    least: 1024,
    doc: 'Most bytes that one Fetch answers, whatever it asks for.',
  },
  'max.incremental.fetch.session.cache.slots': {
    type: 'int',
    default: '1000',
    least: 0,
    doc: 'Incremental fetch sessions that are kept.',
  },
  'socket.request.max.bytes': {
    type: 'int',
    default: '9437184',
    least: 16_384,
    doc: 'Largest request. Kafka’s default of 100 MiB would fill a small host.',
  },
  'max.connections': { type: 'int', default: '1000', least: 1, dynamic: true, doc: 'Open Kafka connections.' },
  'max.connections.per.ip': {
    type: 'int',
    default: '256',
    least: 0,
    dynamic: true,
    doc: 'Open Kafka connections of one address (of IPv6: one /64 network). Those of this machine itself are not counted. Kafka: without bound.',
  },
  'max.connections.per.ip.overrides': {
    type: 'string',
    default: '',
    dynamic: true,
    doc: 'The same for single addresses, those of this machine too: `10.0.0.7:1000,10.0.0.8:20`.',
    refuse: (value) => {
      const overrides = parseAddressOverrides(value)
      return typeof overrides === 'string' ? overrides : null
    },
  },
  'max.connection.creation.rate': {
    type: 'int',
    default: '2147483647',
    least: 1,
    dynamic: true,
    doc: 'New Kafka connections a second. What comes faster waits, up to five seconds, then it is closed.',
  },
  'quota.window.num': {
    type: 'int',
    default: '11',
    least: 1,
    doc: 'Samples over which the rate of a client is held against its quota.',
  },
  'quota.window.size.seconds': { type: 'int', default: '1', least: 1, doc: 'Seconds of one of these samples.' },
  'connections.max.idle.ms': {
    type: 'long',
    default: '600000',
    least: 1000,
    doc: 'A connection without traffic is closed after this time.',
  },
  'authorizer.class.name': {
    type: 'string',
    default: '',
    choices: ['', 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'],
    doc: 'What decides who may do what, for Kafka and MQTT clients alike. Empty: everybody may do everything.',
  },
  'super.users': {
    type: 'string',
    default: '',
    doc: 'Principals that may do everything: `User:NAME`, separated by semicolons.',
    refuse: (value) => {
      const users = parseSuperUsers(value)
      return typeof users === 'string' ? users : null
    },
  },
  'allow.everyone.if.no.acl.found': {
    type: 'boolean',
    default: 'false',
    doc: 'May everybody use a resource for which there is no access control entry?',
  },
  'connections.max.reauth.ms': {
    type: 'long',
    default: '0',
    least: 0,
    most: 31_536_000_000,
    doc: 'A client that authenticates by SASL must do so again within this time (KIP-368); 0 = never.',
  },
  'connection.failed.authentication.delay.ms': {
    type: 'int',
    default: '100',
    least: 0,
    most: 9_000,
    doc: 'How long a client waits to be told that authentication has failed.',
  },
  ...tokenSettings,
  'ssl.principal.mapping.rules': {
    type: 'string',
    default: 'DEFAULT',
    doc: "How the subject of a client's certificate becomes the name of its principal.",
    refuse: (value) => {
      const rules = parsePrincipalMapping(value)
      return typeof rules === 'string' ? rules : null
    },
  },
  'group.initial.rebalance.delay.ms': {
    type: 'int',
    default: '3000',
    least: 0,
    doc: 'How long a new group waits for more members.',
  },
  'group.min.session.timeout.ms': {
    type: 'int',
    default: '6000',
    least: 1,
    doc: 'Shortest session timeout that a member may ask for.',
  },
  'group.max.session.timeout.ms': {
    type: 'int',
    default: '1800000',
    least: 1,
    doc: 'Longest session timeout that a member may ask for.',
  },
  'group.max.size': { type: 'int', default: '1000', least: 1, doc: 'Members of one group.' },
  'offsets.topic.num.partitions': {
    type: 'int',
    default: '8',
    least: 1,
    most: 1000,
    doc: 'Partitions of __consumer_offsets; fixed when it is created.',
  },
  'offsets.topic.segment.bytes': {
    type: 'int',
    default: '8388608',
    least: 1_048_576,
    doc: 'Segment size of __consumer_offsets.',
  },
  'offsets.retention.minutes': {
    type: 'int',
    default: '10080',
    least: 1,
    doc: 'How long the offsets of a group without members are kept.',
  },
  'offsets.retention.check.interval.ms': {
    type: 'long',
    default: '600000',
    least: 1,
    doc: 'Time between two looks for old offsets.',
  },
  'offset.metadata.max.bytes': {
    type: 'int',
    default: '4096',
    least: 0,
    doc: 'Longest text that may go with a committed offset.',
  },
}

/** Other spellings of a setting, with what its number is multiplied by; the first that is set wins over the ones behind it. */
const spellings: Readonly<Record<string, readonly (readonly [name: string, scale: number])[]>> = {
  'log.retention.ms': [
    ['log.retention.minutes', 60_000],
    ['log.retention.hours', 3_600_000],
  ],
  'log.roll.ms': [['log.roll.hours', 3_600_000]],
  'log.roll.jitter.ms': [['log.roll.jitter.hours', 3_600_000]],
}

/** The node's settings: what the configuration says over Kafka's defaults, and what has been changed since. */
export class BrokerSettings {
  readonly #static: Map<string, string>
  #dynamic: (name: string) => string | undefined = () => undefined

  /** Throws BROKER_SETTING_INVALID for an unknown name or a value that cannot be. */
  constructor(written: ReadonlyMap<string, string>) {
    const settings = new Map<string, string>()
    for (const [name, value] of written) {
      const definition = Object.hasOwn(brokerConfigTable, name) ? brokerConfigTable[name] : undefined
      if (definition !== undefined) {
        const fault = faultOf(name, definition, value)
        if (fault !== null) throw new ApplianceError(brokerConfigErrors.brokerSettingInvalid, { name, reason: fault })
        settings.set(name, value)
      } else if (!addSpelling(settings, written, name, value)) {
        throw new ApplianceError(brokerConfigErrors.brokerSettingInvalid, {
          name,
          reason: 'there is no such setting here',
        })
      }
    }
    this.#static = settings
  }

  /** Values that were set by AlterConfigs; they win over the file's. */
  useDynamic(lookUp: (name: string) => string | undefined): void {
    this.#dynamic = lookUp
  }

  /** The configuration file says so since the start, and it counts already. */
  adopt(name: string, value: string): void {
    const definition = brokerConfigTable[name]
    const fault = definition === undefined ? 'there is no such setting here' : faultOf(name, definition, value)
    if (fault !== null) throw new ApplianceError(brokerConfigErrors.brokerSettingInvalid, { name, reason: fault })
    this.#static.set(name, value)
  }

  text(name: string): string {
    return this.#dynamic(name) ?? this.#static.get(name) ?? (brokerConfigTable[name]?.default as string)
  }

  number(name: string): number {
    return Number(this.text(name))
  }

  flag(name: string): boolean {
    return this.text(name).toLowerCase() === 'true'
  }

  /** As the configuration file says it; undefined = not said. */
  staticValue(name: string): string | undefined {
    return this.#static.get(name)
  }

  /** Default of a topic config on this node. */
  topicDefault(name: string): string {
    const definition = topicConfigTable[name]
    return definition?.synonym === undefined ? (definition?.default ?? '') : this.text(definition.synonym.name)
  }
}

function addSpelling(
  settings: Map<string, string>,
  written: ReadonlyMap<string, string>,
  name: string,
  value: string,
): boolean {
  for (const [canonical, others] of Object.entries(spellings)) {
    const place = others.findIndex(([other]) => other === name)
    if (place < 0) continue
    const isOutranked = written.has(canonical) || others.slice(0, place).some(([other]) => written.has(other))
    const scaled = Number(value) < 0 ? -1 : Number(value) * (others[place]?.[1] ?? 1)
    if (!Number.isSafeInteger(scaled))
      throw new ApplianceError(brokerConfigErrors.brokerSettingInvalid, {
        name,
        reason: `${value} is not a whole number`,
      })
    if (!isOutranked) settings.set(canonical, String(scaled))
    return true
  }
  return false
}
