/** The Entropy port on the system's random numbers, drawn in pages. */
import { randomBytes, randomFillSync } from 'node:crypto'
import type { Entropy } from '../base/ports.ts'

const poolWords = 1024

export class NodeEntropy implements Entropy {
  readonly #pool = new Uint32Array(poolWords)
  #used = poolWords

  uint32(): number {
    if (this.#used === poolWords) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    return this.#pool[this.#used++] as number
  }

  below(bound: number): number {
    // Draws from the incomplete last round would make small numbers likelier.
    const fair = 2 ** 32 - (2 ** 32 % bound)
    for (;;) {
      const drawn = this.uint32()
      if (drawn < fair) return drawn % bound
    }
  }

  bytes(length: number): Uint8Array {
    return randomBytes(length)
  }
}
