import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { brokerEndPoints } from '../src/kafka-end-points.ts'

describe('the listeners that a broker registers', () => {
  it("have Kafka's protocols and names that are not the same", () => {
    const tls = { certificate: 'c', key: 'k' }
    const { listeners } = configSchema.parse({
      listeners: {
        kafka: [
          { listen: '127.0.0.1:9092' },
          { listen: '127.0.0.1:9093', tls, saslMechanisms: ['SCRAM-SHA-256'] },
          { listen: '127.0.0.1:9094', saslMechanisms: ['PLAIN'], advertise: 'edge.plant:19094' },
          { listen: '[::1]:9095', tls },
          { listen: '127.0.0.1:9096', tls, saslMechanisms: ['PLAIN'] },
        ],
      },
    })
    expect(brokerEndPoints(listeners.kafka)).toEqual([
      { name: 'PLAINTEXT', host: '127.0.0.1', port: 9092, securityProtocol: 0 },
      { name: 'SASL_SSL', host: '127.0.0.1', port: 9093, securityProtocol: 3 },
      { name: 'SASL_PLAINTEXT', host: 'edge.plant', port: 19_094, securityProtocol: 2 },
      { name: 'SSL', host: '::1', port: 9095, securityProtocol: 1 },
      { name: 'SASL_SSL_2', host: '127.0.0.1', port: 9096, securityProtocol: 3 },
    ])
  })
})
