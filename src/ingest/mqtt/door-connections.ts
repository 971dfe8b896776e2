/** The connections of the MQTT door: its listeners with their limits, and who has come in by them. */
import { ConnectionGate, type GateReason, isLocalHost } from '../../base/connection-gate.ts'
import type { Clock, Connection, Listener, ListenOptions, ListenPlace, Net, Observer } from '../../base/ports.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { MqttConnection } from './connection.ts'
import type { DoorServices } from './door-services.ts'
import type { MqttListenerOptions } from './listener-options.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'

export interface DoorConnectionsParts {
  readonly net: Net
  readonly clock: Clock
  readonly observer: Observer
  readonly options: MqttDoorOptions
  readonly services: () => DoorServices
  /** Their number has changed. */
  readonly onChange: () => void
}

interface ListenerPlace {
  options: MqttListenerOptions
}

/** Names of the WebSocket sub-protocol: of the standard [MQTT-6.0.0-4], and of clients from before it. */
const subProtocols = ['mqtt', 'mqttv3.1']
/** Connections beyond a limit that are taken nevertheless, so that a client of 5.0 is told which. */
const toldMax = 64

export class DoorConnections {
  readonly #parts: DoorConnectionsParts
  readonly #gate: ConnectionGate
  readonly #open = new Set<MqttConnection>()
  readonly #places = new Map<Listener, ListenerPlace>()
  #isStopping = false

  constructor(parts: DoorConnectionsParts) {
    this.#parts = parts
    const { options, clock } = parts
    this.#gate = new ConnectionGate({
      limits: {
        connectionsMax: () => options.connectionsMax,
        // Whoever is on this machine, or behind a proxy on it, could do worse.
        connectionsPerAddressMax: (host) => (isLocalHost(host) ? Infinity : options.connectionsPerAddressMax),
        connectionsPerSecondMax: () => options.connectionsPerSecondMax ?? Infinity,
        connectionsPerSecondOfAddress: (host) => parts.services().quotas?.connectionRateOf(host) ?? Infinity,
      },
      monotonicMs: () => clock.monotonicMs(),
      beyondRate: 'refuse',
      toldMax,
      onRefused: (host, reason) => this.#onRefused(host, reason),
    })
  }

  get size(): number {
    return this.#open.size
  }

  sizeOf(listenerName: string): number {
    let size = 0
    for (const { listener } of this.#open) if (listenerNameOf(listener) === listenerName) size++
    return size
  }

  /** Rejects with a NetError. */
  async listen(place: ListenPlace, options: MqttListenerOptions): Promise<Listener> {
    const own: ListenerPlace = { options }
    const onConnection = (socket: Connection): void => this.#onConnection(socket, own.options)
    const listener = await this.#parts.net.listen(
      listenerNameOf(options),
      place,
      onConnection,
      this.#listenOptions(options),
    )
    this.#places.set(listener, own)
    return listener
  }

  /** See `MqttDoor.askForNames`: by user name and password. */
  askForNames(listener: Listener): number {
    const place = this.#places.get(listener)
    if (place === undefined) return 0
    const before = place.options
    place.options = { ...before, authentication: 'password' }
    const theirs = [...this.#open].filter((connection) => connection.listener === before)
    for (const connection of theirs) connection.close(reasonCodes.notAuthorized, 'names are asked for from now on')
    return theirs.length
  }

  #listenOptions(listener: MqttListenerOptions): ListenOptions {
    const { options } = this.#parts
    const { webSocket = null } = listener
    const packetBytesMax = listener.packetBytesMax ?? options.packetBytesMax
    return {
      tls: listener.tls ?? null,
      proxyProtocol: listener.proxyProtocol ?? null,
      bringsLittle: true,
      gate: this.#gate.listener({
        connectionsMax: listener.connectionsMax ?? Infinity,
        connectionsPerAddressMax: listener.connectionsPerAddressMax ?? null,
        connectionsPerSecondMax: listener.connectionsPerSecondMax ?? Infinity,
      }),
      webSocket:
        webSocket === null
          ? null
          : {
              ...webSocket,
              subProtocols,
              messageBytesMax: packetBytesMax,
              // A largest CONNECT, and what one read brings beyond it.
              untrustedBytesMax: 2 * options.connectBytesMax,
            },
    }
  }

  /** No new connections; open ones stay. */
  async stopListening(): Promise<void> {
    this.#isStopping = true
    const listeners = [...this.#places.keys()]
    this.#places.clear()
    await Promise.all(listeners.map((listener) => listener.close()))
  }

  stopReading(): void {
    for (const connection of this.#open) connection.stopReading()
  }

  closeAll(reason: number, because: string): void {
    for (const connection of [...this.#open]) connection.close(reason, because)
  }

  #onConnection(socket: Connection, listener: MqttListenerOptions): void {
    if (this.#isStopping) {
      socket.destroy()
      this.#parts.observer.add(mqttMetrics.disconnects, 1, { reason: 'refused' })
      return
    }
    const connection = new MqttConnection(socket, listener, this.#parts.services(), (ended) => {
      this.#open.delete(ended)
      this.#parts.onChange()
    })
    this.#open.add(connection)
    this.#parts.services().counters.totals.sockets += 1
    this.#parts.onChange()
  }

  #onRefused(remoteHost: string, reason: GateReason): void {
    const { observer } = this.#parts
    observer.add(mqttMetrics.connectionsRefused, 1, { reason })
    if (this.#parts.services().eventBudget.take()) observer.event(mqttEvents.connectionRefused, { remoteHost, reason })
  }
}

function listenerNameOf({ name = 'mqtt' }: MqttListenerOptions): string {
  return name
}
