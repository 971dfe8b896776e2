/**
 * HTTP upgrades to WebSocket on sockets that somebody else has accepted: path, origin and sub-protocol are judged here, frames by `ws`.
 * Nothing but an upgrade is answered, and compression is never agreed to.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import type { ServerOptions } from 'ws'
import type { Connection, WebSocketOptions } from '../base/ports.ts'
import type { Arrival } from './arrival.ts'
import { WebSocketConnection } from './web-socket-connection.ts'

export interface UpgradeHost {
  readonly listener: string
  readonly onOpen: (arrival: Arrival, connection: Connection) => void
  /** The connection is being closed. */
  readonly onFailure: (arrival: Arrival, reason: string) => void
}

export interface WebSocketUpgrades {
  /** `tls`: the stream below is encrypted. */
  begin(socket: net.Socket, arrival: Arrival, tls?: { readonly certificate: Uint8Array | null }): void
  close(): void
}

// As an import it would bring all of undici along at each start.
const http = process.getBuiltinModule('node:http')

const headerBytesMax = 8192
const headersMax = 64
/** Frames of one message: each is an object while the message is gathered. */
const fragmentsMax = 1024

/** How long a peer may take to answer a close frame. */
const closeMs = 1_000

/** The library is loaded with the first listener that needs it. */
export async function webSocketUpgrades(options: WebSocketOptions, host: UpgradeHost): Promise<WebSocketUpgrades> {
  const { WebSocketServer } = await import('ws')
  const serverOptions: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    closeTimeout: closeMs,
    maxPayload: options.messageBytesMax,
    maxFragments: fragmentsMax,
    handleProtocols: (offered) => options.subProtocols.find((name) => offered.has(name)) ?? false,
  }
  const upgrades = new WebSocketServer(serverOptions)
  const server = http.createServer({ maxHeaderSize: headerBytesMax, keepAlive: false })
  server.maxHeadersCount = headersMax
  const streams = new WeakMap<Duplex, { arrival: Arrival; tls?: { readonly certificate: Uint8Array | null } }>()
  const refuse = (socket: Duplex, status: number, reason: string): void => {
    const stream = streams.get(socket)
    if (stream !== undefined) host.onFailure(stream.arrival, reason)
    const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
    socket.on('error', () => {})
    if (socket.writable) socket.end(head, () => socket.destroy())
    else socket.destroy()
  }
  server.on('request', (request) => refuse(request.socket, 426, 'a request that is no upgrade'))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(socket, 400, `not HTTP (${error.code ?? error.message})`)
  })
  upgrades.on('wsClientError', (error, socket) => refuse(socket, 400, error.message))
  server.on('upgrade', (request, socket, head) => {
    const stream = streams.get(socket)
    if (stream === undefined) return socket.destroy()
    const objection = objectionTo(request, options, stream.tls !== undefined)
    if (objection !== null) return refuse(socket, objection.status, objection.reason)
    upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = stream.arrival.facts(host.listener, stream.tls)
      host.onOpen(stream.arrival, new WebSocketConnection({ webSocket, socket, peer, options }))
    })
  })
  return {
    begin: (socket, arrival, tls) => {
      streams.set(socket, tls === undefined ? { arrival } : { arrival, tls })
      server.emit('connection', socket)
      socket.resume()
    },
    close: () => void server.close(),
  }
}

interface Objection {
  readonly status: number
  readonly reason: string
}

function objectionTo(request: IncomingMessage, options: WebSocketOptions, isEncrypted: boolean): Objection | null {
  const { headers, url = '' } = request
  if (url.split('?', 1)[0] !== options.path) return { status: 404, reason: 'another path' }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  if (!options.subProtocols.some((name) => offered.includes(name))) {
    return { status: 400, reason: `none of the sub-protocols ${options.subProtocols.join(', ')}` } // [MQTT-6.0.0-3]
  }
  if (isAllowed(headers, options.allowedOrigins, isEncrypted)) return null
  return { status: 403, reason: `the origin ${String(headers.origin).slice(0, originShownMax)} is not allowed` }
}

/** Text of clients in a log line. */
const originShownMax = 100

/**
 * Programs name no origin, or the one of this very listener; scripts of web pages name their page's. The latter two look the same to a
 * page whose name was made to point here (DNS rebinding): without TLS to prove the name, only addresses count as our own origin.
 */
function isAllowed(headers: IncomingHttpHeaders, allowed: readonly string[], isEncrypted: boolean): boolean {
  const { origin, host } = headers
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true
  let page: URL
  try {
    page = new URL(origin)
    const own = new URL(`${page.protocol}//${host ?? ''}`)
    if (page.host !== own.host) return false
  } catch {
    return false
  }
  const name = page.hostname.replace(/^\[|\]$/g, '')
  return isEncrypted || name === 'localhost' || net.isIP(name) !== 0
}
