/**
 * What many connections send within one callback of the loop leaves in one call of the add-on: a thousand acknowledgements of four bytes cost
 * Node's streams about as much as the kernel. Only for sockets without a backlog; what the kernel does not take goes by the socket.
 */
import type { AddOn } from './add-on.ts'

/** A connection that has gathered something. */
export interface GatheredSender {
  readonly gatheredBytes: number
  /** Copies what was gathered to this place; answers where it ends. */
  copyGathered(target: Uint8Array, at: number): number
  /** Of its socket; -1 = it cannot be sent to past the socket. */
  readonly descriptor: number
  /** Once for each `add`: the kernel has taken so many bytes from the front; negative: none. */
  onGatheredSent(bytes: number): void
}

/** What is sent by one call: each connection has at most a quarter of it. */
const slabBytes = 64 * 1024
const targetsMax = 1024

export class SendTurn {
  readonly #addOn: AddOn
  readonly #slab = Buffer.allocUnsafeSlow(slabBytes)
  /** Pairs: a descriptor, and the end of its bytes. */
  readonly #targets = new Int32Array(2 * targetsMax)
  /** Bound: the connections. */
  #waiting: GatheredSender[] = []
  #spare: GatheredSender[] = []
  readonly #sending: GatheredSender[] = []
  #usedBytes = 0

  constructor(addOn: AddOn) {
    this.#addOn = addOn
  }

  /** Sends what the connection has gathered by the end of this callback; not again before it has been told. */
  add(sender: GatheredSender): void {
    // After the microtasks of this callback: answers that became ready together leave together.
    if (this.#waiting.length === 0) process.nextTick(() => this.#flush())
    this.#waiting.push(sender)
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = this.#spare
    for (const sender of waiting) this.#take(sender)
    this.#send()
    waiting.length = 0
    this.#spare = waiting
  }

  #take(sender: GatheredSender): void {
    const { gatheredBytes, descriptor } = sender
    if (gatheredBytes === 0) return sender.onGatheredSent(0)
    if (descriptor < 0) return sender.onGatheredSent(-1)
    if (this.#usedBytes + gatheredBytes > slabBytes || this.#sending.length === targetsMax) this.#send()
    this.#usedBytes = sender.copyGathered(this.#slab, this.#usedBytes)
    const at = 2 * this.#sending.length
    this.#targets[at] = descriptor
    this.#targets[at + 1] = this.#usedBytes
    this.#sending.push(sender)
  }

  #send(): void {
    const count = this.#sending.length
    if (count === 0) return
    const isSent = this.#addOn.sendEach(this.#targets, count, this.#slab)
    for (let index = 0; index < count; index++) {
      const taken = isSent ? (this.#targets[2 * index + 1] as number) : -1
      ;(this.#sending[index] as GatheredSender).onGatheredSent(taken)
    }
    this.#sending.length = 0
    this.#usedBytes = 0
  }
}
