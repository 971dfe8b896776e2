/** The Kafka listeners of a configuration by the names that Kafka has for them: what a broker registers, and what `export-kafka` prints. */
import type { ListenAddress } from './base/ports.ts'
import { type BrokerEndPoint, securityProtocols } from './cluster/metadata/broker-end-point.ts'
import type { ApplianceConfig } from './config.ts'

export type KafkaListenerConfig = ApplianceConfig['listeners']['kafka'][number]

export interface NamedListener {
  /** Unique: the protocol, with a number behind it from the second of a kind on. */
  readonly name: string
  readonly protocol: (typeof securityProtocols)[number]
  readonly listener: KafkaListenerConfig
}

export function namedListeners(listeners: readonly KafkaListenerConfig[]): readonly NamedListener[] {
  const counts = new Map<string, number>()
  return listeners.map((listener) => {
    const { tls, saslMechanisms } = listener
    const carrier = tls === null ? 'PLAINTEXT' : 'SSL'
    const protocol = saslMechanisms.length === 0 ? carrier : (`SASL_${carrier}` as const)
    const count = (counts.get(protocol) ?? 0) + 1
    counts.set(protocol, count)
    return { name: count === 1 ? protocol : `${protocol}_${count}`, protocol, listener }
  })
}

/** What is registered: where clients are told to go, or else where we listen. */
export function brokerEndPoints(listeners: readonly KafkaListenerConfig[]): readonly BrokerEndPoint[] {
  return namedListeners(listeners).map(({ name, protocol, listener }) => {
    const { host, port }: ListenAddress = listener.advertise ?? listener.listen
    return { name, host, port, securityProtocol: securityProtocols.indexOf(protocol) }
  })
}
