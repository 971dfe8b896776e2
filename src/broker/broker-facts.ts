/**
 * What this broker is, under the names by which Kafka's tools look for it among a broker's settings. It can be read there and not be set: here
 * the listeners, the node and the data directory have keys of their own.
 */
import { type BrokerEndPoint, securityProtocols } from '../cluster/metadata/broker-end-point.ts'
import { configSourceCode, configTypeCode } from '../cluster/metadata/config-table.ts'
import type { DescribedConfig } from './config-admin.ts'

export interface BrokerFacts {
  readonly nodeId: number
  /** `dataDir/log`, absolute. */
  readonly logDirectory: string
  /** As the registration names them. */
  readonly endPoints: readonly BrokerEndPoint[]
}

/** Its rows of DescribeConfigs. */
/** Whether a setting is one of these facts. */
export function isFact(name: string): boolean {
  return describeFacts({ nodeId: 0, logDirectory: '', endPoints: [] }).some((fact) => fact.name === name)
}

export function describeFacts({ nodeId, logDirectory, endPoints }: BrokerFacts): readonly DescribedConfig[] {
  const addresses = endPoints.map(({ name, host, port }) => `${name}://${host}:${port}`).join(',')
  const protocols = endPoints.map(({ name, securityProtocol }) => `${name}:${securityProtocols[securityProtocol]}`)
  return [
    fact('advertised.listeners', 'list', addresses, 'Where clients of Kafka come in, as this broker is registered.'),
    fact('broker.id', 'int', String(nodeId), 'Id of this broker (`node.id` of the configuration file).'),
    fact('listener.security.protocol.map', 'string', protocols.join(','), 'How each listener is protected.'),
    fact('log.dirs', 'list', logDirectory, 'Directory of the log (`dataDir` of the configuration file).'),
    fact('node.id', 'int', String(nodeId), 'Id of this node (`node.id` of the configuration file).'),
    fact('process.roles', 'list', 'broker,controller', 'What this node is in its cluster.'),
  ]
}

function fact(name: string, type: keyof typeof configTypeCode, value: string, documentation: string): DescribedConfig {
  const source = configSourceCode.staticBroker
  return {
    name,
    value,
    source,
    isReadOnly: true,
    type: configTypeCode[type],
    synonyms: [{ name, value, source }],
    documentation,
  }
}
