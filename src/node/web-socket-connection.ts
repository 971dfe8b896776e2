/**
 * One WebSocket as the Net port tells it: a stream in binary frames. Where messages begin and end means nothing [MQTT-6.0.0-2]; a text
 * message ends the connection [MQTT-6.0.0-1].
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import {
  type Connection,
  type ConnectionHandlers,
  NetError,
  type PeerFacts,
  type WebSocketOptions,
} from '../base/ports.ts'
import { deliver } from './connection.ts'
import { backlogBytesMark } from './stream-marks.ts'

export interface WebSocketConnectionOptions {
  readonly webSocket: WebSocket
  /** The stream below. */
  readonly socket: Duplex
  readonly peer: PeerFacts
  readonly options: WebSocketOptions
}

/** Close codes of RFC 6455, 7.4.1. */
const closeCodes = { normal: 1000, unsupportedData: 1003, messageTooBig: 1009 } as const
/** Pongs to a peer that does not read are not worth more than this: only the newest ping needs one. */
const pongBacklogBytesMax = 16_384

export class WebSocketConnection implements Connection {
  readonly peer: PeerFacts
  readonly #webSocket: WebSocket
  #handlers: ConnectionHandlers | null = null
  #isStarted = false
  #isClosed = false
  #isPaused = true
  #isDelivering = false
  #error: NetError | null = null
  /** Messages of the last read that came while nobody wanted any: one read and one message hold no more. */
  #waiting: Buffer[] = []
  /** Bytes of the stream below since the last message; null = the peer is trusted. */
  #gatheredBytes: number | null = 0

  constructor({ webSocket, socket, peer, options }: WebSocketConnectionOptions) {
    this.#webSocket = webSocket
    this.peer = peer
    webSocket.binaryType = 'nodebuffer'
    webSocket.on('message', (message, isBinary) => {
      if (isBinary) this.#received(message as Buffer)
      else webSocket.close(closeCodes.unsupportedData, 'binary frames only')
    })
    webSocket.on('ping', (payload) => {
      if (webSocket.bufferedAmount <= pongBacklogBytesMax) webSocket.pong(payload)
    })
    webSocket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= new NetError(error.code ?? error.message, `connection with ${peer.remoteHost}:${peer.remotePort}`)
    })
    webSocket.on('close', () => this.#closed())
    socket.on('drain', () => this.#handlers?.onDrain?.())
    socket.prependListener('data', (bytes: Buffer) => this.#gathered(bytes.length, options.untrustedBytesMax))
    webSocket.pause()
  }

  get backlogBytes(): number {
    return this.#isClosed ? 0 : this.#webSocket.bufferedAmount
  }

  start(handlers: ConnectionHandlers): void {
    if (this.#isStarted) throw new Error('a connection is started once')
    this.#isStarted = true
    this.#handlers = handlers
    if (this.#isClosed && this.#waiting.length === 0) queueMicrotask(() => this.#tellClosed())
    else this.resume()
  }

  send(chunks: readonly Uint8Array[]): boolean {
    const webSocket = this.#webSocket
    if (this.#isClosed || webSocket.readyState !== webSocket.OPEN) return true
    for (const chunk of chunks) if (chunk.length > 0) webSocket.send(chunk, sendFailed)
    return webSocket.bufferedAmount < backlogBytesMark
  }

  pause(): void {
    this.#isPaused = true
    if (!this.#isClosed) this.#webSocket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    // Not within the call: whoever resumes may be in the middle of something.
    process.nextTick(() => this.#deliverWaiting())
  }

  trust(): void {
    this.#gatheredBytes = null
  }

  end(): void {
    this.#waiting = []
    if (this.#isClosed) return this.#tellClosed()
    // The peer's close frame has to be read.
    this.#isPaused = false
    this.#webSocket.close(closeCodes.normal)
    this.#webSocket.resume()
  }

  destroy(): void {
    this.#waiting = []
    this.#webSocket.terminate()
    if (this.#isClosed) this.#tellClosed()
  }

  #received(message: Buffer): void {
    if (this.#gatheredBytes !== null) this.#gatheredBytes = 0
    if (message.length === 0) return
    if (this.#isPaused || this.#waiting.length > 0) this.#waiting.push(message)
    else if (this.#handlers !== null) deliver(this.#handlers, message)
  }

  #deliverWaiting(): void {
    if (this.#isDelivering) return
    this.#isDelivering = true
    while (!this.#isPaused && this.#handlers !== null) {
      const message = this.#waiting.shift()
      if (message === undefined) break
      deliver(this.#handlers, message)
    }
    this.#isDelivering = false
    if (this.#isPaused) return
    if (this.#isClosed) this.#tellClosed()
    else this.#webSocket.resume()
  }

  /** Before it is known who the peer is, a message is gathered up to a bound of its own. */
  #gathered(bytes: number, bytesMax: number): void {
    if (this.#gatheredBytes === null) return
    this.#gatheredBytes += bytes
    if (this.#gatheredBytes <= bytesMax) return
    this.#gatheredBytes = null
    this.#webSocket.close(closeCodes.messageTooBig, 'a message too large for a stranger')
    this.#webSocket.terminate()
  }

  /** What had come before the end is still to be taken. */
  #closed(): void {
    this.#isClosed = true
    if (this.#waiting.length === 0) this.#tellClosed()
  }

  #tellClosed(): void {
    const handlers = this.#handlers
    this.#handlers = null
    handlers?.onClose(this.#error)
  }
}

/** `error` and `close` tell the same. */
function sendFailed(): void {}
