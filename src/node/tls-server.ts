/** A TLS listener: handshakes that are bounded in number and time, certificates that are proved before anybody hears of the connection. */
import type { Server, ServerOpts, Socket } from 'node:net'
import tls from 'node:tls'
import type { Observer } from '../base/ports.ts'
import { nodeEvents } from './node-events.ts'
import { nodeMetrics } from './node-metrics.ts'
import type { NodeTlsContext } from './tls-context.ts'

/** Handshakes of one listener at a time: each costs some 50 KiB and milliseconds of a core, and nobody knows the client yet. */
const handshakesMax = 256
/** Failures that are logged in a window; the metric counts all. */
const failuresLoggedMax = 10
const failureWindowMs = 10_000

export interface TlsServerOptions {
  readonly name: string
  readonly context: NodeTlsContext
  readonly observer: Observer
  readonly socketOptions: ServerOpts
  /** A finished handshake, with the client's certificate (DER) when it has shown one. */
  readonly onSecure: (socket: tls.TLSSocket, certificate: Uint8Array | null) => void
  /** The stream below, before the handshake. */
  readonly onRaw: (socket: Socket) => void
}

export function createTlsServer(options: TlsServerOptions): Server {
  const { context } = options
  const server = tls.createServer({ ...options.socketOptions, ...context.serverOptions() })
  context.attach(server)
  const handshakes = new Set<string>()
  const report = failureReport(options)
  server.prependListener('connection', (socket: Socket) => {
    options.onRaw(socket)
    const peer = peerOf(socket)
    if (handshakes.size >= handshakesMax) {
      report(socket, `${handshakesMax} handshakes are under way`)
      socket.destroy()
      return
    }
    handshakes.add(peer)
    socket.once('close', () => handshakes.delete(peer))
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    report(socket, error.code ?? error.message)
    socket.destroy()
  })
  server.on('secureConnection', (socket) => {
    handshakes.delete(peerOf(socket))
    // `attach` has ended it already.
    if (socket.destroyed) return report(socket, String(socket.authorizationError))
    const shown = context.clientAuth === 'none' ? undefined : socket.getPeerX509Certificate()
    options.onSecure(socket, shown === undefined ? null : Uint8Array.from(shown.raw))
  })
  return server
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`
}

function failureReport({ name, observer }: TlsServerOptions): (socket: Socket, reason: string) => void {
  let windowEndMs = 0
  let logged = 0
  return (socket, reason) => {
    observer.add(nodeMetrics.tlsHandshakesFailed, 1, { listener: name })
    const nowMs = performance.now()
    if (nowMs >= windowEndMs) {
      windowEndMs = nowMs + failureWindowMs
      logged = 0
    }
    if (++logged > failuresLoggedMax) return
    const client = socket.remoteAddress ?? 'a client that has gone'
    observer.event(nodeEvents.tlsHandshakeFailed, { listener: name, client, reason })
  }
}
