/**
 * The command line as a Kafka client: bootstrap, metadata, and one connection to each broker that it needs. It speaks to Headwater
 * and to Apache Kafka alike. No retries beyond a stale leader: a command tells the user what happened.
 */
import { ApplianceError, asError } from '../../base/errors.ts'
import { findCoordinatorApi, type KafkaApi, metadataApi } from '../../protocol/kafka/apis.ts'
import type { ListenAddress, Ports } from '../../base/ports.ts'
import { ConnectionLostError, KafkaClientConnection } from '../../protocol/kafka/client-connection.ts'
import { errorName, kafkaErrors } from '../../protocol/kafka/error-codes.ts'
import type { MetadataResponse } from '../../protocol/kafka/messages/metadata.ts'
import type { InferInput, InferMessage, MessageSchema } from '../../protocol/kafka/schema.ts'
import { kafkaLogin } from '../../security/kafka-login.ts'
import { SaslClientError } from '../../security/sasl/sasl-client.ts'
import type { SaslLogin } from '../../security/sasl/sasl-login.ts'
import { cliErrors } from './cli-errors.ts'
import { credentialsOf, userOf } from './client-login.ts'
import type { ClientSecurity } from './client-properties.ts'

export type ClientPorts = Pick<Ports, 'net' | 'clock' | 'compute' | 'entropy'>

const connectMs = 10_000
const requestMs = 40_000
/** Answers of a fetch are bounded by what we ask for; metadata of thousands of topics fits too. */
const frameBytesMax = 128 * 1024 * 1024

const noSecurity: ClientSecurity = { tls: null, login: null }

export class KafkaClient {
  readonly ports: ClientPorts
  readonly #bootstrap: readonly ListenAddress[]
  readonly #security: ClientSecurity
  readonly #credentials: ((host: string) => Promise<SaslLogin>) | null
  readonly #connections = new Map<string, Promise<KafkaClientConnection>>()
  #brokers = new Map<number, ListenAddress>()

  constructor(ports: ClientPorts, bootstrap: readonly ListenAddress[], security: ClientSecurity = noSecurity) {
    this.ports = ports
    this.#bootstrap = bootstrap
    this.#security = security
    this.#credentials = security.login === null ? null : credentialsOf(security.login, ports)
  }

  /** Metadata of these topics, or of all. Remembers the brokers. Topics carry their own errors. */
  async metadata(topics: readonly string[] | null): Promise<MetadataResponse> {
    const response = await this.ask(metadataApi, {
      topics: topics === null ? null : topics.map((name) => ({ name })),
      allowAutoTopicCreation: false,
    })
    this.#brokers = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    return response
  }

  /** Asks any broker; that is enough for a cluster that forwards to its controller, as KRaft does. */
  async ask<Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    value: InferInput<Q>,
  ): Promise<InferMessage<R>> {
    return answerOf((await this.#any()).send(api, value))
  }

  /** Asks one broker by its id; asks for metadata first when it is not known. */
  async askNode<Q extends MessageSchema, R extends MessageSchema>(
    nodeId: number,
    api: KafkaApi<Q, R>,
    value: InferInput<Q>,
  ): Promise<InferMessage<R>> {
    if (!this.#brokers.has(nodeId)) await this.metadata([])
    const address = this.#brokers.get(nodeId)
    if (address === undefined)
      throw new ApplianceError(cliErrors.kafkaRefused, {
        request: api.name,
        error: 'BROKER_NOT_AVAILABLE',
        sentence: `broker ${nodeId} is not in the cluster`,
      })
    return answerOf((await this.#connect(address)).send(api, value))
  }

  /** Broker id of a group's coordinator. */
  async coordinatorOf(group: string): Promise<number> {
    const response = await this.ask(findCoordinatorApi, {
      keyType: 0,
      coordinatorKeys: [group],
    })
    const found = response.coordinators[0]
    if (found === undefined) throw new Error('FindCoordinator was answered without a coordinator')
    const { errorCode, errorMessage, nodeId, host, port } = found
    refuseError('FindCoordinator', errorCode, errorMessage)
    this.#brokers.set(nodeId, { host, port })
    return nodeId
  }

  /** Brokers of the newest metadata. */
  get brokers(): ReadonlyMap<number, ListenAddress> {
    return this.#brokers
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    for (const opening of this.#connections.values()) {
      await opening.then(
        (connection) => connection.close(),
        () => undefined,
      )
    }
    this.#connections.clear()
  }

  async #any(): Promise<KafkaClientConnection> {
    let failure: unknown
    for (const address of this.#bootstrap) {
      try {
        return await this.#connect(address)
      } catch (thrown) {
        // A wrong password is wrong at every broker, and each try counts.
        if (thrown instanceof ApplianceError) throw thrown
        failure = thrown
      }
    }
    const addresses = this.#bootstrap.map(({ host, port }) => `${host}:${port}`).join(', ')
    throw new ApplianceError(
      cliErrors.kafkaUnreachable,
      { addresses, detail: asError(failure).message },
      { cause: failure },
    )
  }

  #connect(address: ListenAddress): Promise<KafkaClientConnection> {
    const key = `${address.host}:${address.port}`
    const known = this.#connections.get(key)
    if (known !== undefined) return known
    const opening = this.#open(address)
    this.#connections.set(key, opening)
    const forget = () => this.#connections.delete(key)
    opening.then((connection) => connection.onClose(forget), forget)
    return opening
  }

  async #open(address: ListenAddress): Promise<KafkaClientConnection> {
    const { net, clock } = this.ports
    const { tls, login } = this.#security
    const credentials = this.#credentials
    const opening = KafkaClientConnection.open({
      net,
      clock,
      address,
      clientId: 'headwater-cli',
      connectTimeoutMs: connectMs,
      requestTimeoutMs: requestMs,
      frameBytesMax,
      tls,
      login: credentials === null ? null : kafkaLogin(() => credentials(address.host), this.ports),
    })
    return opening.catch((thrown: unknown): never => {
      if (!(thrown instanceof SaslClientError)) throw thrown
      const user = login === null ? '' : userOf(login)
      throw new ApplianceError(cliErrors.loginRefused, { user, detail: thrown.message }, { cause: thrown })
    })
  }
}

/** The answer; rejects with CLI_KAFKA_CLOSED when the connection goes first. */
function answerOf<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((thrown: unknown): never => {
    if (!(thrown instanceof ConnectionLostError)) throw thrown
    throw new ApplianceError(cliErrors.kafkaClosed, { detail: thrown.message }, { cause: thrown })
  })
}

/** Throws CLI_KAFKA_REFUSED when the code is not 0. */
export function refuseError(request: string, code: number, message: string | null = null): void {
  if (code === 0) return
  const name = errorName(code)
  throw new ApplianceError(cliErrors.kafkaRefused, {
    request,
    error: name,
    sentence: message ?? kafkaErrors[name].sentence,
  })
}
