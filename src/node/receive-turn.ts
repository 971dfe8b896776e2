/**
 * What is ready on many sockets is read in one call of the add-on and handed on in one callback of the loop: a read of a hundred bytes by Node's
 * streams costs about twice what the kernel takes for it. Only for plain sockets whose handlers take it in small pieces; a socket's end is left to
 * Node, which meets it again.
 */
import { getSystemErrorName } from 'node:util'
import { copyBytes } from '../base/bytes.ts'
import type { AddOn, Receiver } from './add-on.ts'

/** A connection that is read so. */
export interface ReceivedStream {
  /** Of its socket; -1 = it is closed. */
  readonly readDescriptor: number
  /** Valid during the call. */
  onReceived(bytes: Uint8Array): void
  /** Its bytes have come to an end: whoever reads it now meets that end. */
  onReceivedEnd(): void
  onReceiveFailed(error: NodeJS.ErrnoException): void
}

/** What is read in one call, of all sockets together; of one at most a quarter. */
const slabBytes = 256 * 1024
/** Sockets of one call: they take a few thousandths of a second. */
const rowsMax = 1024
const idMax = 0x7fff_ffff

export class ReceiveTurn {
  // No Buffer: a view of one takes a third longer to make, and one is made of what each socket brought.
  readonly #slab = new Uint8Array(slabBytes)
  readonly #rows = new Int32Array(2 * rowsMax)
  readonly #receiver: Receiver | null
  /** Bound: the open connections. */
  readonly #places = new Map<number, ReceivePlace>()
  #lastId = 0

  constructor(addOn: AddOn) {
    this.#receiver = addOn.receiver(this.#slab, this.#rows, (count) => this.#onRows(count))
  }

  /** A place for this stream, which is not read yet; null when that cannot be had, and its socket reads for itself. */
  open(stream: ReceivedStream): ReceivePlace | null {
    if (this.#receiver === null) return null
    do this.#lastId = this.#lastId === idMax ? 1 : this.#lastId + 1
    while (this.#places.has(this.#lastId))
    const id = this.#lastId
    const place = new ReceivePlace(id, stream, this.#receiver, this.#places)
    this.#places.set(id, place)
    return place
  }

  /** Its streams have ended. */
  close(): void {
    this.#receiver?.close()
  }

  #onRows(count: number): void {
    let start = 0
    for (let row = 0; row < count; row++) {
      const place = this.#places.get(this.#rows[2 * row] as number)
      const end = this.#rows[2 * row + 1] as number
      if (end < 0) place?.fail(-end)
      else if (end === start) place?.end()
      else place?.take(this.#slab.subarray(start, end))
      if (end > start) start = end
    }
  }
}

/** One stream in the turn: read or paused. */
export class ReceivePlace {
  readonly #id: number
  readonly #stream: ReceivedStream
  readonly #receiver: Receiver
  /** Where it stands until it is closed. */
  readonly #places: Map<number, ReceivePlace>
  #isWatched = false
  #isPaused = true
  #isClosed = false
  /** Read before an earlier stream of the same call had this one paused. Bound: a stream's share of one call. */
  #held: Uint8Array | null = null

  constructor(id: number, stream: ReceivedStream, receiver: Receiver, places: Map<number, ReceivePlace>) {
    this.#id = id
    this.#stream = stream
    this.#receiver = receiver
    this.#places = places
  }

  /** False when the kernel does not watch it: the socket is to read for itself. */
  resume(): boolean {
    if (this.#isClosed || !this.#isPaused) return !this.#isClosed
    this.#isPaused = false
    // Not before who resumes has returned.
    if (this.#held !== null) process.nextTick(() => this.#handHeld())
    return this.#held !== null || this.#watch()
  }

  pause(): void {
    this.#isPaused = true
    this.#forget()
  }

  /** It is not read any more: before its descriptor is closed, where that is known. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#held = null
    this.#forget()
    this.#places.delete(this.#id)
  }

  take(bytes: Uint8Array): void {
    if (this.#isPaused) this.#held = copyBytes(bytes)
    else this.#stream.onReceived(bytes)
  }

  /** Who is paused meets it when he reads on. */
  end(): void {
    if (this.#isPaused) return
    this.close()
    this.#stream.onReceivedEnd()
  }

  fail(errno: number): void {
    this.close()
    const code = getSystemErrorName(-errno)
    this.#stream.onReceiveFailed(Object.assign(new Error(`read ${code}`), { code, errno: -errno, syscall: 'read' }))
  }

  #handHeld(): void {
    const held = this.#held
    if (this.#isPaused || held === null) return
    this.#held = null
    this.#stream.onReceived(held)
    if (!this.#isPaused && !this.#isClosed && !this.#watch()) this.end()
  }

  #watch(): boolean {
    const fd = this.#stream.readDescriptor
    this.#isWatched ||= fd >= 0 && this.#receiver.watch(fd, this.#id)
    return this.#isWatched
  }

  #forget(): void {
    if (!this.#isWatched) return
    this.#isWatched = false
    this.#receiver.forget(this.#stream.readDescriptor)
  }
}
