/**
 * One end of a simulated byte stream.
 *
 * Bytes pass the sender's backlog (by reference, as the port promises), the wire (copied, in seeded pieces, in order) and the
 * receiver's buffer. A receiver that pauses fills its buffer, then the wire, then the sender's backlog. The scratch buffer is
 * poisoned after each call, so that a receiver that keeps it is found out.
 */
import { type Connection, type ConnectionHandlers, NetError, type PeerFacts } from '../../src/base/ports.ts'
import type { SimEvent } from './event-heap.ts'
import type { NetProcess } from './sim-network.ts'

/** Bytes that fit between a sender and the reader of the other side. */
const kernelBytesMax = 128 * 1024
/** Backlog above which `send` answers false. */
const backlogMark = 256 * 1024
const poison = 0xdb

export interface StreamWorld {
  readonly nowMs: number
  readonly retransmitTimeoutMs: number
  /** The common memory that reads without a window land in. */
  readonly scratch: Uint8Array
  at(atMs: number, label: string, task: () => void): SimEvent
  delayMs(from: NetProcess, to: NetProcess): number | null
  opened(connection: SimConnection): void
  closed(connection: SimConnection): void
}

/** What travels: bytes, the orderly end, or a reset. */
type Segment = Uint8Array | 'end' | 'reset'

export class SimConnection implements Connection {
  readonly peer: PeerFacts
  readonly process: NetProcess
  other: SimConnection | null = null
  /** Told once, when this end is closed or its process gone. */
  whenClosed: (() => void) | null = null
  readonly #world: StreamWorld
  #handlers: ConnectionHandlers | null = null
  #isPaused = false
  #isClosed = false
  #closeError: Error | null = null
  /** The process of this end is gone; the kernel, or nothing, answers for it. */
  #isAbandoned = false
  #needsDrain = false
  #isEnding = false
  #hasSentEnd = false
  #peerHasEnded = false

  // Sending.
  readonly #backlog: Uint8Array[] = []
  #backlogBytes = 0
  #transmitPending = false
  #lastArrivalMs = 0
  readonly #wire: Segment[] = []
  /** Arrivals that cannot happen at present. */
  #blockedArrivals = 0
  #blockRound = 0
  #kernelBytes = 0

  // Receiving.
  readonly #received: (Uint8Array | 'end')[] = []
  #window: Uint8Array | null = null
  #deliveryPending = false

  constructor(world: StreamWorld, process: NetProcess, peer: PeerFacts) {
    this.#world = world
    this.process = process
    this.peer = peer
    world.opened(this)
  }

  /** Ties the two ends together. */
  pairWith(other: SimConnection): void {
    this.other = other
    other.other = this
  }

  get backlogBytes(): number {
    return this.#backlogBytes
  }

  start(handlers: ConnectionHandlers): void {
    if (this.#handlers) throw new Error('a connection is started once')
    this.#handlers = handlers
    if (this.#isClosed) this.#tellClosed()
    else this.#deliverSoon()
  }

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed || this.#isEnding) return true
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      this.#backlog.push(chunk)
      this.#backlogBytes += chunk.length
    }
    this.#transmitSoon()
    if (this.#backlogBytes <= backlogMark) return true
    this.#needsDrain = true
    return false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#deliverSoon()
  }

  trust(): void {}

  end(): void {
    this.#isEnding = true
    this.#transmitSoon()
  }

  destroy(): void {
    if (this.#isClosed) return
    this.#travel(this.#received.length > 0 ? 'reset' : 'end')
    this.#close(null)
  }

  /** Both ends fail with this code. */
  fail(code: string): void {
    const other = this.other
    this.#close(new NetError(code, this.#attempt()))
    if (other) other.#close(new NetError(code, other.#attempt()))
  }

  /** The process has ended; with `kernelLives` the kernel tells the other side. */
  abandon(kernelLives: boolean): void {
    if (this.#isAbandoned) return
    this.#isAbandoned = true
    if (kernelLives && !this.#isClosed) this.#travel(this.process.prng.chance(0.5) ? 'reset' : 'end')
    this.#isClosed = true
    this.#backlog.length = 0
    this.#forgetWhenQuiet()
  }

  /** The way may be free again. */
  resumeParked(): void {
    const blocked = this.#blockedArrivals
    this.#blockedArrivals = 0
    for (let i = 0; i < blocked; i++) this.#scheduleArrival()
    this.#forgetWhenQuiet()
  }

  // ---- sending

  #transmitSoon(): void {
    if (this.#transmitPending || this.#isClosed) return
    this.#transmitPending = true
    this.process.at(this.#world.nowMs, 'transmit', () => this.#transmit())
  }

  #transmit(): void {
    this.#transmitPending = false
    if (this.#isClosed) return
    const { prng } = this.process
    while (this.#backlogBytes > 0 && this.#kernelBytes < kernelBytesMax) {
      const size = Math.min(
        this.#backlogBytes,
        kernelBytesMax - this.#kernelBytes,
        prng.pick([1, 100, 1460, 16_384, 65_536]),
      )
      this.#kernelBytes += size
      this.#travel(this.#takeBacklog(size))
    }
    if (this.#backlogBytes > 0) return
    if (this.#isEnding && !this.#hasSentEnd) {
      this.#hasSentEnd = true
      this.#travel('end')
      if (this.#peerHasEnded) return this.#close(null)
    }
    if (!this.#needsDrain) return
    this.#needsDrain = false
    this.#handlers?.onDrain?.()
  }

  #takeBacklog(size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    for (let done = 0; done < size; ) {
      const first = this.#backlog[0] as Uint8Array
      const count = Math.min(first.length, size - done)
      bytes.set(first.subarray(0, count), done)
      done += count
      if (count === first.length) this.#backlog.shift()
      else this.#backlog[0] = first.subarray(count)
    }
    this.#backlogBytes -= size
    return bytes
  }

  /** Puts a segment on the wire. An arrival takes the oldest segment, so that the order never changes. */
  #travel(segment: Segment): void {
    this.#wire.push(segment)
    this.#scheduleArrival()
  }

  #scheduleArrival(): void {
    const other = this.other as SimConnection
    const delayMs = this.#blockedArrivals > 0 ? null : this.#world.delayMs(this.process, other.process)
    if (delayMs === null) return this.#block()
    const arrivalMs = Math.max(this.#lastArrivalMs, this.#world.nowMs + delayMs)
    this.#lastArrivalMs = arrivalMs
    this.#world.at(arrivalMs, `${this.process.host.name} to ${other.process.host.name}`, () => {
      if (this.#blockedArrivals > 0 || this.#world.delayMs(this.process, other.process) === null) return this.#block()
      const segment = this.#wire.shift()
      if (segment !== undefined) other.#arrive(segment)
    })
  }

  /** The way is cut: the arrival happens when it is free again, or the sender gives up. */
  #block(): void {
    this.#blockedArrivals++
    if (this.#blockedArrivals > 1) return
    const round = ++this.#blockRound
    this.#world.at(this.#world.nowMs + this.#world.retransmitTimeoutMs, 'retransmit timeout', () => {
      if (this.#blockedArrivals === 0 || this.#blockRound !== round) return
      this.#blockedArrivals = 0
      this.#wire.length = 0
      this.#close(new NetError('ETIMEDOUT', this.#attempt()))
      this.#forgetWhenQuiet()
    })
  }

  // ---- receiving

  #arrive(segment: Segment): void {
    if (this.#isClosed) {
      // The kernel of a host whose process is gone, or that closed this end, refuses bytes.
      if (typeof segment !== 'string') this.#travel('reset')
      return
    }
    if (segment === 'reset') return this.#close(new NetError('ECONNRESET', this.#attempt()))
    this.#received.push(segment)
    this.#deliverSoon()
  }

  #deliverSoon(): void {
    if (this.#deliveryPending || this.#isPaused || this.#isClosed) return
    if (!this.#handlers || this.#received.length === 0) return
    this.#deliveryPending = true
    this.process.at(this.#world.nowMs, 'deliver', () => this.#deliver())
  }

  /** One read: at most one segment, at most what the memory at hand takes. */
  #deliver(): void {
    this.#deliveryPending = false
    const handlers = this.#handlers
    const segment = this.#received[0]
    if (this.#isPaused || this.#isClosed || !handlers || segment === undefined) return
    if (segment === 'end') return this.#peerEnded()
    const target = this.#window ?? this.#world.scratch
    const count = Math.min(segment.length, target.length)
    target.set(segment.subarray(0, count))
    if (count === segment.length) this.#received.shift()
    else this.#received[0] = segment.subarray(count)
    if (this.other) this.other.#acknowledged(count)
    handlers.onBytes(target.subarray(0, count))
    if (target === this.#world.scratch) target.fill(poison, 0, count)
    if (this.#isClosed) return
    const window = handlers.window?.() ?? null
    this.#window = window && window.length > 0 ? window : null
    this.#deliverSoon()
  }

  /** The reader took bytes: there is room again. */
  #acknowledged(count: number): void {
    this.#kernelBytes -= count
    if (this.#backlogBytes > 0) this.#transmitSoon()
  }

  /** The peer will send no more: what is queued still goes out, then this end closes too. */
  #peerEnded(): void {
    this.#received.shift()
    this.#peerHasEnded = true
    this.#isEnding = true
    if (this.#hasSentEnd) this.#close(null)
    else this.#transmitSoon()
  }

  #close(error: Error | null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#backlog.length = 0
    this.#backlogBytes = 0
    this.#received.length = 0
    this.#closeError = error
    this.#tellGate()
    if (this.#handlers) this.#tellClosed()
    this.#forgetWhenQuiet()
  }

  #tellGate(): void {
    this.whenClosed?.()
    this.whenClosed = null
  }

  /** Also one that was closed before anybody took it is told of, once it has been taken. */
  #tellClosed(): void {
    const handlers = this.#handlers
    this.process.at(this.#world.nowMs, 'closed', () => handlers?.onClose(this.#closeError))
  }

  /** An end stays known to the network while something of it waits for the way to be free. */
  #forgetWhenQuiet(): void {
    if (this.#isClosed && this.#blockedArrivals === 0) this.#world.closed(this)
  }

  #attempt(): string {
    return `connection with ${this.peer.remoteHost}:${this.peer.remotePort}`
  }
}
