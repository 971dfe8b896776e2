/**
 * `headwater export-kafka`: readies a stopped data directory for Apache Kafka and prints the server.properties that opens it there.
 * What is only for eyes stands in comments, so that the output is the file.
 */
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { ApplianceError } from '../../base/errors.ts'
import type { ListenAddress } from '../../base/ports.ts'
import { cliErrors } from './cli-errors.ts'
import type { KafkaExport } from './host.ts'
import { type OwnListeners, type SecurityLines, securityLinesOf } from './kafka-security-lines.ts'
import { print } from './output.ts'

const ownPrefix = '__headwater_'
/** Settings that one node needs, where the defaults of Apache Kafka count on three. */
const oneNode: readonly (readonly [string, string])[] = [
  ['offsets.topic.replication.factor', '1'],
  ['transaction.state.log.replication.factor', '1'],
  ['transaction.state.log.min.isr', '1'],
  ['share.coordinator.state.topic.replication.factor', '1'],
  ['share.coordinator.state.topic.min.isr', '1'],
]

/** Prints the file, or (`json`) the facts with the properties in them. */
export function printKafkaExport(found: KafkaExport, ours: OwnListeners, json: boolean): void {
  // Kafka is started in a folder of its own, where a relative path means another place.
  const facts: KafkaExport = { ...found, logDir: resolve(found.logDir) }
  if (facts.logDir.includes(',')) throw new ApplianceError(cliErrors.exportPathUnusable, { path: facts.logDir })
  const security = securityLinesOf(facts, ours)
  const properties = propertiesOf(facts, ours.controller, security)
  if (json) {
    const { comments: notes } = security
    return print(JSON.stringify({ ...facts, settings: undefined, properties: Object.fromEntries(properties), notes }))
  }
  const own = facts.topics.filter(({ name }) => name.startsWith(ownPrefix))
  const records = facts.topics.reduce((sum, topic) => sum + topic.records, 0)
  const partitions = facts.topics.reduce((sum, topic) => sum + topic.partitions, 0)
  const comments = [
    `server.properties for Apache Kafka 4.3.1: it opens ${facts.logDir} as it is. Do not format it.`,
    `cluster ${facts.clusterId}, ${facts.topics.length} topics, ${partitions} partitions, ${records} records`,
    facts.wasClean
      ? 'the last stop was clean'
      : 'the last stop was not clean: everything acknowledged has been recovered',
    ...facts.damagedLogs.map(
      (log) => `${log} is damaged: a consumer of Apache Kafka stops there, and must be told to seek`,
    ),
    ...facts.unclaimedLogs.map((log) => `${log} belongs to no topic: Apache Kafka renames its folder, to ...-stray`),
    ...own.map(
      ({ name }) => `${name} is an internal topic of Headwater, to Kafka an ordinary one: leave it for the way back`,
    ),
    ...security.comments,
  ]
  for (const comment of comments) print(`# ${comment}`)
  for (const [name, value] of properties) print(`${name}=${escaped(value)}`)
}

function propertiesOf(
  facts: KafkaExport,
  controller: ListenAddress,
  security: SecurityLines,
): readonly (readonly [string, string])[] {
  const written = (listeners: SecurityLines['listeners']): string =>
    listeners.map(([name, address]) => `${name}://${place(address)}`).join(',')
  const offsetsTopic = facts.topics.find(({ name }) => name === '__consumer_offsets')
  const properties = new Map<string, string>([
    ['process.roles', 'broker,controller'],
    ['node.id', String(facts.nodeId)],
    ['controller.quorum.bootstrap.servers', place(controller)],
    ['controller.listener.names', 'CONTROLLER'],
    ['listeners', written(security.listeners)],
    ['log.dirs', facts.logDir],
    ...oneNode,
    ...facts.settings,
    ...security.properties,
  ])
  const advertised = advertisedOf(facts, security)
  if (advertised !== null) properties.set('advertised.listeners', written(advertised))
  if (offsetsTopic !== undefined) properties.set('offsets.topic.num.partitions', String(offsetsTopic.partitions))
  return [...properties]
}

/** Kafka advertises where it listens, which will not do for `0.0.0.0`; null = it will. */
function advertisedOf(facts: KafkaExport, security: SecurityLines): SecurityLines['listeners'] | null {
  const isAnywhere = (address: ListenAddress): boolean => ['0.0.0.0', '::'].includes(address.host)
  if (!facts.listeners.some(({ advertise, listen }) => advertise !== null || isAnywhere(listen))) return null
  const told = new Map(facts.listeners.map(({ name, advertise }) => [name, advertise]))
  return security.listeners
    .filter(([name]) => name !== 'CONTROLLER')
    .map(([name, listen]) => {
      const address = told.get(name) ?? listen
      return [name, isAnywhere(address) ? { ...address, host: hostname() } : address]
    })
}

/** Java reads the file as Latin-1, and takes a backslash for the beginning of an escape. */
function escaped(value: string): string {
  return value
    .replace(/\\/g, '\\\\')
    .replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function place({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
