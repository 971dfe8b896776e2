/** A client without manners: a bare socket that sends what it is given and remembers what came back. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { within } from './row.ts'

/** Bytes that a client keeps; what comes beyond is counted only. */
const keptBytesMax = 4 * 1_048_576

export class RawClient {
  /** What came and was not taken. */
  received = Buffer.alloc(0)
  receivedBytes = 0
  isClosed = false
  readonly socket: Socket
  readonly #closed: Promise<void>
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true
        this.#wake()
        resolve()
      })
    })
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.length
      if (this.received.length < keptBytesMax) this.received = Buffer.concat([this.received, bytes])
      this.#wake()
    })
  }

  /** Connects to `HOST:PORT`. With `isDeaf` nothing is ever read from the socket. */
  static async connect(address: string, options: { readonly isDeaf?: boolean } = {}): Promise<RawClient> {
    const at = address.lastIndexOf(':')
    const socket = connect(Number(address.slice(at + 1)), address.slice(0, at))
    socket.setNoDelay(true)
    const client = new RawClient(socket)
    if (options.isDeaf === true) socket.pause()
    await within(10_000, `a connection to ${address}`, once(socket, 'connect'))
    return client
  }

  send(...chunks: readonly Uint8Array[]): this {
    if (!this.isClosed && this.socket.writable) this.socket.write(Buffer.concat(chunks))
    return this
  }

  /** Resolves when the other side has closed. */
  async closed(deadlineMs = 5_000): Promise<void> {
    await within(deadlineMs, 'the connection to be closed by the daemon', this.#closed)
  }

  /** Waits until this many bytes are there, and takes them. */
  async take(bytes: number, deadlineMs = 5_000): Promise<Buffer> {
    const deadline = Date.now() + deadlineMs
    while (this.received.length < bytes) {
      if (this.isClosed) throw new Error(`closed by the daemon; ${this.received.length} of ${bytes} bytes came`)
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await within(Math.max(1, deadline - Date.now()), `${bytes} bytes (${this.received.length} came)`, more)
    }
    const taken = this.received.subarray(0, bytes)
    this.received = this.received.subarray(bytes)
    return taken
  }

  /** The next frame of the Kafka protocol, without its length. */
  async frame(deadlineMs = 5_000): Promise<Buffer> {
    const length = (await this.take(4, deadlineMs)).readInt32BE(0)
    return this.take(length, deadlineMs)
  }

  destroy(): void {
    this.socket.destroy()
  }
}
