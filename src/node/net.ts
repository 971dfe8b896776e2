/** The Net port on TCP sockets, plain or under TLS. */
import net from 'node:net'
import {
  type Connection,
  type ListenAddress,
  type Listener,
  type Net,
  NetError,
  type Observer,
  type TlsClientAuth,
  type TlsContext,
} from '../base/ports.ts'
import { SocketConnection, SocketReader } from './connection.ts'
import { nodeEvents } from './node-events.ts'
import { NodeTlsContext } from './tls-context.ts'
import { createTlsServer } from './tls-server.ts'

export interface NodeNetOptions {
  readonly observer: Observer
  /** Read by `data` events instead of into our own memory: slower by a quarter, but without a touch of Node's insides. */
  readonly readByEvents?: boolean
}

/** Backlog above which `send` answers false: one large fetch answer may wait whole. */
const backlogBytesMark = 1024 * 1024
/** First keep-alive probe: half of the shortest idle time-out of common NAT boxes. */
const keepAliveMs = 60_000
/** Connections that wait for accept; the kernel cuts it at net.core.somaxconn. */
const acceptQueueMax = 1024

const serverOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMs,
  highWaterMark: backlogBytesMark,
} as const

/** What Node keeps of a socket: the one place where we look behind its interface. */
const handleProperty = '_handle'
interface SocketInside {
  [handleProperty]: unknown
}

export class NodeNet implements Net {
  readonly #observer: Observer
  readonly #readByEvents: boolean
  readonly #open = new Set<net.Socket>()
  readonly #servers = new Set<net.Server>()

  constructor(options: NodeNetOptions) {
    this.#observer = options.observer
    this.#readByEvents = options.readByEvents ?? false
  }

  tlsContext(clientAuth: TlsClientAuth): NodeTlsContext {
    return new NodeTlsContext(clientAuth)
  }

  listen(
    name: string,
    address: ListenAddress,
    onConnection: (connection: Connection) => void,
    tls: TlsContext | null = null,
  ): Promise<Listener> {
    const server = tls === null ? this.#plainServer(name, onConnection) : this.#tlsServer(name, onConnection, tls)
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => {
        reject(new NetError(error.code ?? error.message, `listen for ${name} on ${address.host}:${address.port}`))
      }
      server.once('error', fail)
      server.listen({ host: address.host, port: address.port, backlog: acceptQueueMax }, () => {
        server.off('error', fail)
        server.on('error', (error: NodeJS.ErrnoException) => {
          this.#observer.event(nodeEvents.acceptFailed, { listener: name, code: error.code ?? error.message })
        })
        this.#servers.add(server)
        const bound = server.address() as net.AddressInfo
        resolve({ host: bound.address, port: bound.port, close: () => this.#stopListening(server) })
      })
    })
  }

  #plainServer(name: string, onConnection: (connection: Connection) => void): net.Server {
    const server = net.createServer({ ...serverOptions, pauseOnConnect: true })
    server.on('connection', (socket) => onConnection(this.#accepted(name, socket)))
    return server
  }

  #tlsServer(name: string, onConnection: (connection: Connection) => void, context: TlsContext): net.Server {
    if (!(context instanceof NodeTlsContext)) throw new Error('a TLS context comes from the port that listens')
    return createTlsServer({
      name,
      context,
      observer: this.#observer,
      socketOptions: serverOptions,
      onSecure: (socket, certificate) => onConnection(this.#connection(socket, null, name, { certificate })),
      onRaw: (socket) => {
        this.#open.add(socket)
        socket.once('close', () => this.#open.delete(socket))
      },
    })
  }

  connect(address: ListenAddress, timeoutMs: number): Promise<Connection> {
    const attempt = `connect to ${address.host}:${address.port}`
    const reader = this.#readByEvents ? null : new SocketReader()
    return new Promise((resolve, reject) => {
      const socket = net.connect({
        host: address.host,
        port: address.port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMs,
        ...(reader ? { onread: reader.onread } : {}),
        ...{ highWaterMark: backlogBytesMark },
      })
      // Nothing is read before somebody takes the connection.
      socket.pause()
      const timer = setTimeout(() => fail({ code: 'ETIMEDOUT', message: 'no answer' }), timeoutMs)
      const fail = (error: { code?: string | undefined; message: string }): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new NetError(error.code ?? error.message, attempt))
      }
      socket.once('error', fail)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.off('error', fail)
        resolve(this.#connection(socket, reader, 'outbound'))
      })
      socket.once('close', () => clearTimeout(timer))
    })
  }

  /** Closes every listener and every connection. */
  async close(): Promise<void> {
    await Promise.all([...this.#servers].map((server) => this.#stopListening(server)))
    for (const socket of this.#open) socket.destroy()
  }

  /**
   * A server's socket cannot be told to read into our memory, but a new socket around its handle can. The first one is
   * destroyed without its handle, so that the server forgets it.
   */
  #accepted(name: string, accepted: net.Socket): SocketConnection {
    if (this.#readByEvents) return this.#connection(accepted, null, name)
    const inside = accepted as unknown as SocketInside
    const handle = inside[handleProperty]
    if (!handle) return this.#connection(accepted, null, name)
    inside[handleProperty] = null
    const reader = new SocketReader()
    const options = { handle, onread: reader.onread, manualStart: true, highWaterMark: backlogBytesMark }
    const socket = new net.Socket(options as unknown as net.SocketConstructorOpts)
    accepted.destroy()
    return this.#connection(socket, reader, name)
  }

  #connection(
    socket: net.Socket,
    reader: SocketReader | null,
    listener: string,
    tls?: { readonly certificate: Uint8Array | null },
  ): SocketConnection {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return new SocketConnection({ socket, reader, listener, ...(tls === undefined ? {} : { tls }) })
  }

  /** The port is free when this resolves; open connections stay. */
  async #stopListening(server: net.Server): Promise<void> {
    if (!this.#servers.delete(server)) return
    server.close()
    // The handle closes at the end of this turn; `close` events wait for connections, which is not what is asked for.
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
  }
}
