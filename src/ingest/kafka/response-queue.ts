/** The answers of one connection: made in any order, handed out in the order of the requests (law 10). A pure core. */
import { ShortQueue } from '../../base/short-queue.ts'

/** Answers on their way out. */
export interface ReadyAnswers {
  readonly chunks: readonly Uint8Array[]
  readonly bytes: number
  /** Those of the chunks, in their order, whose memory is nobody else's; only large ones. */
  readonly own: readonly Uint8Array[]
}

/** The place of one answer. */
export interface ResponseSlot {
  /** Undefined until the answer is ready; null for a request that gets none. */
  chunks: readonly Uint8Array[] | null | undefined
  bytes: number
  own: readonly Uint8Array[]
}

const none: readonly Uint8Array[] = []

/**
 * Bound: the connection opens no slot while `pendingCount` or `heldBytes` is at its limit; what has begun then may still add its
 * answer.
 */
export class ResponseQueue {
  readonly #slots = new ShortQueue<ResponseSlot>()
  #heldBytes = 0

  /** Requests that have begun and whose answer has not been taken. */
  get pendingCount(): number {
    return this.#slots.length
  }

  /** Bytes of answers that are ready and have not been taken. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** A place behind all others. */
  open(): ResponseSlot {
    const slot: ResponseSlot = { chunks: undefined, bytes: 0, own: none }
    this.#slots.push(slot)
    return slot
  }

  /** Fills a place, once. */
  settle(slot: ResponseSlot, chunks: readonly Uint8Array[] | null, own: readonly Uint8Array[] | null = null): void {
    slot.chunks = chunks
    slot.own = own ?? none
    slot.bytes = 0
    if (chunks !== null) for (const chunk of chunks) slot.bytes += chunk.length
    this.#heldBytes += slot.bytes
  }

  /** Takes every answer that is ready and has none unready before it; null: there is none. */
  takeReady(): ReadyAnswers | null {
    const first = this.#takeOne()
    if (first === null) return null
    let next = this.#takeOne()
    // Mostly one is ready at a time: it goes as it was made.
    if (next === null) return first
    const ready = { chunks: [...first.chunks], bytes: first.bytes, own: [...first.own] }
    for (; next !== null; next = this.#takeOne()) {
      for (const chunk of next.chunks) ready.chunks.push(chunk)
      ready.own.push(...next.own)
      ready.bytes += next.bytes
    }
    return ready
  }

  /** Nobody takes these any more: the chunks whose memory is nobody else's. */
  takeOwn(): readonly Uint8Array[] {
    return this.#slots.takeAll().flatMap(({ own }) => own)
  }

  /** The next one that has bytes. */
  #takeOne(): ReadyAnswers | null {
    for (let slot = this.#slots.first; slot !== null; slot = this.#slots.first) {
      const { chunks, bytes, own } = slot
      if (chunks === undefined) return null
      this.#slots.shift()
      this.#heldBytes -= bytes
      if (chunks !== null) return { chunks, bytes, own }
    }
    return null
  }
}
