/**
 * The streams below Node's sockets: a TCP handle, and the TLS stream on top of it. Two sockets around them (`net.Socket`, `tls.TLSSocket`) take a fifth
 * of a handshake's processor time. Node promises none of this: `streamsInside` looks whether all of it is there, and who gets null takes the sockets.
 */
import type { Server } from 'node:net'
import type tls from 'node:tls'
import { handleProperty } from './socket-inside.ts'

/** What a handle of the system calls; a number is 0 or -errno. */
export interface TcpHandle {
  /** The TLS stream on top: it lives as long as somebody knows it. */
  above: TlsHandle | null
  getpeername(place: PlaceInside): number
  getsockname(place: PlaceInside): number
  /** Bytes that were handed to the handle, and those of them that the kernel has not taken yet. */
  readonly bytesWritten: number
  readonly writeQueueSize: number
  close(whenClosed: (this: TcpHandle) => void): void
}

export interface PlaceInside {
  address?: string
  port?: number
}

/** A TLS stream; it calls its `on...`, which may stay undefined but for `onread` and `onerror`. */
export interface TlsHandle {
  stream: TlsHandleOwner
  onread: (this: TlsHandle) => Uint8Array | undefined
  onerror: (this: TlsHandle, error: NodeJS.ErrnoException) => void
  onhandshakedone: (this: TlsHandle) => void
  oncertcb: (this: TlsHandle, asked: { readonly servername?: string }) => void
  sni_context: unknown
  useUserBuffer(bytes: Uint8Array): void
  /** As if they had come from below. */
  receive(bytes: Uint8Array): void
  readStart(): number
  readStop(): number
  writeBuffer(request: WriteInside, bytes: Uint8Array): number
  writev(request: WriteInside, chunks: readonly Uint8Array[], areBytes: true): number
  /** 1: it is done already. */
  shutdown(request: RequestInside): number
  destroySSL(): void
  setVerifyMode(asksForCertificate: boolean, refusesWithout: boolean): void
  verifyError(): NodeJS.ErrnoException | null
  enableCertCb(): void
  certCbDone(): void
}

export interface TlsHandleOwner {
  /** Answers where the next bytes go, undefined = where these went. */
  onRead(countOrError: number): Uint8Array | undefined
  onHandshakeDone(): void
  onHandleError(error: NodeJS.ErrnoException): void
  onNameAsked(name: string): void
  onWritten(status: number): void
  onShutdown(): void
  onHandleClosed(): void
}

export interface RequestInside {
  stream: TlsHandleOwner
  oncomplete: (this: RequestInside, status: number) => void
}

export interface WriteInside extends RequestInside {
  /** Kept until they are sent. */
  chunks: readonly Uint8Array[]
}

interface StreamWrapBinding {
  readonly WriteWrap: new () => WriteInside
  readonly ShutdownWrap: new () => RequestInside
  readonly streamBaseState: Int32Array
  readonly kReadBytesOrError: number
  readonly kLastWriteWasAsync: number
}

interface TlsWrapBinding {
  wrap(handle: TcpHandle, context: unknown, isServer: boolean, isBusy: boolean): TlsHandle
}

/** The number that Node's streams tell instead of a count at the end. */
export const endOfInput = -4095

/** No listener of events: Node calls the property of this name. */
const errorProperty = 'onerror'

export class StreamsInside {
  readonly #streams: StreamWrapBinding
  readonly #tls: TlsWrapBinding
  readonly #state: Int32Array
  readonly #onRead: TlsHandle['onread']

  constructor(streams: StreamWrapBinding, tlsWrap: TlsWrapBinding) {
    this.#streams = streams
    this.#tls = tlsWrap
    const { streamBaseState: state, kReadBytesOrError: at } = streams
    this.#state = state
    this.#onRead = function onRead() {
      return this.stream.onRead(state[at] as number)
    }
  }

  /** The server's side of TLS on an accepted handle; nothing is read yet. */
  wrap(handle: TcpHandle, context: tls.SecureContext, owner: TlsHandleOwner): TlsHandle {
    const stream = this.#tls.wrap(handle, context.context, true, false)
    stream.stream = owner
    stream.onread = this.#onRead
    stream[errorProperty] = onError
    stream.onhandshakedone = onHandshakeDone
    handle.above = stream
    return stream
  }

  /** Answers 0 with `onWritten` later, 1 when it has left already, or -errno. */
  write(handle: TlsHandle, owner: TlsHandleOwner, chunks: readonly Uint8Array[]): number {
    const request = new this.#streams.WriteWrap()
    request.stream = owner
    request.oncomplete = onWritten
    request.chunks = chunks
    const [first] = chunks
    const isOne = chunks.length === 1 && first !== undefined
    const status = isOne ? handle.writeBuffer(request, first) : handle.writev(request, chunks, true)
    if (status !== 0) return Math.min(status, -1)
    return this.#state[this.#streams.kLastWriteWasAsync] === 0 ? 1 : 0
  }

  /** Says that nothing more comes: close_notify, then the end of the stream. As `write` answers. */
  shutdown(handle: TlsHandle, owner: TlsHandleOwner): number {
    const request = new this.#streams.ShutdownWrap()
    request.stream = owner
    request.oncomplete = onShutdown
    return handle.shutdown(request)
  }

  /**
   * Has a server that listens hand its connections on before a socket is made of them; false when it has nothing to hand on. None of them waits to fill a
   * segment, and all are asked for a sign of life (first after `keepAliveSeconds`): on Linux what is accepted has these options of the socket that listens.
   */
  takeHandles(server: Server, keepAliveSeconds: number, onHandle: (handle: TcpHandle) => void): boolean {
    const listening = (server as unknown as ServerInside)[handleProperty]
    const onConnection = listening?.onconnection
    if (!listening || typeof onConnection !== 'function') return false
    listening.setNoDelay(true)
    listening.setKeepAlive(true, keepAliveSeconds)
    listening.onconnection = function onconnection(status, handle) {
      if (status !== 0 || handle === undefined) onConnection.call(this, status, handle)
      else onHandle(handle)
    }
    return true
  }
}

interface ServerInside {
  readonly [handleProperty]?: ListeningHandle | null
}

interface ListeningHandle {
  setNoDelay(on: boolean): number
  setKeepAlive(on: boolean, seconds: number): number
  onconnection: (this: ListeningHandle, status: number, handle?: TcpHandle) => void
}

function onError(this: TlsHandle, error: NodeJS.ErrnoException): void {
  this.stream.onHandleError(error)
}

function onHandshakeDone(this: TlsHandle): void {
  this.stream.onHandshakeDone()
}

function onWritten(this: RequestInside, status: number): void {
  this.stream.onWritten(status)
}

function onShutdown(this: RequestInside): void {
  this.stream.onShutdown()
}

function onHandleClosed(this: TcpHandle): void {
  const { above } = this
  this.above = null
  // Not earlier: it may be at work below us on the stack.
  above?.destroySSL()
  above?.stream.onHandleClosed()
}

/** Closes the handle; what stands on it hears of that when it is done. */
export function closeHandle(handle: TcpHandle): void {
  handle.close(onHandleClosed)
}

/** Has the stream ask for a certificate by name (`onNameAsked`), and wait for `certCbDone`. */
export function askForName(handle: TlsHandle): void {
  handle.oncertcb = function onCertificate({ servername = '' }) {
    this.stream.onNameAsked(servername)
  }
  handle.enableCertCb()
}

/** Null where this Node has another inside. */
export function streamsInside(): StreamsInside | null {
  const binding = (process as unknown as { binding?: (name: string) => unknown }).binding
  if (typeof binding !== 'function') return null
  let streams: Partial<StreamWrapBinding>
  let tlsWrap: Partial<TlsWrapBinding>
  try {
    streams = binding('stream_wrap') as Partial<StreamWrapBinding>
    tlsWrap = binding('tls_wrap') as Partial<TlsWrapBinding>
  } catch {
    return null
  }
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = streams
  const isThere =
    [WriteWrap, ShutdownWrap, tlsWrap.wrap].every((each) => typeof each === 'function') &&
    streamBaseState instanceof Int32Array &&
    [kReadBytesOrError, kLastWriteWasAsync].every((each) => typeof each === 'number')
  return isThere ? new StreamsInside(streams as StreamWrapBinding, tlsWrap as TlsWrapBinding) : null
}
