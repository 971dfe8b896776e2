/** TLS on accepted sockets: certificates are proved before anybody hears of the connection. */
import type { Server, ServerOpts, Socket } from 'node:net'
import tls from 'node:tls'
import type { Arrival } from './arrival.ts'
import { parentProperty, type SocketInside } from './socket-inside.ts'
import type { NodeTlsContext } from './tls-context.ts'
import type { TurnPace } from './turn-pace.ts'

export interface TlsServerOptions {
  readonly context: NodeTlsContext
  readonly socketOptions: ServerOpts
  readonly pace: TurnPace
  /** A finished handshake, with the client's certificate (DER) when it has shown one. */
  readonly onSecure: (arrival: Arrival<Socket>, socket: tls.TLSSocket, certificate: Uint8Array | null) => void
  /** Once for a handshake that nobody else has ended. */
  readonly onFailure: (arrival: Arrival<Socket>, reason: string) => void
}

/** Handshakes on sockets that somebody else has accepted. */
export class TlsHandshakes {
  readonly #server: Server
  readonly #pace: TurnPace
  readonly #onFailure: TlsServerOptions['onFailure']
  /** By the stream that was accepted. */
  readonly #arrivals = new WeakMap<Socket, Arrival<Socket>>()
  /** Their stream has closed in the handshake; why comes to light behind that. */
  readonly #unexplained = new WeakSet<Arrival>()

  constructor(options: TlsServerOptions) {
    const { context, onSecure } = options
    this.#onFailure = options.onFailure
    const server = tls.createServer({ ...options.socketOptions, ...context.serverOptions() })
    this.#server = server
    this.#pace = options.pace
    context.attach(server)
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      // Node ends a connection for its certificate without an error, and tells of one that has hung up.
      const { authorizationError } = socket as unknown as { readonly authorizationError?: string | null }
      this.#failed(this.#arrivalOf(socket), authorizationError ?? error.code ?? error.message)
      socket.destroy()
    })
    server.on('secureConnection', (socket) => {
      const arrival = this.#arrivalOf(socket)
      // `attach` has ended it already, or it has ended by itself.
      if (socket.destroyed || arrival === null) return this.#failed(arrival, String(socket.authorizationError))
      const shown = context.clientAuth === 'none' ? undefined : socket.getPeerX509Certificate()
      onSecure(arrival, socket, shown === undefined ? null : Uint8Array.from(shown.raw))
    })
  }

  /** Begins the handshake; what has been read ahead of the stream was put back. */
  begin(arrival: Arrival<Socket>): void {
    const socket = arrival.stream
    this.#arrivals.set(socket, arrival)
    socket.prependListener('close', () => {
      if (!arrival.isOver) this.#unexplained.add(arrival)
    })
    // Hundreds may come at once, and each hello costs a third of a millisecond as soon as it is read.
    this.#pace.run(() => {
      if (!socket.destroyed) this.#server.emit('connection', socket)
    })
  }

  #failed(arrival: Arrival<Socket> | null, reason: string): void {
    if (arrival === null) return
    if (this.#unexplained.delete(arrival) || !arrival.isOver) this.#onFailure(arrival, reason)
  }

  close(): void {
    this.#server.close()
  }

  /** Of a TLS stream: of the stream that it wraps. */
  #arrivalOf(socket: Socket): Arrival<Socket> | null {
    const wrapped = (socket as unknown as SocketInside)[parentProperty]
    return wrapped ? (this.#arrivals.get(wrapped) ?? null) : null
  }
}
