/** The link between the edge and its central: a relay on the loopback that can be cut. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'

export class DemoLink {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #target: { host: string; port: number } | null = null
  #isCut = false

  constructor() {
    this.#server = createServer((near) => this.#join(near))
  }

  /** Listens on a free port; resolves with `HOST:PORT`. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Where the far end is. */
  connectTo(address: string): void {
    const at = address.lastIndexOf(':')
    this.#target = { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
  }

  get isCut(): boolean {
    return this.#isCut
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  heal(): void {
    this.#isCut = false
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(near: Socket): void {
    if (this.#isCut || this.#target === null) {
      near.on('error', () => undefined)
      near.resetAndDestroy()
      return
    }
    const far = connect(this.#target)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }
}
