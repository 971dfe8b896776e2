/** Kafka's security protocols, in the order of their numbers. */
export const securityProtocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const

/** A listener as the registration of a broker names it. */
export interface BrokerEndPoint {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Place in `securityProtocols`. */
  readonly securityProtocol: number
}
