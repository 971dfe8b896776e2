/** The Net port on sockets of the operating system. What stands between `accept` and a connection is in `listener.ts`. */
import net from 'node:net'
import { asError } from '../base/errors.ts'
import {
  type Connection,
  type DocumentRequest,
  type ListenAddress,
  type Listener,
  type ListenOptions,
  type ListenPlace,
  type Net,
  NetError,
  type Observer,
  type OutboundTls,
  type TlsClientAuth,
} from '../base/ports.ts'
import type { AddOn } from './add-on.ts'
import { arrivalOf, type Carrier } from './arrival.ts'
import { SocketConnection, SocketReader } from './connection.ts'
import { fetchDocument } from './document-fetch.ts'
import { NodeListener } from './listener.ts'
import { ReceiveTurn } from './receive-turn.ts'
import { SendTurn } from './send-turn.ts'
import { backlogBytesMark, keepAliveMs } from './stream-marks.ts'
import { type StreamsInside, streamsInside } from './streams-inside.ts'
import { NodeTlsContext } from './tls-context.ts'
import { connectSecurely } from './tls-outbound.ts'
import { TurnPace } from './turn-pace.ts'

/** Handshakes of servers that begin in one turn of the loop: a few milliseconds of it. */
const handshakesPerTurn = 8

export interface NodeNetOptions {
  readonly observer: Observer
  /** Read by `data` events instead of into our own memory: slower by a quarter, but without a touch of Node's insides. */
  readonly readByEvents?: boolean
  /** Sends what many connections have in one call, and reads what they bring; omitted, or not there: each by its own. */
  readonly addOn?: AddOn
}

export class NodeNet implements Net {
  readonly #observer: Observer
  readonly #readByEvents: boolean
  readonly #open = new Set<Carrier>()
  readonly #listeners = new Set<NodeListener>()
  readonly #closing = new AbortController()
  /** One listener for all sockets: there may be tens of thousands. */
  readonly #forget: (this: net.Socket) => void
  readonly #handshakePace = new TurnPace(handshakesPerTurn)
  readonly #sends: SendTurn | null
  readonly #receives: ReceiveTurn | null
  readonly #inside: StreamsInside | null

  constructor(options: NodeNetOptions) {
    const { addOn } = options
    this.#observer = options.observer
    this.#readByEvents = options.readByEvents ?? false
    const turns = this.#readByEvents || addOn === undefined || addOn.file === null ? null : addOn
    this.#sends = turns === null ? null : new SendTurn(turns)
    this.#receives = turns === null ? null : new ReceiveTurn(turns)
    this.#inside = this.#readByEvents ? null : streamsInside()
    const open = this.#open
    this.#forget = function forget() {
      open.delete(this)
    }
  }

  tlsContext(clientAuth: TlsClientAuth): NodeTlsContext {
    return new NodeTlsContext(clientAuth)
  }

  async listen(
    name: string,
    place: ListenPlace,
    onConnection: (connection: Connection) => void,
    options: ListenOptions = {},
  ): Promise<Listener> {
    const listener = new NodeListener(
      {
        name,
        observer: this.#observer,
        readByEvents: this.#readByEvents,
        sends: this.#sends,
        receives: this.#receives,
        inside: this.#inside,
        handshakePace: this.#handshakePace,
        onConnection,
        open: this.#open,
        onSocket: (socket) => this.#track(socket),
      },
      options,
    )
    const bound = await listener.open(place)
    this.#listeners.add(listener)
    return { ...bound, close: () => this.#stopListening(listener) }
  }

  connect(address: ListenAddress, timeoutMs: number, tls: OutboundTls | null = null): Promise<Connection> {
    const attempt = `connect to ${address.host}:${address.port}`
    // A TLS stream has no memory of ours to read into.
    const reader = this.#readByEvents || tls !== null ? null : new SocketReader()
    const shown = tls === null ? undefined : { certificate: null }
    return new Promise((resolve, reject) => {
      let socket: net.Socket
      try {
        socket = tls === null ? connectPlainly(address, reader) : connectSecurely(address, tls)
      } catch (thrown) {
        return reject(new NetError(asError(thrown).message, attempt))
      }
      // Nothing is read before somebody takes the connection.
      socket.pause()
      const timer = setTimeout(() => fail({ code: 'ETIMEDOUT', message: 'no answer' }), timeoutMs)
      const fail = (error: { code?: string | undefined; message: string }): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new NetError(error.code ?? error.message, attempt))
      }
      socket.once('error', fail)
      socket.once(tls === null ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer)
        socket.off('error', fail)
        this.#track(socket)
        const sends = tls === null ? this.#sends : null
        resolve(new SocketConnection({ socket, reader, peer: arrivalOf(socket).facts('outbound', shown), sends }))
      })
      socket.once('close', () => clearTimeout(timer))
    })
  }

  fetchDocument(request: DocumentRequest): Promise<Uint8Array> {
    return fetchDocument(request, this.#closing.signal)
  }

  /** Closes every listener and every connection. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#listeners].map((listener) => this.#stopListening(listener)))
    for (const stream of this.#open) stream.destroy()
    this.#receives?.close()
  }

  #track(socket: net.Socket): void {
    this.#open.add(socket)
    socket.on('close', this.#forget)
  }

  async #stopListening(listener: NodeListener): Promise<void> {
    if (this.#listeners.delete(listener)) await listener.close()
  }
}

function connectPlainly(address: ListenAddress, reader: SocketReader | null): net.Socket {
  return net.connect({
    host: address.host,
    port: address.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    ...(reader ? { onread: reader.onread } : {}),
    ...{ highWaterMark: backlogBytesMark },
  })
}
