import { expect } from 'vitest'
import type { ConnectionHandlers } from '../../src/base/ports.ts'

/** Collects what a connection tells. */
export class Probe implements ConnectionHandlers {
  readonly pieces: Buffer[] = []
  bytes = 0
  drains = 0
  closed: { error: Error | null } | null = null
  onEach: (bytes: Uint8Array) => void = () => {}
  #waiters: (() => void)[] = []

  onBytes(bytes: Uint8Array): void {
    this.pieces.push(Buffer.from(bytes))
    this.bytes += bytes.length
    this.onEach(bytes)
    this.#wake()
  }

  onDrain(): void {
    this.drains++
    this.#wake()
  }

  onClose(error: Error | null): void {
    expect(this.closed).toBe(null)
    this.closed = { error }
    this.#wake()
  }

  text(): string {
    return Buffer.concat(this.pieces).toString()
  }

  /** Waits for a condition on what has been told; the test's own deadline ends a wait in vain. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }
}
