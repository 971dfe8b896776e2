/** A listener of the real port that sends back what it gets, and what became of its connections. */
import type { Connection, ListenOptions, ListenPlace, Listener, PeerFacts } from '../../src/base/ports.ts'
import { NodeNet } from '../../src/node/net.ts'
import type { SimObserver } from '../sim/sim-observer.ts'
import { testObserver } from './test-observer.ts'

export class EchoListener {
  readonly net: NodeNet
  readonly observer: SimObserver
  readonly accepted: Connection[] = []
  readonly ended: (Error | null)[] = []
  #listener: Listener | null = null
  #waiters: (() => void)[] = []

  constructor(readByEvents = false) {
    this.observer = testObserver()
    this.net = new NodeNet({ observer: this.observer, readByEvents })
  }

  async open(options: ListenOptions, place: ListenPlace = { host: '127.0.0.1', port: 0 }): Promise<this> {
    this.#listener = await this.net.listen('door', place, (connection) => this.#take(connection), options)
    return this
  }

  #take(connection: Connection): void {
    this.accepted.push(connection)
    connection.start({
      onBytes: (bytes) => void connection.send([Uint8Array.from(bytes)]),
      onClose: (error) => {
        this.ended.push(error)
        this.#wake()
      },
    })
    this.#wake()
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  get listener(): Listener {
    if (this.#listener === null) throw new Error('not open')
    return this.#listener
  }

  /** The peers of all connections so far. */
  get peers(): readonly PeerFacts[] {
    return this.accepted.map(({ peer }) => peer)
  }

  refusals(reason: string): number {
    return this.observer.figure('headwater_connections_refused_total', { listener: 'door', reason })
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  close(): Promise<void> {
    return this.net.close()
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }
}
