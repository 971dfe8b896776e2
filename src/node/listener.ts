/**
 * One listener: accepts, asks its gate, and carries each connection through what stands before its first byte: PROXY header, TLS
 * handshake, WebSocket upgrade. Connections on that way are bounded in number, and in time as a whole: nobody knows the client yet.
 */
import net from 'node:net'
import { type Connection, type ListenOptions, type ListenPlace, NetError, type Observer } from '../base/ports.ts'
import { Arrival, type ArrivalFault, RefusalReport } from './arrival.ts'
import { SocketConnection, SocketReader } from './connection.ts'
import { nodeEvents } from './node-events.ts'
import { readProxiedPeer, trustedSources } from './proxy-reader.ts'
import type { ReceiveTurn } from './receive-turn.ts'
import type { SendTurn } from './send-turn.ts'
import { handleProperty, type SocketInside } from './socket-inside.ts'
import { backlogBytesMark, keepAliveMs } from './stream-marks.ts'
import { NodeTlsContext } from './tls-context.ts'
import { TlsHandshakes } from './tls-server.ts'
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
  /** Of the handshakes of all listeners. */
  readonly handshakePace: TurnPace
  readonly onConnection: (connection: Connection) => void
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
    if (tls !== null) this.#handshakes = this.#tlsHandshakes(tls)
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
    const arrival = new Arrival(socket)
    if (this.#sources === null) return this.#enter(arrival)
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
      this.#enter(arrival, verdict.head)
    })
  }

  #enter(arrival: Arrival, head: Buffer | null = null): void {
    const { gate = null } = this.#listen
    if (gate === null) return this.#carry(arrival, head)
    const pass = gate.enter(arrival.peer.remoteHost)
    // The gate counts and tells what it closes.
    if (pass === null) return this.#end(arrival)
    arrival.pass = pass
    if (pass.waitMs === 0) return this.#carry(arrival, head)
    this.#carryLater(arrival, pass.waitMs, head)
  }

  #carryLater(arrival: Arrival, waitMs: number, head: Buffer | null): void {
    const timer = setTimeout(() => {
      if (!arrival.isOver) this.#carry(arrival, head)
    }, waitMs)
    arrival.socket.once('close', () => clearTimeout(timer))
  }

  #carry(arrival: Arrival, head: Buffer | null): void {
    if (this.#handshakes === null && this.#upgrades === null) return this.#handOver(arrival, this.#plain(arrival, head))
    if (!this.#begin(arrival)) return
    const { socket } = arrival
    if (head !== null && head.length > 0) socket.unshift(head)
    if (this.#handshakes === null) this.#upgrades?.begin(socket, arrival)
    else this.#handshakes.begin(arrival)
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
    arrival.socket.destroy()
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
        if (arrival === null) return
        if (!arrival.isOver) this.#report.handshakeFailed(arrival, reason)
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
  #plain(arrival: Arrival, head: Buffer | null): SocketConnection {
    const accepted = arrival.socket
    const peer = arrival.facts(this.#options.name)
    const inside = accepted as unknown as SocketInside
    const handle = inside[handleProperty]
    if (this.#options.readByEvents || !handle) {
      if (head !== null && head.length > 0) accepted.unshift(head)
      return new SocketConnection({ socket: accepted, reader: null, peer })
    }
    // Behind a PROXY header the first socket has been reading.
    if (handle.reading) handle.readStop()
    handle.reading = false
    inside[handleProperty] = null
    const reader = new SocketReader()
    const options = { handle, onread: reader.onread, manualStart: true, highWaterMark: backlogBytesMark }
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts)
    arrival.moveTo(socket)
    this.#options.onSocket(socket)
    accepted.destroy()
    const { sends, receives } = this.#options
    return new SocketConnection({
      ...{ socket, reader, peer, head, sends },
      receives: this.#listen.bringsLittle === true ? receives : null,
    })
  }
}
