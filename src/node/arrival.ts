/** A connection on its way from `accept` to whoever takes it: what is known of it so far, and how it may end before. */
import type { Socket } from 'node:net'
import type { ListenerPass, Observer, PeerFacts } from '../base/ports.ts'
import { nodeEvents } from './node-events.ts'
import { nodeMetrics } from './node-metrics.ts'
import { plainAddress, type ProxiedPeer } from './proxy-header.ts'

/** Refusals that are logged in a window; the metric counts all. */
const refusalsLoggedMax = 10
const refusalWindowMs = 10_000
/** Clients of a Unix socket are on this machine. */
const localHost = '127.0.0.1'

/** What carries a connection that nobody has taken yet. */
export interface Carrier {
  destroy(): void
}

export class Arrival<Stream extends Carrier = Carrier> {
  /** Who is at the other end; a PROXY header replaces it. */
  peer: ProxiedPeer
  /** What the gate gave; given back when the socket closes. */
  pass: ListenerPass | null = null
  readonly #acceptedMs = performance.now()
  #stream: Stream
  #isOver = false
  #whenOver: (() => void) | null = null
  #wait: NodeJS.Timeout | null = null

  constructor(stream: Stream, peer: ProxiedPeer) {
    this.#stream = stream
    this.peer = peer
  }

  get stream(): Stream {
    return this.#stream
  }

  /** It has been handed over, or is closed. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** It is one of those that are being opened, until it is over. */
  get isOpening(): boolean {
    return this.#whenOver !== null
  }

  /** Another stream carries the connection now. */
  moveTo(stream: Stream): void {
    this.#stream = stream
  }

  /** `then` is called after so long, unless it is over by then. */
  wait(waitMs: number, then: () => void): void {
    this.#wait = setTimeout(then, waitMs)
  }

  /** `whenOver` is called once, when it is handed over or closed. */
  opening(whenOver: () => void): void {
    this.#whenOver = whenOver
  }

  over(): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#wait !== null) clearTimeout(this.#wait)
    this.#whenOver?.()
    this.#whenOver = null
  }

  /** Its stream has closed. */
  closed(): void {
    this.over()
    this.pass?.leave()
  }

  /** Of a TLS stream with the client's certificate, null when it has shown none; of a plain stream without. */
  facts(listener: string, tls?: { readonly certificate: Uint8Array | null }): PeerFacts {
    return {
      ...this.peer,
      listener,
      isEncrypted: tls !== undefined,
      certificate: tls?.certificate ?? null,
      refusal: this.pass?.refusal ?? null,
      openingMs: performance.now() - this.#acceptedMs,
    }
  }
}

/** The arrival of a socket; it hears of the end of that one, and not of one that it has moved away from. */
export function arrivalOf(socket: Socket): Arrival<Socket> {
  const isLocal = socket.remoteAddress === undefined
  const arrival = new Arrival(socket, {
    remoteHost: isLocal ? localHost : plainAddress(socket.remoteAddress),
    remotePort: socket.remotePort ?? 0,
    localHost: isLocal ? localHost : plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
  })
  closesWith(arrival, socket)
  return arrival
}

export function closesWith(arrival: Arrival<Socket>, socket: Socket): void {
  // Once is enough, but `once` takes four times the memory of `on`.
  socket.on('close', () => {
    if (arrival.stream === socket) arrival.closed()
  })
}

/** Why a connection did not get as far as being taken. */
export type ArrivalFault = 'crowded' | 'late' | 'proxy' | 'proxy_source' | 'upgrade'

/** Counts the refusals of one listener, and logs as many as a log can bear. */
export class RefusalReport {
  readonly #listener: string
  readonly #observer: Observer
  #windowEndMs = 0
  #logged = 0

  constructor(listener: string, observer: Observer) {
    this.#listener = listener
    this.#observer = observer
  }

  refused(fault: ArrivalFault, arrival: Arrival, sentence: string): void {
    this.#observer.add(nodeMetrics.connectionsRefused, 1, { listener: this.#listener, reason: fault })
    if (!this.#mayLog()) return
    const client = arrival.peer.remoteHost
    this.#observer.event(nodeEvents.connectionRefused, { listener: this.#listener, client, reason: sentence })
  }

  handshakeFailed(arrival: Arrival, reason: string): void {
    this.#observer.add(nodeMetrics.tlsHandshakesFailed, 1, { listener: this.#listener })
    if (!this.#mayLog()) return
    const client = arrival.peer.remoteHost
    this.#observer.event(nodeEvents.tlsHandshakeFailed, { listener: this.#listener, client, reason })
  }

  #mayLog(): boolean {
    const nowMs = performance.now()
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + refusalWindowMs
      this.#logged = 0
    }
    return ++this.#logged <= refusalsLoggedMax
  }
}
