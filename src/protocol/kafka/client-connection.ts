/**
 * One connection to a Kafka broker as a client: versions are negotiated first, requests are pipelined, answers come in order.
 *
 * It does not retry, reconnect or follow leaders: its users decide that. A request that is not answered in time ends the connection, since
 * nothing that comes later could be told from it.
 */
import type { Clock, Connection, ListenAddress, Net, OutboundTls, Timer } from '../../base/ports.ts'
import { apiVersionsApi, type KafkaApi } from './apis.ts'
import { FrameAssembler } from './frame.ts'
import { decodeResponse, encodeRequest, responseCorrelationId } from './header.ts'
import type { ApiVersionsResponse } from './messages/api-versions.ts'
import { ProtocolError } from './protocol-error.ts'
import type { InferInput, InferMessage, MessageSchema } from './schema.ts'

export interface KafkaClientConnectionOptions {
  readonly net: Net
  readonly clock: Clock
  readonly address: ListenAddress
  readonly clientId: string
  readonly connectTimeoutMs: number
  /** Longest time from sending a request to its answer; the connection ends when it passes. */
  readonly requestTimeoutMs: number
  /** Largest answer that is accepted. */
  readonly frameBytesMax: number
  /** Null or omitted: not encrypted. */
  readonly tls?: OutboundTls | null
  /** Null or omitted: the client says not who it is. */
  readonly login?: KafkaLogin | null
}

/** Sends a request as `send` does, also while others are held. */
export type Ask = <Q extends MessageSchema, R extends MessageSchema>(
  api: KafkaApi<Q, R>,
  value: InferInput<Q>,
  options?: SendOptions,
) => Promise<InferMessage<R>>

/** Says who the client is, and answers how long that is good for in milliseconds; 0 = without end. Rejects when it is not believed. */
export type KafkaLogin = (ask: Ask) => Promise<number>

export interface SendOptions {
  /** In which version, instead of the highest that both sides know. */
  readonly version?: number
}

/** The connection ended before an answer came. The request may or may not have had its effect. */
export class ConnectionLostError extends Error {
  readonly code = 'NETWORK_EXCEPTION'
  constructor(address: ListenAddress, reason: string, cause?: unknown) {
    super(`connection to ${address.host}:${address.port}: ${reason}`, cause === undefined ? undefined : { cause })
    this.name = 'ConnectionLostError'
  }
}

/** The broker and we have no version of this API in common. */
export class UnsupportedApiError extends Error {
  readonly code = 'UNSUPPORTED_VERSION'
  constructor(api: KafkaApi, offered: string) {
    super(`${api.name}: the broker offers ${offered}, we speak versions ${api.minVersion} to ${api.maxVersion}`)
    this.name = 'UnsupportedApiError'
  }
}

/** A request that waits for its answer. */
interface Pending {
  readonly correlationId: number
  readonly deadlineMs: number
  /** Reads the answer. Throws a ProtocolError. */
  readonly settle: (frame: Uint8Array) => void
  readonly reject: (error: Error) => void
}

/** Requests under way on one connection; more is a bug of the caller, which has no back-pressure of its own. */
const pendingMax = 10_000

const errorUnsupportedVersion = 35
/** A session is renewed after this share of its time (Kafka's clients: 85 to 95 %). */
const renewAfterShare = 0.85
/** A broker that gives less wants to keep us busy with logging in. */
const sessionMsMin = 1_000

export class KafkaClientConnection {
  readonly address: ListenAddress
  /** Answers of this many requests are awaited. */
  get pendingCount(): number {
    return this.#pending.length
  }
  readonly #options: KafkaClientConnectionOptions
  readonly #connection: Connection
  readonly #pending: Pending[] = []
  readonly #closeListeners: ((error: Error) => void)[] = []
  readonly #drainWaiters: (() => void)[] = []
  #apiVersions: ApiVersionsResponse | null = null
  #versions = new Map<number, { readonly first: number; readonly last: number }>()
  #nextCorrelationId = 0
  #timer: Timer | null = null
  #closed: Error | null = null
  /** A login is under way: what others send waits for it. */
  #held: (() => void)[] | null = null
  #renewal: Timer | null = null
  #mustDrain = false

  private constructor(options: KafkaClientConnectionOptions, connection: Connection) {
    this.#options = options
    this.#connection = connection
    this.address = options.address
    const assembler = new FrameAssembler({
      frameBytesMax: options.frameBytesMax,
      onFrame: (frame) => this.#answered(frame),
      onOversize: (length) => this.#fail(`an answer of ${length} bytes, the limit is ${options.frameBytesMax}`),
    })
    connection.start({
      onBytes: (bytes) => assembler.push(bytes),
      window: () => assembler.window(),
      onDrain: () => this.#drained(),
      onClose: (error) => this.#lost(error?.message ?? 'closed by the broker', error ?? undefined),
    })
  }

  /** Connects and negotiates versions. Rejects with a NetError, a ConnectionLostError or a ProtocolError. */
  static async open(options: KafkaClientConnectionOptions): Promise<KafkaClientConnection> {
    const connection = await options.net.connect(options.address, options.connectTimeoutMs, options.tls ?? null)
    const client = new KafkaClientConnection(options, connection)
    try {
      await client.#negotiate()
      await client.#logIn()
    } catch (thrown) {
      client.close()
      throw thrown
    }
    return client
  }

  /** What the broker answers, and its features. */
  get apiVersions(): ApiVersionsResponse {
    if (this.#apiVersions === null) throw new Error('versions are not negotiated yet')
    return this.#apiVersions
  }

  /** The highest version that both sides know. Throws an UnsupportedApiError when there is none. */
  versionOf(api: KafkaApi): number {
    const offered = this.#versions.get(api.key)
    if (offered === undefined) throw new UnsupportedApiError(api, 'none')
    const version = Math.min(offered.last, api.maxVersion)
    if (version < offered.first || version < api.minVersion) {
      throw new UnsupportedApiError(api, `versions ${offered.first} to ${offered.last}`)
    }
    return version
  }

  /**
   * Sends a request behind those already sent. Resolves with the answer; byte fields of it are views into a frame of its own. Rejects
   * with a ConnectionLostError, an UnsupportedApiError or a ProtocolError.
   */
  send<Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    value: InferInput<Q>,
    options?: SendOptions,
  ): Promise<InferMessage<R>> {
    if (this.#held === null) return this.#ask(api, value, options)
    return this.#afterLogin(() => this.#ask(api, value, options))
  }

  #ask<Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    value: InferInput<Q>,
    options?: SendOptions,
  ): Promise<InferMessage<R>> {
    return new Promise((resolve, reject) => {
      const version = options?.version ?? this.versionOf(api)
      this.#request(api, version, value, {
        settle: (frame) => resolve(decodeResponse(api, version, frame).value),
        reject,
      })
    })
  }

  /** Between SaslHandshake and the end of the exchange a broker takes nothing else (KIP-368). */
  #afterLogin<T>(work: () => Promise<T>): Promise<T> {
    const held = this.#held ?? []
    if (held.length >= pendingMax) throw new Error(`${pendingMax} requests wait for a login`)
    return new Promise((resolve, reject) => {
      held.push(() => {
        if (this.#closed === null) work().then(resolve, reject)
        else reject(this.#closed)
      })
    })
  }

  async #logIn(): Promise<void> {
    const { login = null, clock } = this.#options
    if (login === null || this.#closed !== null) return
    this.#held = []
    try {
      const sessionMs = await login((api, value, options) => this.#ask(api, value, options))
      if (sessionMs > 0 && this.#closed === null) {
        const renewMs = Math.max(sessionMs, sessionMsMin) * renewAfterShare
        this.#renewal = clock.schedule(renewMs, () => {
          this.#logIn().catch((thrown: unknown) => this.#fail(String(thrown), thrown))
        })
      }
    } finally {
      const held = this.#held
      this.#held = null
      for (const work of held ?? []) work()
    }
  }

  /** Sends a request that has no answer: Produce with acks=0. Throws what `send` rejects with. */
  sendNoResponse<Q extends MessageSchema>(api: KafkaApi<Q>, value: InferInput<Q>, options?: SendOptions): void {
    if (this.#held !== null) {
      const write = async (): Promise<void> => this.sendNoResponse(api, value, options)
      // Whatever keeps it from being sent ends the connection, which its users hear.
      this.#afterLogin(write).catch(() => undefined)
      return
    }
    this.#write(api, options?.version ?? this.versionOf(api), value)
  }

  /** Resolves when what was sent is with the kernel; at once when there is no backlog. Rejects when the connection ends first. */
  drained(): Promise<void> {
    if (this.#closed !== null) return Promise.reject(this.#closed)
    if (!this.#mustDrain) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#drainWaiters.push(() => (this.#closed === null ? resolve() : reject(this.#closed)))
    })
  }

  get isClosed(): boolean {
    return this.#closed !== null
  }

  /** Bytes sent that are not with the kernel yet. */
  get backlogBytes(): number {
    return this.#connection.backlogBytes
  }

  /** Calls back once when the connection has ended, for whatever reason; at once when it has. */
  onClose(listener: (error: Error) => void): void {
    if (this.#closed === null) this.#closeListeners.push(listener)
    else listener(this.#closed)
  }

  /** Ends the connection at once. Requests under way are rejected. */
  close(): void {
    this.#fail('closed by us')
  }

  /** ApiVersions in our highest version; a broker that does not know it answers in version 0 and says which it knows (KIP-511). */
  async #negotiate(): Promise<void> {
    let answer = await this.#askVersions(apiVersionsApi.maxVersion)
    if (answer.errorCode === errorUnsupportedVersion) {
      const known = answer.apiKeys.find(({ apiKey }) => apiKey === apiVersionsApi.key)
      answer = await this.#askVersions(Math.min(known?.maxVersion ?? 0, apiVersionsApi.maxVersion))
    }
    if (answer.errorCode !== 0) throw new ProtocolError(`ApiVersions was answered with error ${answer.errorCode}`)
    this.#apiVersions = answer
    for (const { apiKey, minVersion, maxVersion } of answer.apiKeys) {
      this.#versions.set(apiKey, { first: minVersion, last: maxVersion })
    }
  }

  #askVersions(version: number): Promise<ApiVersionsResponse> {
    const value = { clientSoftwareName: 'headwater', clientSoftwareVersion: '1' }
    return new Promise((resolve, reject) => {
      this.#request(apiVersionsApi, version, version < 3 ? {} : value, {
        settle: (frame) => {
          resolve(decodeResponse(apiVersionsApi, refusesVersion(frame) ? 0 : version, frame).value)
        },
        reject,
      })
    })
  }

  #request<Q extends MessageSchema>(
    api: KafkaApi<Q>,
    version: number,
    value: InferInput<Q>,
    answer: Pick<Pending, 'settle' | 'reject'>,
  ): void {
    if (this.#pending.length >= pendingMax) throw new Error(`${pendingMax} requests are under way on one connection`)
    const correlationId = this.#write(api, version, value)
    const { clock, requestTimeoutMs } = this.#options
    this.#pending.push({ correlationId, deadlineMs: clock.monotonicMs() + requestTimeoutMs, ...answer })
    this.#watch()
  }

  #write<Q extends MessageSchema>(api: KafkaApi<Q>, version: number, value: InferInput<Q>): number {
    if (this.#closed !== null) throw this.#closed
    const correlationId = this.#nextCorrelationId
    const chunks = encodeRequest(api, version, correlationId, this.#options.clientId, value)
    this.#nextCorrelationId = (correlationId + 1) & 0x7fff_ffff
    if (!this.#connection.send(chunks)) this.#mustDrain = true
    return correlationId
  }

  #answered(frame: Uint8Array): void {
    if (this.#closed !== null) return
    try {
      const correlationId = responseCorrelationId(frame)
      const pending = this.#pending.shift()
      if (pending === undefined) throw new ProtocolError('an answer that nobody asked for')
      if (pending.correlationId !== correlationId) {
        const error = new ProtocolError(`answer ${correlationId} came where ${pending.correlationId} was due`)
        pending.reject(error)
        throw error
      }
      settle(pending, frame)
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown.message : String(thrown), thrown)
    }
  }

  /** One timer for the oldest request: its deadline is the earliest. */
  #watch(): void {
    const oldest = this.#pending[0]
    if (this.#timer !== null || oldest === undefined) return
    const { clock } = this.#options
    this.#timer = clock.schedule(Math.max(1, oldest.deadlineMs - clock.monotonicMs()), () => {
      this.#timer = null
      const late = this.#pending[0]
      if (late !== undefined && late.deadlineMs <= clock.monotonicMs()) {
        return this.#fail(`no answer within ${this.#options.requestTimeoutMs} ms`)
      }
      return this.#watch()
    })
  }

  #drained(): void {
    this.#mustDrain = false
    for (const waiter of this.#drainWaiters.splice(0)) waiter()
  }

  #fail(reason: string, cause?: unknown): void {
    this.#lost(reason, cause)
    this.#connection.destroy()
  }

  #lost(reason: string, cause?: unknown): void {
    if (this.#closed !== null) return
    const error = new ConnectionLostError(this.address, reason, cause)
    this.#closed = error
    if (this.#timer !== null) this.#options.clock.cancel(this.#timer)
    this.#timer = null
    if (this.#renewal !== null) this.#options.clock.cancel(this.#renewal)
    this.#renewal = null
    for (const pending of this.#pending.splice(0)) pending.reject(error)
    this.#drained()
    for (const listener of this.#closeListeners.splice(0)) listener(error)
  }
}

/** An answer to ApiVersions of error 35 is in version 0 whatever was asked; the error code comes first in all versions. */
function refusesVersion(frame: Uint8Array): boolean {
  return frame.length >= 6 && frame[4] === 0 && frame[5] === errorUnsupportedVersion
}

/** Hands the answer over; one that cannot be read rejects its request and ends the connection. */
function settle(pending: Pending, frame: Uint8Array): void {
  try {
    pending.settle(frame)
  } catch (thrown) {
    pending.reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
    throw thrown
  }
}
