/**
 * One TCP stream as the Net port tells it.
 *
 * Plain sockets read into memory of our choice (`onread`). Node asks for the memory of the next read right after the previous one,
 * so an idle connection holds on to what it was given then: that must be the common scratch buffer, which is consumed inside the
 * callback, and never memory that somebody else may fill meanwhile. Only a connection whose handlers ask for a window (a large
 * frame has begun) holds memory of its own. Where `onread` cannot be had, `data` events carry the same bytes. A listener's connections that bring
 * little each are read together (`receive-turn.ts`), and by Node only at their end.
 */
import type net from 'node:net'
import { type Connection, type ConnectionHandlers, NetError, type PeerFacts } from '../base/ports.ts'
import type { ReceivedStream, ReceivePlace, ReceiveTurn } from './receive-turn.ts'
import type { GatheredSender, SendTurn } from './send-turn.ts'
import { handleProperty, type SocketInside } from './socket-inside.ts'

/** Bytes of one read; the memory is common to all connections of the process. */
const scratchBytes = 256 * 1024
export const scratch = Buffer.allocUnsafeSlow(scratchBytes)

/** The reading side of a socket: made before the socket is, bound to the connection afterwards. */
export class SocketReader {
  #handlers: ConnectionHandlers | null = null

  /** What `net.Socket` takes to read into our memory. */
  readonly onread: net.OnReadOpts = {
    buffer: () => this.#memory(),
    callback: (count, memory) => {
      this.#handlers?.onBytes(memory.subarray(0, count))
      return true
    },
  }

  /** Null: nothing is told any more. */
  bind(handlers: ConnectionHandlers | null): void {
    this.#handlers = handlers
  }

  #memory(): Uint8Array {
    const window = this.#handlers?.window?.()
    return window && window.length > 0 ? window : scratch
  }
}

/** More than this goes by the socket: its cost is that of a call, not of the bytes. */
const gatheredBytesMax = 16 * 1024

export interface SocketConnectionOptions {
  readonly socket: net.Socket
  /** Null: the socket reads by `data` events. */
  readonly reader: SocketReader | null
  readonly peer: PeerFacts
  /** Read already, ahead of the socket. */
  readonly head?: Uint8Array | null
  /** Small sends leave together with those of other connections: plain sockets only. */
  readonly sends?: SendTurn | null
  /** It is read together with others, where it has a `reader` for the end. */
  readonly receives?: ReceiveTurn | null
}

export class SocketConnection implements Connection, GatheredSender, ReceivedStream {
  readonly peer: PeerFacts
  readonly #socket: net.Socket
  readonly #reader: SocketReader | null
  #head: Uint8Array | null
  #isStarted = false
  #isClosed = false
  #error: NetError | null = null
  #handlers: ConnectionHandlers | null = null
  #isCorked = false
  readonly #receives: ReceiveTurn | null
  /** Null: the socket reads for itself. */
  #place: ReceivePlace | null = null
  readonly #sends: SendTurn | null
  /** On its way to the kernel at the end of this callback: mostly one chunk, and no list of it. Bound: `gatheredBytesMax`. */
  #gatheredFirst: Uint8Array | null = null
  #gatheredMore: Uint8Array[] | null = null
  #gatheredBytes = 0
  #isWaiting = false
  #descriptor = -1

  constructor(options: SocketConnectionOptions) {
    const { socket } = options
    this.#socket = socket
    this.#sends = options.sends ?? null
    this.#receives = options.receives ?? null
    this.#reader = options.reader
    this.#head = options.head ?? null
    this.peer = options.peer
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= new NetError(error.code ?? error.message, this.#attempt())
    })
    socket.on('close', () => this.#closed())
    socket.on('drain', () => this.#handlers?.onDrain?.())
  }

  get backlogBytes(): number {
    return this.#isClosed ? 0 : this.#gatheredBytes + this.#socket.writableLength
  }

  start(handlers: ConnectionHandlers): void {
    if (this.#isStarted) throw new Error('a connection is started once')
    this.#isStarted = true
    this.#handlers = handlers
    if (this.#isClosed) {
      queueMicrotask(() => handlers.onClose(this.#error))
      return
    }
    const head = this.#head
    this.#head = null
    if (head !== null && head.length > 0) deliver(handlers, head)
    if (this.#isClosed) return
    if (this.#reader) this.#reader.bind(handlers)
    else this.#socket.on('data', (bytes: Buffer) => deliver(handlers, bytes))
    this.#place = this.#receives?.open(this) ?? null
    this.#read()
  }

  /** By the turn, or else by the socket. */
  #read(): void {
    if (this.#place?.resume() === true) return
    this.#place?.close()
    this.#place = null
    this.#socket.resume()
  }

  /** Node forgets the handle in the moment in which it closes it: until then the number, which is dear to ask for, is the same. */
  get readDescriptor(): number {
    const handle = this.#isClosed ? null : (this.#socket as unknown as SocketInside)[handleProperty]
    if (handle === null || handle === undefined) return -1
    if (this.#descriptor < 0) this.#descriptor = handle.fd
    return this.#descriptor
  }

  onReceived(bytes: Uint8Array): void {
    if (this.#handlers !== null) deliver(this.#handlers, bytes)
  }

  onReceivedEnd(): void {
    this.#place = null
    if (!this.#isClosed) this.#socket.resume()
  }

  onReceiveFailed(error: NodeJS.ErrnoException): void {
    this.#place = null
    this.#socket.destroy(error)
  }

  send(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (this.#isClosed || !socket.writable) return true
    if (this.#gathers(chunks)) return true
    this.#writeGathered(0)
    return this.#write(chunks)
  }

  /** Keeps the chunks for the end of this callback; false when they are not few bytes, or others wait in the socket. */
  #gathers(chunks: readonly Uint8Array[]): boolean {
    if (this.#sends === null || this.#socket.writableLength > 0) return false
    let bytes = this.#gatheredBytes
    for (let index = 0; index < chunks.length; index++) bytes += (chunks[index] as Uint8Array).length
    if (bytes > gatheredBytesMax || bytes === 0) return bytes === 0
    if (!this.#isWaiting) this.#sends.add(this)
    this.#isWaiting = true
    for (let index = 0; index < chunks.length; index++) {
      const chunk = chunks[index] as Uint8Array
      if (this.#gatheredFirst === null) this.#gatheredFirst = chunk
      else {
        this.#gatheredMore ??= []
        this.#gatheredMore.push(chunk)
      }
    }
    this.#gatheredBytes = bytes
    return true
  }

  copyGathered(target: Uint8Array, at: number): number {
    if (this.#gatheredFirst === null) return at
    target.set(this.#gatheredFirst, at)
    let end = at + this.#gatheredFirst.length
    if (this.#gatheredMore === null) return end
    for (const chunk of this.#gatheredMore) {
      target.set(chunk, end)
      end += chunk.length
    }
    return end
  }

  get gatheredBytes(): number {
    return this.#gatheredBytes
  }

  /** Asked when it is used: the number of a closed socket may be another's. */
  get descriptor(): number {
    const socket = this.#socket
    return !socket.writable || socket.writableLength > 0 ? -1 : this.readDescriptor
  }

  onGatheredSent(bytes: number): void {
    this.#isWaiting = false
    if (bytes === this.#gatheredBytes) this.#forgetGathered()
    else this.#writeGathered(Math.max(0, bytes))
  }

  #forgetGathered(): void {
    this.#gatheredFirst = null
    this.#gatheredMore = null
    this.#gatheredBytes = 0
  }

  /** By the socket, but for the bytes at the front that have left; it also meets what kept the kernel from taking them. */
  #writeGathered(sentBytes: number): void {
    const first = this.#gatheredFirst
    if (first === null) return
    const more = this.#gatheredMore ?? []
    this.#forgetGathered()
    let sent = sentBytes
    const left: Uint8Array[] = []
    for (const chunk of [first, ...more]) {
      if (sent < chunk.length) left.push(chunk.subarray(sent))
      sent = Math.max(0, sent - chunk.length)
    }
    this.#write(left)
  }

  #write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket
    if (!this.#isCorked) {
      this.#isCorked = true
      socket.cork()
      // After the microtasks of this callback: answers that became ready together leave in one system call.
      process.nextTick(() => {
        this.#isCorked = false
        socket.uncork()
      })
    }
    for (const chunk of chunks) if (chunk.length > 0) socket.write(chunk)
    return !socket.writableNeedDrain
  }

  pause(): void {
    if (this.#isClosed) return
    if (this.#place === null) this.#socket.pause()
    else this.#place.pause()
  }

  resume(): void {
    if (!this.#isClosed) this.#read()
  }

  /** Bytes are handed on as they come: there is nothing to gather. */
  trust(): void {}

  end(): void {
    if (this.#isClosed) return
    this.#writeGathered(0)
    this.#socket.end()
  }

  destroy(): void {
    this.#forgetGathered()
    this.#place?.close()
    this.#socket.destroy()
  }

  #closed(): void {
    this.#isClosed = true
    this.#forgetGathered()
    this.#place?.close()
    const handlers = this.#handlers
    this.#handlers = null
    this.#reader?.bind(null)
    handlers?.onClose(this.#error)
  }

  #attempt(): string {
    return `connection with ${this.peer.remoteHost}:${this.peer.remotePort}`
  }
}

/** Bytes that Node owns, put into the handlers' windows where they ask for one. */
export function deliver(handlers: ConnectionHandlers, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const window = handlers.window?.()
    const target = window && window.length > 0 ? window : null
    const isWhole = at === 0 && (target === null || target.length >= bytes.length)
    const part = isWhole ? bytes : bytes.subarray(at, target ? at + target.length : bytes.length)
    target?.set(part)
    at += part.length
    handlers.onBytes(target ? target.subarray(0, part.length) : part)
  }
}
