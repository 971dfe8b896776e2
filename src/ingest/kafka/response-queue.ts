/** The answers of one connection: made in any order, handed out in the order of the requests (law 10). A pure core. */

/** The place of one answer. */
export interface ResponseSlot {
  /** Undefined until the answer is ready; null for a request that gets none. */
  chunks: readonly Uint8Array[] | null | undefined
  bytes: number
  /** Those of the chunks, in their order, whose memory is nobody else's; null: none is large. */
  own: readonly Uint8Array[] | null
}

/**
 * Bound: the connection opens no slot while `pendingCount` or `heldBytes` is at its limit; what has begun then may still add its
 * answer.
 */
export class ResponseQueue {
  readonly #slots: ResponseSlot[] = []
  #head = 0
  #heldBytes = 0

  /** Requests that have begun and whose answer has not been taken. */
  get pendingCount(): number {
    return this.#slots.length - this.#head
  }

  /** Bytes of answers that are ready and have not been taken. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** True when the answer at the head is ready. */
  get isReady(): boolean {
    return this.#head < this.#slots.length && this.#slots[this.#head]?.chunks !== undefined
  }

  /** A place behind all others. */
  open(): ResponseSlot {
    const slot: ResponseSlot = { chunks: undefined, bytes: 0, own: null }
    this.#slots.push(slot)
    return slot
  }

  /** Fills a place, once. */
  settle(slot: ResponseSlot, chunks: readonly Uint8Array[] | null, own: readonly Uint8Array[] | null = null): void {
    slot.chunks = chunks
    slot.own = own
    slot.bytes = 0
    if (chunks !== null) for (const chunk of chunks) slot.bytes += chunk.length
    this.#heldBytes += slot.bytes
  }

  /**
   * Moves the chunks of every answer that is ready and has none unready before it to the end of `into`, and those whose memory is nobody
   * else's to the end of `own`; answers their bytes.
   */
  takeReady(into: Uint8Array[], own: Uint8Array[]): number {
    let bytes = 0
    for (; this.isReady; this.#head++) {
      const slot = this.#slots[this.#head] as ResponseSlot
      if (slot.chunks !== null && slot.chunks !== undefined) for (const chunk of slot.chunks) into.push(chunk)
      if (slot.own !== null) own.push(...slot.own)
      bytes += slot.bytes
    }
    this.#heldBytes -= bytes
    if (this.#head === this.#slots.length) {
      this.#slots.length = 0
      this.#head = 0
    } else if (this.#head >= compactAfter) {
      this.#slots.splice(0, this.#head)
      this.#head = 0
    }
    return bytes
  }

  /** Nobody takes these any more: the chunks whose memory is nobody else's. */
  get ownLeft(): readonly Uint8Array[] {
    return this.#slots.slice(this.#head).flatMap(({ own }) => own ?? [])
  }
}

/** Taken places that may stand at the front before they are cut off. */
const compactAfter = 64
