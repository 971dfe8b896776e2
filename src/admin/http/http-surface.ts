/**
 * The operator's HTTP listener: health, metrics and status. It begins as a bare `node:http` server; the framework (fastify) is
 * loaded at the first request, so that an appliance nobody asks costs neither its memory nor its start time.
 *
 * It listens on the loopback by default, and asks for names where it is told to (gate.ts).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Server as TlsServer, TlsOptions } from 'node:tls'
import { asError } from '../../base/errors.ts'
import type { ListenAddress, Observer } from '../../base/ports.ts'
import { NetError } from '../../base/ports.ts'
import type { Access } from '../access.ts'
import type { Operations } from '../operations.ts'
import type { HttpAuthentication } from './gate.ts'
import { httpErrors } from './http-errors.ts'
import { httpEvents } from './http-events.ts'

// As an import it would bring all of undici along at each start.
const { createServer } = process.getBuiltinModule('node:http')

/** Enough for a Prometheus, a few probes and a browser; a scanner gets no more. */
const connectionCountMax = 128
const headerBytesMax = 16_384
/** Our paths take small bodies or none; a request that is not complete by then is not one. */
const requestMs = 10_000
const idleMs = 5_000
/** How long a stop waits for requests under way; main.ts gives the whole drain three. */
const closeMs = 1_000

export interface HttpSurfaceOptions {
  /** Null until the appliance exists: then `/health/live` answers 200, `/health/ready` 503. */
  readonly operations: () => Operations | null
  /** The text of `/metrics`. */
  readonly metricsText: () => Promise<string>
  readonly observer: Observer
  /** Who may ask; without it everybody may. */
  readonly authentication?: HttpAuthentication
  /** Null until the appliance knows its users. */
  readonly access?: () => Access | null
  /** The certificate of the listener; omitted or null = plain HTTP. */
  readonly tls?: HttpTls | null
}

/** Certificates that may be replaced while the server runs. */
export interface HttpTls {
  serverOptions(): TlsOptions
  attach(server: TlsServer): void
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export class HttpSurface {
  readonly #options: HttpSurfaceOptions
  readonly #server: Server
  #handler: Promise<RequestHandler> | null = null

  constructor(options: HttpSurfaceOptions) {
    this.#options = options
    const bounds = {
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: idleMs,
    }
    const answer: RequestHandler = (request, response) => this.#answer(request, response)
    const tls = options.tls ?? null
    if (tls === null) this.#server = createServer(bounds, answer)
    else {
      const server = createSecureServer({ ...bounds, ...tls.serverOptions() }, answer)
      tls.attach(server)
      this.#server = server
    }
    this.#server.maxConnections = connectionCountMax
    this.#server.on('clientError', refuseMalformed)
  }

  /** Rejects with a NetError when the address cannot be had. Resolves with the port that it got. */
  listen(address: ListenAddress): Promise<ListenAddress> {
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException) =>
        reject(new NetError(error.code ?? 'EIO', `listen for http on ${address.host}:${address.port}`))
      this.#server.once('error', fail)
      this.#server.listen({ host: address.host, port: address.port }, () => {
        this.#server.off('error', fail)
        const bound = this.#server.address() as AddressInfo
        resolve({ host: address.host, port: bound.port })
      })
    })
  }

  /** Stops listening, closes idle connections, lets answers under way finish for a second: half a request ends nothing. */
  close(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve()
    return new Promise((resolve) => {
      const cut = setTimeout(() => this.#server.closeAllConnections(), closeMs)
      this.#server.close(() => {
        clearTimeout(cut)
        resolve()
      })
      this.#server.closeIdleConnections()
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#handler ??= import('./routes.ts').then(({ buildHandler }) => buildHandler(this.#options))
    this.#handler.then(
      (handle) => handle(request, response),
      (thrown: unknown) => {
        const error = asError(thrown)
        this.#handler = null
        const { method = '', url = '' } = request
        this.#options.observer.event(httpEvents.requestFailed, { method, path: url, error: error.message })
        response.writeHead(500, { 'content-type': 'application/json', connection: 'close' })
        response.end(JSON.stringify({ error: httpErrors.failed.code, message: error.message }))
      },
    )
  }
}

function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET' || /^ERR_(?:SSL|TLS)_/.test(error.code ?? '')) {
    socket.destroy()
    return
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  const message = httpErrors.malformed.sentence.replace('{detail}', error.code ?? error.message)
  const body = JSON.stringify({ error: httpErrors.malformed.code, message, remedy: httpErrors.malformed.remedy })
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
