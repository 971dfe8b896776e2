/**
 * One listener: accepts, asks its gate, and carries each connection through what stands before its first byte: PROXY header, TLS
 * handshake, WebSocket upgrade. Connections on that way are bounded in number, and in time as a whole: nobody knows the client yet.
 */
import net from 'node:net'
import { type Connection, type ListenOptions, type ListenPlace, NetError, type Observer } from '../base/ports.ts'
import { type Arrival, type ArrivalFault, arrivalOf, type Carrier, closesWith, RefusalReport } from './arrival.ts'
import { SocketConnection, SocketReader } from './connection.ts'
import { nodeEvents } from './node-events.ts'
import { plainAddress } from './proxy-header.ts'
import { readProxiedPeer, trustedSources } from './proxy-reader.ts'
import type { ReceiveTurn } from './receive-turn.ts'
import type { SendTurn } from './send-turn.ts'
import { takenHandle } from './socket-inside.ts'
import { backlogBytesMark, keepAliveMs } from './stream-marks.ts'
import type { StreamsInside, TcpHandle } from './streams-inside.ts'
import { NodeTlsContext } from './tls-context.ts'
import { TlsHandshakes } from './tls-server.ts'
import { placesOf, TlsStream, type TlsStreamHost } from './tls-stream.ts'
import type { TurnPace } from './turn-pace.ts'
import { clearUnixPath, setUnixMode } from './unix-socket.ts'
import { type WebSocketUpgrades, webSocketUpgrades } from './web-socket-upgrades.ts'

export interface NodeListenerOptions {
  readonly name: string
  readonly observer: Observer
  readonly readByEvents: boolean
  /** Of plain sockets; null: each sends by its own. */
  readonly sends: SendTurn | null
  /** Of plain sockets that bring little; null: each reads by its own. */
  readonly receives: ReceiveTurn | null
  /** For TLS without sockets; null: each connection is two of Node's sockets. */
  readonly inside: StreamsInside | null
  /** Of the handshakes of all listeners. */
  readonly handshakePace: TurnPace
  readonly onConnection: (connection: Connection) => void
  /** Streams that are open and no sockets. */
  readonly open: Set<Carrier>
  /** A socket is open, until it closes. */
  readonly onSocket: (socket: net.Socket) => void
}

/** Connections of one listener between `accept` and their first byte: each costs up to 50 KiB and milliseconds of a core. */
const openingMax = 256
/** All of a connection's handshakes together. */
const openingMs = 10_000
/** Connections that wait for accept; the kernel cuts it at net.core.somaxconn. */
const acceptQueueMax = 1024

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMs,
  highWaterMark: backlogBytesMark,
} as const

/** Whoever takes the socket looks at its errors. */
function ignore(): void {}

export class NodeListener {
  readonly #options: NodeListenerOptions
  readonly #listen: ListenOptions
  readonly #server: net.Server
  readonly #report: RefusalReport
  readonly #sources: net.BlockList | null
  #handshakes: TlsHandshakes | null = null
  #streams: TlsStreamHost | null = null
  #upgrades: WebSocketUpgrades | null = null
  #openingCount = 0

  constructor(options: NodeListenerOptions, listen: ListenOptions) {
    this.#options = options
    this.#listen = listen
    this.#report = new RefusalReport(options.name, options.observer)
    this.#sources = listen.proxyProtocol ? trustedSources(listen.proxyProtocol.from) : null
    this.#server = net.createServer({ ...socketOptions, pauseOnConnect: true })
    this.#server.on('connection', (socket) => this.#accept(socket))
  }

  /** Resolves with where it listens; rejects with a NetError. */
  async open(
    place: ListenPlace,
  ): Promise<{ readonly host: string; readonly port: number; readonly path: string | null }> {
    const { name } = this.#options
    const { tls = null, webSocket = null } = this.#listen
    const at = 'path' in place ? place.path : `${place.host}:${place.port}`
    const attempt = `listen for ${name} on ${at}`
    if (tls !== null && webSocket === null && this.#options.inside !== null) this.#streams = this.#tlsStreams(tls)
    else if (tls !== null) this.#handshakes = this.#tlsHandshakes(tls)
    if (webSocket !== null) this.#upgrades = await this.#webSocketUpgrades(webSocket)
    if ('path' in place) await clearUnixPath(place, attempt)
    await this.#bind(place, attempt)
    if ('path' in place) {
      setUnixMode(place)
      return { host: place.path, port: 0, path: place.path }
    }
    const bound = this.#server.address() as net.AddressInfo
    return { host: bound.address, port: bound.port, path: null }
  }

  #bind(place: ListenPlace, attempt: string): Promise<void> {
    const server = this.#server
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(new NetError(error.code ?? error.message, attempt))
      server.once('error', fail)
      const where = 'path' in place ? { path: place.path } : { host: place.host, port: place.port }
      server.listen({ ...where, backlog: acceptQueueMax }, () => {
        server.off('error', fail)
        if (this.#streams !== null && this.#sources === null && !('path' in place))
          this.#options.inside?.takeHandles(server, keepAliveMs / 1000, (handle) => this.#acceptHandle(handle))
        server.on('error', (error: NodeJS.ErrnoException) => {
          const { name, observer } = this.#options
          observer.event(nodeEvents.acceptFailed, { listener: name, code: error.code ?? error.message })
        })
        resolve()
      })
    })
  }

  /** The place is free when this resolves; open connections stay. */
  async close(): Promise<void> {
    this.#server.close()
    this.#handshakes?.close()
    this.#upgrades?.close()
    // The handle closes at the end of this turn; `close` events wait for connections, which is not what is asked for.
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }

  // ------------------------------------------------------------------------------- from accept to first byte

  #accept(socket: net.Socket): void {
    this.#options.onSocket(socket)
    socket.on('error', ignore)
    const arrival = arrivalOf(socket)
    if (this.#sources === null) return this.#enterSocket(arrival, null)
    const isLocal = socket.remoteAddress === undefined
    const { remoteHost } = arrival.peer
    if (!isLocal && !this.#sources.check(remoteHost, net.isIPv6(remoteHost) ? 'ipv6' : 'ipv4')) {
      return this.#refuse('proxy_source', arrival, 'its PROXY header would not be believed (proxyProtocolFrom)')
    }
    if (!this.#begin(arrival)) return
    readProxiedPeer(socket, (verdict) => {
      if (arrival.isOver) return
      if (typeof verdict === 'string') return this.#refuse('proxy', arrival, `PROXY header: ${verdict}`)
      if (verdict.peer !== null) arrival.peer = verdict.peer
      this.#enterSocket(arrival, verdict.head)
    })
  }

  /** Where nothing but TLS stands before the first byte, and everybody comes by TCP. */
  #acceptHandle(handle: TcpHandle): void {
    const places = placesOf(handle)
    if (places === null || this.#streams === null) return handle.close(() => {})
    const { remote, local } = places
    const stream = new TlsStream(
      handle,
      {
        ...{ remoteHost: plainAddress(remote.address), remotePort: remote.port ?? 0 },
        ...{ localHost: plainAddress(local.address), localPort: local.port ?? 0 },
      },
      this.#streams,
    )
    this.#options.open.add(stream)
    this.#enter(stream.arrival, () => this.#beginStream(stream, null))
  }

  #beginStream(stream: TlsStream, head: Buffer | null): void {
    // Hundreds may come at once, and each hello costs a third of a millisecond as soon as it is read.
    if (this.#begin(stream.arrival)) this.#options.handshakePace.run(() => stream.begin(head))
  }

  #enterSocket(arrival: Arrival<net.Socket>, head: Buffer | null): void {
    this.#enter(arrival, () => this.#carry(arrival, head))
  }

  #enter(arrival: Arrival, carry: () => void): void {
    const { gate = null } = this.#listen
    if (gate === null) return carry()
    const pass = gate.enter(arrival.peer.remoteHost)
    // The gate counts and tells what it closes.
    if (pass === null) return this.#end(arrival)
    arrival.pass = pass
    if (pass.waitMs === 0) carry()
    else arrival.wait(pass.waitMs, carry)
  }

  #carry(arrival: Arrival<net.Socket>, head: Buffer | null): void {
    if (this.#streams !== null) return this.#carryByStream(arrival, head, this.#streams)
    if (this.#handshakes === null && this.#upgrades === null) return this.#handOver(arrival, this.#plain(arrival, head))
    if (!this.#begin(arrival)) return
    const socket = arrival.stream
    if (head !== null && head.length > 0) socket.unshift(head)
    if (this.#handshakes === null) this.#upgrades?.begin(socket, arrival)
    else this.#handshakes.begin(arrival)
  }

  #carryByStream(arrival: Arrival<net.Socket>, head: Buffer | null, host: TlsStreamHost): void {
    const socket = arrival.stream
    const handle = takenHandle(socket)
    if (handle === null) return this.#end(arrival)
    const stream = new TlsStream(handle as unknown as TcpHandle, arrival, host)
    socket.destroy()
    this.#options.open.add(stream)
    this.#beginStream(stream, head)
  }

  /** From now on the connection is one of those that are being opened. */
  #begin(arrival: Arrival): boolean {
    if (arrival.isOpening) return true
    if (this.#openingCount >= openingMax) {
      this.#refuse('crowded', arrival, `${openingMax} connections are being opened`)
      return false
    }
    this.#openingCount++
    const late = (): void => this.#refuse('late', arrival, `it was not open after ${openingMs} ms`)
    const timer = setTimeout(late, openingMs)
    arrival.opening(() => {
      clearTimeout(timer)
      this.#openingCount--
    })
    return true
  }

  #refuse(fault: ArrivalFault, arrival: Arrival, sentence: string): void {
    if (!arrival.isOver) this.#report.refused(fault, arrival, sentence)
    this.#end(arrival)
  }

  #end(arrival: Arrival): void {
    arrival.over()
    arrival.stream.destroy()
  }

  #handOver(arrival: Arrival, connection: Connection): void {
    arrival.over()
    this.#options.onConnection(connection)
  }

  // ---------------------------------------------------------------------------------------- what carries it

  #tlsHandshakes(context: NonNullable<ListenOptions['tls']>): TlsHandshakes {
    if (!(context instanceof NodeTlsContext)) throw new Error('a TLS context comes from the port that listens')
    return new TlsHandshakes({
      context,
      socketOptions,
      pace: this.#options.handshakePace,
      onFailure: (arrival, reason) => {
        this.#report.handshakeFailed(arrival, reason)
        arrival.over()
      },
      onSecure: (arrival, socket, certificate) => {
        this.#options.onSocket(socket)
        if (this.#upgrades !== null) return this.#upgrades.begin(socket, arrival, { certificate })
        const peer = arrival.facts(this.#options.name, { certificate })
        this.#handOver(arrival, new SocketConnection({ socket, reader: null, peer }))
      },
    })
  }

  #tlsStreams(context: NonNullable<ListenOptions['tls']>): TlsStreamHost {
    const { inside, name, open } = this.#options
    if (!(context instanceof NodeTlsContext)) throw new Error('a TLS context comes from the port that listens')
    if (inside === null) throw new Error('streams of a Node that has none')
    // Asked for now, so that nobody listens without.
    void context.current
    return {
      inside,
      context,
      onSecure: (stream, certificate) => {
        stream.introduce(stream.arrival.facts(name, { certificate }))
        this.#handOver(stream.arrival, stream)
      },
      onFailure: ({ arrival }, reason) => {
        if (!arrival.isOver) this.#report.handshakeFailed(arrival, reason)
        arrival.over()
      },
      onClosed: (stream) => void open.delete(stream),
    }
  }

  #webSocketUpgrades(options: NonNullable<ListenOptions['webSocket']>): Promise<WebSocketUpgrades> {
    return webSocketUpgrades(options, {
      listener: this.#options.name,
      onOpen: (arrival, connection) => this.#handOver(arrival, connection),
      onFailure: (arrival, reason) => {
        if (!arrival.isOver) this.#report.refused('upgrade', arrival, reason)
        arrival.over()
      },
    })
  }

  /**
   * A server's socket cannot be told to read into our memory, but a new socket around its handle can. The first one is
   * destroyed without its handle, so that the server forgets it.
   */
  #plain(arrival: Arrival<net.Socket>, head: Buffer | null): SocketConnection {
    const accepted = arrival.stream
    const peer = arrival.facts(this.#options.name)
    const handle = this.#options.readByEvents ? null : takenHandle(accepted)
    if (handle === null) {
      if (head !== null && head.length > 0) accepted.unshift(head)
      return new SocketConnection({ socket: accepted, reader: null, peer })
    }
    const reader = new SocketReader()
    const options = { handle, onread: reader.onread, manualStart: true, highWaterMark: backlogBytesMark }
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts)
    arrival.moveTo(socket)
    closesWith(arrival, socket)
    this.#options.onSocket(socket)
    accepted.destroy()
    const { sends, receives } = this.#options
    return new SocketConnection({
      ...{ socket, reader, peer, head, sends },
      receives: this.#listen.bringsLittle === true ? receives : null,
    })
  }
}
