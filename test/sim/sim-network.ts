/**
 * The network between simulated hosts: who listens where, which links are cut, and the ports of the processes.
 * Streams themselves are in sim-stream.ts.
 */
import {
  type Connection,
  type ListenAddress,
  type Listener,
  type ListenerGate,
  type ListenerPass,
  type ListenOptions,
  type ListenPlace,
  type Net,
  NetError,
  type PeerFacts,
} from '../../src/base/ports.ts'
import type { SimEvent } from './event-heap.ts'
import type { SimHost } from './host.ts'
import type { Prng } from './prng.ts'
import { SimConnection, type StreamWorld } from './sim-stream.ts'
import type { SimWorld } from './world.ts'

/** The process that a net port belongs to. */
export interface NetProcess {
  readonly host: SimHost
  readonly prng: Prng
  isAlive(): boolean
  at(atMs: number, label: string, task: () => void): SimEvent
}

interface SimListener {
  readonly name: string
  readonly process: NetProcess
  readonly onConnection: (connection: Connection) => void
  readonly gate: ListenerGate | null
}

interface Link {
  isCut: boolean
  latencyMs: readonly [number, number]
}

const firstFreePort = 40_000

export class SimNetwork implements StreamWorld {
  /** One-way delay of a segment between two hosts, unless the link has its own; within a host a tenth of it. */
  latencyMs: readonly [number, number] = [0.1, 1.5]
  /** What listeners are told that handshakes below a connection have taken. */
  openingMs = 0
  /** What stands under a URL; any other is refused. */
  readonly documents = new Map<string, Uint8Array>()
  /** How long a sender waits for a silent peer before it gives up. */
  retransmitTimeoutMs = 120_000
  /** A Buffer, as the real one is: its `slice` is a view, and who keeps one keeps poison. */
  readonly scratch = Buffer.alloc(64 * 1024)
  readonly #world: SimWorld
  readonly #listeners = new Map<string, SimListener>()
  readonly #links = new Map<string, Link>()
  readonly #connections = new Set<SimConnection>()
  #nextPort = firstFreePort

  constructor(world: SimWorld) {
    this.#world = world
  }

  // ---- what tests do

  /** Nothing gets through between the two hosts any more; what was on its way waits. */
  cut(left: string, right: string): void {
    this.#world.note(`link ${left} ${right} is cut`)
    this.#link(left, right).isCut = true
  }

  /** The link works again and what waited goes on. */
  heal(left: string, right: string): void {
    this.#world.note(`link ${left} ${right} works again`)
    this.#link(left, right).isCut = false
    this.#resumeParked()
  }

  setLatency(left: string, right: string, latencyMs: readonly [number, number]): void {
    this.#link(left, right).latencyMs = latencyMs
  }

  /** Every open connection between the two hosts ends with ECONNRESET on both sides. */
  reset(left: string, right: string): void {
    for (const connection of [...this.#connections]) {
      const ends = [connection.process.host.name, connection.other?.process.host.name]
      if (ends.includes(left) && ends.includes(right)) connection.fail('ECONNRESET')
    }
  }

  // ---- what hosts do

  portFor(process: NetProcess): Net {
    return {
      listen: async (name, place, onConnection, options = {}) =>
        this.#listen({ name, process, onConnection, gate: options.gate ?? null }, simulated(place, options)),
      tlsContext: () => {
        throw new NetError('ENOTSUP', 'the simulated network has no TLS')
      },
      connect: async (address, timeoutMs, tls = null) => {
        if (tls !== null) throw new NetError('ENOTSUP', 'the simulated network has no TLS')
        return this.#connect(process, address, timeoutMs)
      },
      fetchDocument: async ({ url }) => {
        const document = this.documents.get(url)
        if (document === undefined) throw new NetError('ECONNREFUSED', `GET ${url}`)
        return document
      },
    }
  }

  /** The kernel closes what the process had open: peers see an end or a reset. */
  processEnded(host: SimHost): void {
    this.#forgetListeners(host)
    for (const connection of [...this.#connections]) if (connection.process.host === host) connection.abandon(true)
  }

  /** Nothing is sent to anybody: peers find out by themselves. */
  powerLost(host: SimHost): void {
    this.#forgetListeners(host)
    for (const connection of [...this.#connections]) if (connection.process.host === host) connection.abandon(false)
  }

  powerReturned(host: SimHost): void {
    if (host.hasPower) this.#resumeParked()
  }

  // ---- what streams ask

  get nowMs(): number {
    return this.#world.nowMs
  }

  at(atMs: number, label: string, task: () => void): SimEvent {
    return this.#world.at(atMs, label, task)
  }

  /** One-way delay of the next segment, or null when nothing gets through. */
  delayMs(from: NetProcess, to: NetProcess): number | null {
    if (!to.host.hasPower) return null
    if (from.host === to.host) return from.prng.real(this.latencyMs[0], this.latencyMs[1]) / 10
    const link = this.#link(from.host.name, to.host.name)
    return link.isCut ? null : from.prng.real(link.latencyMs[0], link.latencyMs[1])
  }

  opened(connection: SimConnection): void {
    this.#connections.add(connection)
  }

  closed(connection: SimConnection): void {
    this.#connections.delete(connection)
  }

  // ---- listen and connect

  #listen(listener: SimListener, address: ListenAddress): Promise<Listener> {
    const { process } = listener
    return new Promise((resolve, reject) => {
      process.at(this.nowMs, 'listen', () => {
        const port = address.port === 0 ? this.#nextPort++ : address.port
        const key = `${process.host.name}:${port}`
        if (this.#listeners.has(key)) {
          reject(new NetError('EADDRINUSE', `listen on ${address.host}:${port}`))
          return
        }
        this.#listeners.set(key, listener)
        const close = async (): Promise<void> => {
          if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
        }
        resolve({ host: address.host, port, path: null, close })
      })
    })
  }

  #connect(process: NetProcess, address: ListenAddress, timeoutMs: number): Promise<Connection> {
    const attempt = `connect to ${address.host}:${address.port}`
    return new Promise((resolve, reject) => {
      const fail = (code: string, delayMs: number): void => {
        process.at(this.nowMs + delayMs, 'connect fails', () => reject(new NetError(code, attempt)))
      }
      const target = this.#resolve(process.host, address.host)
      if (!target) return fail('ENOTFOUND', 1)
      const there = target.hasPower ? this.#delayBetween(process, target) : null
      if (there === null || there > timeoutMs) return fail('ETIMEDOUT', timeoutMs)
      this.#world.at(this.nowMs + there, `syn ${process.host.name} to ${target.name}:${address.port}`, () => {
        if (!process.isAlive()) return
        const listener = this.#listeners.get(`${target.name}:${address.port}`)
        if (!listener || !listener.process.isAlive()) return fail('ECONNREFUSED', there)
        const near = this.#openPair(process, listener, address)
        process.at(this.nowMs + there, 'connected', () => resolve(near))
      })
    })
  }

  #openPair(process: NetProcess, listener: SimListener, address: ListenAddress): SimConnection {
    const remotePort = this.#nextPort++
    const nearPeer: PeerFacts = {
      remoteHost: listener.process.host.address,
      remotePort: address.port,
      localHost: process.host.address,
      localPort: remotePort,
      listener: 'outbound',
      isEncrypted: false,
      certificate: null,
      refusal: null,
      openingMs: 0,
    }
    const farPeer: PeerFacts = {
      remoteHost: process.host.address,
      remotePort,
      localHost: listener.process.host.address,
      localPort: address.port,
      listener: listener.name,
      isEncrypted: false,
      certificate: null,
      refusal: null,
      openingMs: 0,
    }
    const near = new SimConnection(this, process, nearPeer)
    const pass = listener.gate?.enter(farPeer.remoteHost)
    const far = new SimConnection(this, listener.process, {
      ...farPeer,
      refusal: pass?.refusal ?? null,
      openingMs: this.openingMs,
    })
    near.pairWith(far)
    if (pass === null) far.destroy()
    else this.#accept(listener, far, pass ?? null)
    return near
  }

  #accept(listener: SimListener, far: SimConnection, pass: ListenerPass | null): void {
    far.whenClosed = () => pass?.leave()
    listener.process.at(this.nowMs + (pass?.waitMs ?? 0), 'accept', () => listener.onConnection(far))
  }

  #delayBetween(process: NetProcess, target: SimHost): number | null {
    return this.delayMs(process, { ...process, host: target })
  }

  #resolve(from: SimHost, name: string): SimHost | undefined {
    if (name === 'localhost' || name === '127.0.0.1' || name === '::1') return from
    return this.#world.findHost(name)
  }

  #link(left: string, right: string): Link {
    const key = left < right ? `${left} ${right}` : `${right} ${left}`
    let link = this.#links.get(key)
    if (!link) {
      link = { isCut: false, latencyMs: this.latencyMs }
      this.#links.set(key, link)
    }
    return link
  }

  #forgetListeners(host: SimHost): void {
    for (const [key, listener] of this.#listeners) if (listener.process.host === host) this.#listeners.delete(key)
  }

  #resumeParked(): void {
    for (const connection of [...this.#connections]) connection.resumeParked()
  }
}

/** What stands in front of a stream is the business of the real port. */
function simulated(place: ListenPlace, { tls, webSocket, proxyProtocol }: ListenOptions): ListenAddress {
  const isPlain = !tls && !webSocket && !proxyProtocol
  if (isPlain && !('path' in place)) return place
  throw new NetError('ENOTSUP', 'the simulated network has plain sockets only')
}
