/** The Kafka door: any number of listeners, their connections, and what these share. */
import { ConnectionGate, type GateReason } from '../../base/connection-gate.ts'
import { MemoryPool } from '../../base/memory-pool.ts'
import type {
  Clock,
  Connection,
  ListenAddress,
  Listener,
  Net,
  Observer,
  ProxyProtocolOptions,
  Timer,
  TlsContext,
} from '../../base/ports.ts'
import { type CloseReason, type ConnectionHost, KafkaConnection } from './connection.ts'
import type { SaslListener } from './connection-security.ts'
import { Dispatcher } from './dispatch.ts'
import { kafkaDoorEvents } from './door-events.ts'
import { kafkaDoorMetrics } from './door-metrics.ts'
import type { KafkaDoorOptions } from './door-options.ts'
import type { AdvertisedAddress, HandlerTable } from './handler.ts'
import { apiVersionsHandler, apiVersionsKey } from './handlers/api-versions.ts'
import { saslHandlers } from './handlers/sasl-handlers.ts'
import { MemoryBudget } from './memory-budget.ts'
import type { ConnectionFacts } from './request-context.ts'
import { RequestQuotas } from './request-quotas.ts'

export interface KafkaDoorParts {
  readonly net: Net
  readonly clock: Clock
  readonly observer: Observer
  /** The door adds ApiVersions, SaslHandshake and SaslAuthenticate itself. */
  readonly handlers: HandlerTable
  readonly options: KafkaDoorOptions
}

export interface ListenerOptions {
  /** What clients are told; without it each is told the address its own connection came in on. */
  readonly advertise?: AdvertisedAddress | null
  /** The listener's label in figures. */
  readonly name?: string
  readonly tls?: TlsContext | null
  readonly proxyProtocol?: ProxyProtocolOptions | null
  /** How clients authenticate; null = they are who their certificate says, or anonymous. */
  readonly sasl?: SaslListener | null
}

interface ListenerPlace {
  options: ListenerOptions
}

/** How often connections are looked at: rarely, or often while some wait for memory that others hold. */
const inspectMs = 30_000
const inspectUnderPressureMs = 1_000
/** How long a connection may stand still while others wait for its memory. */
const stallMs = 10_000
/** How long a stop waits for requests that wait for others themselves: a usual Fetch is over by then. */
const stopWaitingMs = 1_000
/** Refusals that are logged in `refusalWindowMs`; the rest are counted. */
const refusalsLoggedMax = 20
const refusalWindowMs = 10_000
/** Listeners have no bounds of their own: Kafka's are of the broker. */
const ofTheDoor = { connectionsMax: Infinity, connectionsPerAddressMax: null, connectionsPerSecondMax: Infinity }

export class KafkaDoor {
  readonly #net: Net
  readonly #clock: Clock
  readonly #observer: Observer
  readonly #options: KafkaDoorOptions
  readonly #host: ConnectionHost
  readonly #connections = new Map<KafkaConnection, ListenerPlace>()
  readonly #places = new Map<Listener, ListenerPlace>()
  readonly #connectionCounts = new Map<string, number>()
  readonly #toFlush: KafkaConnection[] = []
  readonly #gate: ConnectionGate
  #nextConnectionId = 1
  #isFlushDeferred = false
  #inspectTimer: Timer | null = null
  #isInspectSoon = false
  #refusals = 0
  #refusalWindowEndMs = 0
  #isStopping = false
  #whenEmpty: (() => void) | null = null

  constructor(parts: KafkaDoorParts) {
    const { clock, observer, options } = parts
    this.#net = parts.net
    this.#clock = clock
    this.#observer = observer
    this.#options = options
    this.#gate = new ConnectionGate({
      limits: options.connections,
      monotonicMs: () => clock.monotonicMs(),
      beyondRate: 'wait',
      toldMax: 0,
      onRefused: (client, reason) => this.#beyondLimit(client, reason),
    })
    const handlers = new Map([...parts.handlers, ...saslHandlers()])
    handlers.set(
      apiVersionsKey,
      apiVersionsHandler({
        served: (apiKey) => apiKey === apiVersionsKey || handlers.has(apiKey),
        features: options.features,
      }),
    )
    const inspectSoon = (): void => this.#inspectLater(true)
    this.#host = {
      clock,
      observer,
      options,
      quotas: options.quotas === null ? null : new RequestQuotas(options.quotas),
      dispatcher: new Dispatcher(handlers),
      // One frame of the largest size must always fit.
      frameMemory: new MemoryPool(),
      requestMemory: new MemoryBudget(Math.max(options.requestMemoryBytesMax, options.requestBytesMax), inspectSoon),
      responseMemory: new MemoryBudget(options.responseMemoryBytesMax, inspectSoon),
      flushLater: (connection) => this.#flushLater(connection),
      refused: (facts, reason) => this.#refused(facts, reason),
      closed: (connection, reason) => this.#closed(connection, reason),
    }
  }

  /** Open connections of all listeners. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Open connections that came in on a listener's name. */
  connectionsOf(listenerName: string): number {
    return this.#connectionCounts.get(listenerName) ?? 0
  }

  /**
   * Listens on an address. Rejects with a NetError.
   */
  async listen(address: ListenAddress, options: ListenerOptions = {}): Promise<Listener> {
    const { name = 'kafka', tls = null, proxyProtocol = null } = options
    const place: ListenerPlace = { options }
    const listener = await this.#net.listen(name, address, (connection) => this.#accept(connection, place), {
      tls,
      proxyProtocol,
      gate: this.#gate.listener(ofTheDoor),
    })
    this.#places.set(listener, place)
    return listener
  }

  /**
   * Whoever comes by the listener from now on authenticates; who came before goes, when what runs is answered, which may be the very request that
   * asked for this. Answers how many.
   */
  askForNames(listener: Listener, sasl: SaslListener): number {
    const place = this.#places.get(listener)
    if (place === undefined) return 0
    place.options = { ...place.options, sasl }
    const before = [...this.#connections].filter(([, from]) => from === place)
    for (const [connection] of before) {
      connection.stop()
      connection.cutWaiting()
    }
    this.#clock.schedule(Math.min(stopWaitingMs, this.#options.stopTimeoutMs), () => {
      for (const [connection] of before) if (this.#connections.has(connection)) connection.destroy('unauthenticated')
    })
    return before.length
  }

  /**
   * Stops listening and lets running requests end: for `stopTimeoutMs`, but for a second only where nothing runs on a connection
   * but Fetch, JoinGroup and SyncGroup. Then closes what is left. Safe to call twice.
   */
  async stop(): Promise<void> {
    this.#isStopping = true
    const listeners = [...this.#places.keys()]
    this.#places.clear()
    await Promise.all(listeners.map((listener) => listener.close()))
    if (this.#connections.size === 0) return this.#stopInspecting()
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
    })
    const timers = [
      this.#clock.schedule(Math.min(stopWaitingMs, this.#options.stopTimeoutMs), () => {
        for (const connection of [...this.#connections.keys()]) connection.cutWaiting()
      }),
      this.#clock.schedule(this.#options.stopTimeoutMs, () => this.#cutRemaining()),
    ]
    for (const connection of [...this.#connections.keys()]) connection.stop()
    await empty
    for (const timer of timers) this.#clock.cancel(timer)
    this.#stopInspecting()
  }

  /** Sets the gauges; called before a scrape. */
  refreshGauges(): void {
    for (const [listener, count] of this.#connectionCounts)
      this.#observer.set(kafkaDoorMetrics.connections, count, { listener })
    this.#observer.set(kafkaDoorMetrics.requestMemoryBytes, this.#host.requestMemory.usedBytes)
    this.#observer.set(kafkaDoorMetrics.responseMemoryBytes, this.#host.responseMemory.usedBytes)
  }

  #accept(connection: Connection, place: ListenerPlace): void {
    const { peer } = connection
    const { advertise, sasl = null } = place.options
    if (this.#isStopping) return connection.destroy()
    const principal = this.#options.principalOf(peer)
    if (principal === null) {
      if (this.#mayLogRefusal()) this.#observer.event(kafkaDoorEvents.principalRefused, { client: peer.remoteHost })
      this.#observer.add(kafkaDoorMetrics.connectionsClosed, 1, { reason: 'refused' satisfies CloseReason })
      return connection.destroy()
    }
    const facts = {
      connectionId: this.#nextConnectionId++,
      principal,
      sasl,
      clientHost: peer.remoteHost,
      localHost: peer.localHost,
      localPort: peer.localPort,
      advertised: advertise ?? { host: peer.localHost, port: peer.localPort },
      listener: peer.listener,
    }
    this.#observer.add(kafkaDoorMetrics.connectionsAccepted, 1)
    this.#countConnection(peer.listener, 1)
    this.#connections.set(new KafkaConnection(connection, facts, this.#host), place)
    this.#inspectLater(false)
  }

  #countConnection(listener: string, change: 1 | -1): void {
    this.#connectionCounts.set(listener, this.connectionsOf(listener) + change)
  }

  #closed(connection: KafkaConnection, reason: CloseReason): void {
    if (!this.#connections.delete(connection)) return
    this.#countConnection(connection.facts.listener, -1)
    this.#observer.add(kafkaDoorMetrics.connectionsClosed, 1, { reason })
    if (this.#connections.size > 0) return
    this.#stopInspecting()
    this.#whenEmpty?.()
  }

  /** Answers that become ready in one turn of the loop leave in one send a connection. */
  #flushLater(connection: KafkaConnection): void {
    this.#toFlush.push(connection)
    if (this.#isFlushDeferred) return
    this.#isFlushDeferred = true
    this.#clock.defer(() => {
      this.#isFlushDeferred = false
      for (const ready of this.#toFlush.splice(0)) ready.flush()
    })
  }

  // -------------------------------------------------------------------------------------------- inspection

  #inspectLater(isSoon: boolean): void {
    if (this.#inspectTimer !== null) {
      if (!isSoon || this.#isInspectSoon) return
      this.#clock.cancel(this.#inspectTimer)
    }
    this.#isInspectSoon = isSoon
    const delayMs = isSoon ? inspectUnderPressureMs : Math.min(inspectMs, Math.max(this.#options.idleMs / 2, 1))
    this.#inspectTimer = this.#clock.schedule(delayMs, () => {
      this.#inspectTimer = null
      this.#inspect()
    })
  }

  #inspect(): void {
    const { requestMemory, responseMemory } = this.#host
    const nowMs = this.#clock.monotonicMs()
    for (const connection of [...this.#connections.keys()])
      connection.inspect(nowMs, { idleMs: this.#options.idleMs, stallMs })
    this.#logSuppressed(nowMs)
    if (this.#connections.size > 0) this.#inspectLater(requestMemory.hasWaiting || responseMemory.hasWaiting)
  }

  #stopInspecting(): void {
    if (this.#inspectTimer !== null) this.#clock.cancel(this.#inspectTimer)
    this.#inspectTimer = null
  }

  #cutRemaining(): void {
    if (this.#connections.size === 0) return
    this.#observer.event(kafkaDoorEvents.stopTimedOut, { connections: this.#connections.size })
    for (const connection of [...this.#connections.keys()]) connection.destroy('stop')
  }

  // ----------------------------------------------------------------------------------------------- refusals

  #refused(facts: ConnectionFacts, reason: string): void {
    if (!this.#mayLogRefusal()) return
    const { connectionId, clientHost } = facts
    this.#observer.event(kafkaDoorEvents.requestRefused, { connection: connectionId, client: clientHost, reason })
  }

  #beyondLimit(client: string, reason: GateReason): void {
    this.#observer.add(kafkaDoorMetrics.connectionsRefused, 1, { reason })
    if (this.#mayLogRefusal()) this.#observer.event(kafkaDoorEvents.connectionsExhausted, { client, reason })
  }

  /** A client that is refused again and again must not fill the log. */
  #mayLogRefusal(): boolean {
    const nowMs = this.#clock.monotonicMs()
    this.#logSuppressed(nowMs)
    if (nowMs >= this.#refusalWindowEndMs) this.#refusalWindowEndMs = nowMs + refusalWindowMs
    return ++this.#refusals <= refusalsLoggedMax
  }

  #logSuppressed(nowMs: number): void {
    if (nowMs < this.#refusalWindowEndMs) return
    const count = this.#refusals - refusalsLoggedMax
    this.#refusals = 0
    if (count > 0) this.#observer.event(kafkaDoorEvents.refusalsNotLogged, { count })
  }
}
