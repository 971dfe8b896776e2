/**
 * Records on their way to a client: read for its answer alone, so their memory goes back to the system as soon as the kernel has them. A
 * collection would let some hundred MB of it gather.
 */
import { giveBack } from '../../base/outside-memory.ts'
import type { Connection } from '../../base/ports.ts'
import type { FetchResponseInput } from '../../protocol/kafka/messages/fetch.ts'

/** Smaller pieces may share a buffer of Node's, and are a collection's. */
const ownBytesMin = 64 * 1024

/** What of a Fetch's answer is worth it. */
export function recordsOf(response: FetchResponseInput): readonly Uint8Array[] | null {
  let own: Uint8Array[] | null = null
  for (const { partitions = [] } of response.responses ?? []) {
    for (const { records } of partitions) {
      if (!(records instanceof Uint8Array) || records.length < ownBytesMin) continue
      own ??= []
      own.push(records)
    }
  }
  return own
}

export class OutgoingRecords {
  readonly #connection: Connection
  /** Bytes that have stood in the connection's backlog since somebody has counted them. */
  #queuedBytes = 0
  /** What has not left, oldest first; bounded as the backlog is. */
  readonly #leaving: { readonly records: Uint8Array; readonly endBytes: number }[] = []

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Sends the chunks; `own` are some of them, in their order. */
  send(chunks: readonly Uint8Array[], own: readonly Uint8Array[]): void {
    if (own.length === 0 && this.#leaving.length === 0) return void this.#connection.send(chunks)
    const before = this.#connection.backlogBytes
    if (this.#leaving.length === 0) this.#queuedBytes = before
    this.#connection.send(chunks)
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0)
    const queued = this.#connection.backlogBytes - before
    if (queued === bytes) this.#follow(chunks, own)
    // A connection that ends takes nothing, and one that has copied all keeps nothing. Of anything between nobody can tell when it is read:
    // that is a collection's.
    else if (queued === 0) for (const records of own) giveBack(records)
    this.#queuedBytes += queued
  }

  #follow(chunks: readonly Uint8Array[], own: readonly Uint8Array[]): void {
    let endBytes = this.#queuedBytes
    let next = 0
    for (const chunk of chunks) {
      endBytes += chunk.length
      if (chunk !== own[next]) continue
      next++
      this.#leaving.push({ records: chunk, endBytes })
    }
  }

  /** Frees what has left. */
  release(): void {
    if (this.#leaving.length === 0) return
    const leftBytes = this.#queuedBytes - this.#connection.backlogBytes
    let left = 0
    for (; left < this.#leaving.length; left++) {
      const { records, endBytes } = this.#leaving[left] as { records: Uint8Array; endBytes: number }
      if (endBytes > leftBytes) break
      giveBack(records)
    }
    if (left > 0) this.#leaving.splice(0, left)
  }

  /** The connection is closed: nobody reads these any more, nor what was to follow them. */
  close(unsent: readonly Uint8Array[]): void {
    for (const { records } of this.#leaving) giveBack(records)
    this.#leaving.length = 0
    for (const records of unsent) giveBack(records)
  }
}
