/** Names of Object.prototype, in every text that Kafka's and MQTT's clients may send, are names like any other. */
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { parseAddress } from '../../src/config-values.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import {
  createTopicsApi,
  type KafkaApi,
  kafkaApis,
  metadataApi,
  saslAuthenticateApi,
  saslHandshakeApi,
} from '../../src/protocol/kafka/apis.ts'
import { ConnectionLostError, KafkaClientConnection } from '../../src/protocol/kafka/client-connection.ts'
import type { Field, Fields } from '../../src/protocol/kafka/schema.ts'
import { ApplianceWorld } from './appliance-world.ts'

const names = Object.getOwnPropertyNames(Object.prototype)
const ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
/** Those of a connection before it is open: they have tests of their own. */
const ofConnection = new Set([saslHandshakeApi.key, saslAuthenticateApi.key])
let world: ApplianceWorld
let kafka = ''
let mqtt = ''

beforeAll(async () => {
  world = await ApplianceWorld.create()
  const facts = await world.start()
  kafka = facts.kafka
  mqtt = facts.mqtt
})
afterAll(async () => {
  await world.remove()
  await ports.close()
})

/** What everything inherits, and what of it can be listed. */
function inherited(): string {
  const own = [Object.prototype, Array.prototype, Function.prototype, Map.prototype].map((each) =>
    Reflect.ownKeys(each).map(String).sort(),
  )
  const listed: string[] = []
  for (const key in {}) listed.push(key)
  return JSON.stringify([own, listed])
}

async function connect(): Promise<KafkaClientConnection> {
  const address = parseAddress(kafka)
  if (typeof address === 'string') throw new Error(address)
  const { net, clock } = ports
  const bounds = { connectTimeoutMs: 5_000, requestTimeoutMs: 10_000, frameBytesMax: 1 << 24 }
  return KafkaClientConnection.open({ net, clock, address, clientId: '__proto__', ...bounds })
}

/** A request in which every text is `name`, every list has one element, and every number is 1. */
function filled(fields: Fields, name: string, version: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, { versions }]) => version >= versions.first && version <= versions.last)
      .map(([key, field]) => [key, valueOf(field, field.wire, { name, version })]),
  )
}

function valueOf(field: Field, wire: Field['wire'], of: { name: string; version: number }): unknown {
  const { name, version } = of
  if (wire === 'string') return name
  if (wire === 'array') return field.element === null ? [] : [valueOf(field, field.element, of)]
  if (wire === 'struct') return filled(field.fields ?? {}, name, version)
  if (wire === 'bytes' || wire === 'records') return Buffer.from(name)
  if (wire === 'bool') return false
  if (wire === 'uuid') return 'AAAAAAAAAAAAAAAAAAAAAA'
  return wire === 'bigint64' ? 1n : 1
}

describe('names of Object.prototype', () => {
  it.each(kafkaApis.filter(({ key }) => !ofConnection.has(key)).map((api) => [api.name, api] as const))(
    'in %s change nothing that everything inherits, and hurt nobody',
    async (_, api: KafkaApi) => {
      const before = inherited()
      let client = await connect()
      if (!client.apiVersions.apiKeys.some(({ apiKey }) => apiKey === api.key)) return client.close()
      let heard = 0
      for (const name of names) {
        // A refusal is an answer, and so is the end of the connection.
        const answer = await client
          .send(api, filled(api.request.fields, name, client.versionOf(api)) as never)
          .catch((thrown: unknown) => thrown)
        if (!(answer instanceof Error) || answer instanceof ConnectionLostError) heard++
        if (client.isClosed) client = await connect()
      }
      const { brokers } = await client.send(metadataApi, { topics: null })
      expect(brokers).toHaveLength(1)
      // The request has left: it was no fault of ours that kept it here.
      expect(heard).toBe(names.length)
      expect(inherited()).toBe(before)
      client.close()
    },
    20_000,
  )

  it('are topics that can be made, and are told apart', async () => {
    const client = await connect()
    const topics = names.map((name) => ({ name: `of-${name}`, numPartitions: 1, replicationFactor: 1 }))
    const made = await client.send(createTopicsApi, { topics, timeoutMs: 10_000 })
    expect(made.topics.map(({ errorCode }) => errorCode)).toEqual(names.map(() => 0))
    client.close()
  })

  it('are client ids, topics, retained messages and properties of MQTT', { timeout: 20_000 }, async () => {
    const before = inherited()
    const [host = '', port = ''] = mqtt.split(':')
    for (const name of names) {
      const userProperties = Object.fromEntries([['of', name]])
      const client = await connectAsync({
        host,
        port: Number(port),
        protocolVersion: 5,
        clientId: name,
        username: name,
        reconnectPeriod: 0,
      })
      const heard = new Promise<string>((resolve) =>
        client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`)),
      )
      await client.publishAsync(`plant/${name}`, name, {
        qos: 1,
        retain: true,
        properties: { userProperties, contentType: name, responseTopic: name },
      })
      await client.subscribeAsync(`plant/${name}`, { qos: 1 })
      expect(await heard).toBe(`plant/${name} ${name}`)
      await client.endAsync()
    }
    expect(inherited()).toBe(before)
  })
})
