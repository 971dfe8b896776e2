/** TLS on accepted sockets: certificates are proved before anybody hears of the connection. */
import type { Server, ServerOpts, Socket } from 'node:net'
import tls from 'node:tls'
import type { Arrival } from './arrival.ts'
import type { NodeTlsContext } from './tls-context.ts'
import type { TurnPace } from './turn-pace.ts'

export interface TlsServerOptions {
  readonly context: NodeTlsContext
  readonly socketOptions: ServerOpts
  readonly pace: TurnPace
  /** A finished handshake, with the client's certificate (DER) when it has shown one. */
  readonly onSecure: (arrival: Arrival, socket: tls.TLSSocket, certificate: Uint8Array | null) => void
  readonly onFailure: (arrival: Arrival | null, reason: string) => void
}

/** Handshakes on sockets that somebody else has accepted. */
export class TlsHandshakes {
  readonly #server: Server
  readonly #pace: TurnPace
  readonly #arrivals = new Map<string, Arrival>()

  constructor(options: TlsServerOptions) {
    const { context, onSecure, onFailure } = options
    const server = tls.createServer({ ...options.socketOptions, ...context.serverOptions() })
    this.#server = server
    this.#pace = options.pace
    context.attach(server)
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      onFailure(this.#arrivalOf(socket), error.code ?? error.message)
      socket.destroy()
    })
    server.on('secureConnection', (socket) => {
      const arrival = this.#arrivalOf(socket)
      // `attach` has ended it already, or it has ended by itself.
      if (socket.destroyed || arrival === null) return onFailure(arrival, String(socket.authorizationError))
      const shown = context.clientAuth === 'none' ? undefined : socket.getPeerX509Certificate()
      onSecure(arrival, socket, shown === undefined ? null : Uint8Array.from(shown.raw))
    })
  }

  /** Begins the handshake; what has been read ahead of the stream was put back. */
  begin(arrival: Arrival): void {
    const key = keyOf(arrival.socket)
    this.#arrivals.set(key, arrival)
    arrival.socket.once('close', () => this.#arrivals.delete(key))
    // Hundreds may come at once, and each hello costs a third of a millisecond as soon as it is read.
    this.#pace.run(() => {
      if (!arrival.socket.destroyed) this.#server.emit('connection', arrival.socket)
    })
  }

  close(): void {
    this.#server.close()
  }

  #arrivalOf(socket: Socket): Arrival | null {
    return this.#arrivals.get(keyOf(socket)) ?? null
  }
}

/** The same of a stream and of the TLS stream on it, and of no other that is open. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''} ${socket.localAddress ?? ''}`
}
