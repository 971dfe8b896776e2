/**
 * One accepted connection over TLS, from the first byte of its handshake on: a Connection without the sockets of Node (streams-inside.ts). Clear text comes in
 * the common scratch memory or in the window of whoever has asked for one, as with plain sockets (connection.ts).
 */
import { getSystemErrorName } from 'node:util'
import tls from 'node:tls'
import { type Connection, type ConnectionHandlers, NetError, type PeerFacts } from '../base/ports.ts'
import { Arrival } from './arrival.ts'
import { deliver, scratch } from './connection.ts'
import type { ProxiedPeer } from './proxy-header.ts'
import { backlogBytesMark } from './stream-marks.ts'
import {
  askForName,
  closeHandle,
  endOfInput,
  type PlaceInside,
  type StreamsInside,
  type TcpHandle,
  type TlsHandle,
  type TlsHandleOwner,
} from './streams-inside.ts'
import type { NodeTlsContext } from './tls-context.ts'

/** What the listener is to its streams. */
export interface TlsStreamHost {
  readonly inside: StreamsInside
  readonly context: NodeTlsContext
  /** The handshake has ended, and the client's certificate (DER; null = none) is good. The answer is who it is. */
  readonly onSecure: (stream: TlsStream, certificate: Uint8Array | null) => void
  readonly onFailure: (stream: TlsStream, reason: string) => void
  readonly onClosed: (stream: TlsStream) => void
}

export class TlsStream implements Connection, TlsHandleOwner {
  readonly arrival: Arrival
  readonly #host: TlsStreamHost
  readonly #tcp: TcpHandle
  #tls: TlsHandle | null = null
  #peer: PeerFacts | null = null
  #isSecure = false
  #isClosed = false
  #error: NetError | null = null
  #handlers: ConnectionHandlers | null = null
  #memory: Uint8Array = scratch
  #isPaused = false
  /** Decrypted with what came before a pause: less than one read of the socket holds. */
  #held: Uint8Array[] | null = null
  #isInputOver = false
  /** Leave at the end of this turn, or after what is on its way. */
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #writingBytes = 0
  #isFlushDue = false
  #needsDrain = false
  #isEnding = false
  #isShut = false

  /** Carries an arrival from now on, or is one. */
  constructor(handle: TcpHandle, from: Arrival | ProxiedPeer, host: TlsStreamHost) {
    this.#tcp = handle
    this.#host = host
    this.arrival = from instanceof Arrival ? from : new Arrival(this, from)
    this.arrival.moveTo(this)
  }

  // ------------------------------------------------------------------------------------------------ handshake

  /** `head` was read already. */
  begin(head: Uint8Array | null): void {
    if (this.#isClosed) return
    const { inside, context } = this.#host
    const { clientAuth } = context
    const handle = inside.wrap(this.#tcp, context.current, this)
    this.#tls = handle
    if (clientAuth !== 'none') handle.setVerifyMode(true, clientAuth === 'required')
    if (context.hasNames) askForName(handle)
    handle.useUserBuffer(scratch)
    if (head !== null && head.length > 0) handle.receive(head)
    if (!this.#isClosed) this.#check(handle.readStart())
  }

  onNameAsked(name: string): void {
    if (this.#tls === null || this.#isClosed) return
    const chosen = name === '' ? undefined : this.#host.context.contextFor(name)
    if (chosen !== undefined) this.#tls.sni_context = chosen.context
    this.#tls.certCbDone()
  }

  onHandshakeDone(): void {
    // TLS 1.3 tells of new keys in the same words.
    if (this.#isSecure || this.#isClosed || this.#tls === null) return
    this.#isSecure = true
    const judged = judgeClient(this.#tls, this.#host.context)
    if (typeof judged !== 'string') return this.#host.onSecure(this, judged)
    this.#host.onFailure(this, judged)
    this.destroy()
  }

  onHandleError(error: NodeJS.ErrnoException): void {
    this.#fail(error.code ?? error.message)
  }

  // ------------------------------------------------------------------------------------------------ Connection

  get peer(): PeerFacts {
    if (this.#peer === null) throw new Error('a connection is used before its handshake has ended')
    return this.#peer
  }

  /** Who it turned out to be, before it is handed over. */
  introduce(peer: PeerFacts): void {
    this.#peer = peer
  }

  get backlogBytes(): number {
    return this.#isClosed ? 0 : this.#waitingBytes + this.#writingBytes
  }

  start(handlers: ConnectionHandlers): void {
    if (this.#handlers !== null) throw new Error('a connection is started once')
    this.#handlers = handlers
    if (this.#isClosed) queueMicrotask(() => handlers.onClose(this.#error))
    else if (this.#held !== null) this.#deliverLater()
  }

  pause(): void {
    if (this.#isPaused || this.#isClosed) return
    this.#isPaused = true
    this.#tls?.readStop()
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return
    this.#isPaused = false
    if (this.#held !== null) this.#deliverLater()
    else if (this.#tls !== null) this.#check(this.#tls.readStart())
  }

  /** Bytes are handed on as they come: there is nothing to gather. */
  trust(): void {}

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed || this.#isEnding) return true
    for (const chunk of chunks) {
      if (chunk.length === 0) continue
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
    }
    if (!this.#isFlushDue && this.#writingBytes === 0 && this.#waitingBytes > 0) {
      this.#isFlushDue = true
      // After the microtasks of this callback: answers that became ready together leave together.
      process.nextTick(flush, this)
    }
    this.#needsDrain ||= this.backlogBytes >= backlogBytesMark
    return !this.#needsDrain
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return
    this.#isEnding = true
    if (this.backlogBytes === 0) this.#shutDown()
  }

  destroy(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#held = null
    this.#waiting = []
    closeHandle(this.#tcp)
    // What stands on the handle tells of its end, or nothing stands on it.
    if (this.#tls === null) queueMicrotask(() => this.onHandleClosed())
  }

  // ------------------------------------------------------------------------------------------------ reading

  onRead(countOrError: number): Uint8Array | undefined {
    if (this.#isClosed || countOrError === 0) return undefined
    if (countOrError === endOfInput) this.#onInputOver()
    else if (countOrError < 0) this.#fail(getSystemErrorName(countOrError))
    else this.#onBytes(this.#memory.subarray(0, countOrError))
    if (this.#isClosed) return undefined
    // What is held belongs in front of whatever the window is for.
    const window = this.#held === null ? this.#handlers?.window?.() : null
    const next = window && window.length > 0 ? window : scratch
    if (next === this.#memory) return undefined
    this.#memory = next
    return next
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#handlers !== null && !this.#isPaused && this.#held === null) {
      if (this.#memory === scratch) deliver(this.#handlers, bytes)
      else this.#handlers.onBytes(bytes)
      return
    }
    this.#held ??= []
    this.#held.push(Uint8Array.from(bytes))
  }

  #onInputOver(): void {
    if (!this.#isSecure) return this.#fail('ECONNRESET')
    this.#isInputOver = true
    if (this.#isPaused || this.#held !== null) this.#held ??= []
    else this.#endWithInput()
  }

  /** The other side has said its last word: so do we, when all has left. */
  #endWithInput(): void {
    if (this.#isShut) return this.destroy()
    const sentBefore = this.#tcp.bytesWritten
    this.end()
    // Where our last word left with this very call, to close the socket says the same as to shut its side down first, in one call less.
    if (this.#tcp.bytesWritten > sentBefore && this.#tcp.writeQueueSize === 0) this.destroy()
  }

  #deliverLater(): void {
    process.nextTick(deliverHeld, this)
  }

  deliverHeld(): void {
    while (this.#held !== null && this.#handlers !== null && !this.#isPaused) {
      const bytes = this.#held.shift()
      if (bytes !== undefined) {
        deliver(this.#handlers, bytes)
        continue
      }
      this.#held = null
      if (this.#isInputOver) this.#endWithInput()
      else if (!this.#isClosed && this.#tls !== null) this.#check(this.#tls.readStart())
    }
  }

  // ------------------------------------------------------------------------------------------------ writing

  flush(): void {
    this.#isFlushDue = false
    if (this.#isClosed || this.#tls === null || this.#writingBytes > 0 || this.#waitingBytes === 0) return
    const chunks = this.#waiting
    this.#waiting = []
    this.#writingBytes = this.#waitingBytes
    this.#waitingBytes = 0
    const status = this.#host.inside.write(this.#tls, this, chunks)
    if (status !== 0) this.onWritten(Math.min(status, 0))
  }

  onWritten(status: number): void {
    if (this.#isClosed) return
    if (status < 0) return this.#fail(getSystemErrorName(status))
    this.#writingBytes = 0
    if (this.#waitingBytes > 0) return this.flush()
    if (this.#isEnding) return this.#shutDown()
    if (!this.#needsDrain) return
    this.#needsDrain = false
    this.#handlers?.onDrain?.()
  }

  #shutDown(): void {
    if (this.#tls === null) return this.destroy()
    // Whatever keeps the last word from leaving, nobody waits for it.
    if (this.#host.inside.shutdown(this.#tls, this) !== 0) this.onShutdown()
  }

  onShutdown(): void {
    this.#isShut = true
    if (this.#isInputOver && this.#held === null) this.destroy()
  }

  // ------------------------------------------------------------------------------------------------ end

  #check(status: number): void {
    if (status < 0) this.#fail(getSystemErrorName(status))
  }

  #fail(code: string): void {
    if (this.#isClosed) return
    if (this.#peer !== null) {
      this.#error ??= new NetError(code, `connection with ${this.#peer.remoteHost}:${this.#peer.remotePort}`)
    } else if (!this.#isSecure) this.#host.onFailure(this, code)
    this.destroy()
  }

  onHandleClosed(): void {
    this.arrival.closed()
    this.#host.onClosed(this)
    const handlers = this.#handlers
    this.#handlers = null
    handlers?.onClose(this.#error)
  }
}

function flush(stream: TlsStream): void {
  stream.flush()
}

function deliverHeld(stream: TlsStream): void {
  stream.deliverHeld()
}

/** The client's certificate, null when there is none and may be none, or why it is refused. */
function judgeClient(handle: TlsHandle, { clientAuth }: NodeTlsContext): Uint8Array | null | string {
  if (clientAuth === 'none') return null
  const shown = tls.TLSSocket.prototype.getPeerX509Certificate.call({ _handle: handle } as unknown as tls.TLSSocket)
  const error = handle.verifyError()
  if (shown === undefined) return clientAuth === 'requested' ? null : (error?.code ?? 'UNABLE_TO_GET_ISSUER_CERT')
  return error === null ? Uint8Array.from(shown.raw) : (error.code ?? error.message)
}

/** Both ends of an accepted handle; null when the client has gone already. */
export function placesOf(handle: TcpHandle): { readonly remote: PlaceInside; readonly local: PlaceInside } | null {
  const remote: PlaceInside = {}
  const local: PlaceInside = {}
  return handle.getpeername(remote) === 0 && handle.getsockname(local) === 0 ? { remote, local } : null
}
