/** Memory of one answer while it is put together, out of the budget that all answers share. */
import type { AnswerMemory } from '../../broker/fetch-read.ts'
import type { MemoryBudget } from './memory-budget.ts'

export class HeldAnswer implements AnswerMemory {
  readonly #budget: MemoryBudget
  #heldBytes = 0
  #isUnwanted = false
  #wake: (() => void) | null = null

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  get roomBytes(): number {
    return Math.max(0, this.#budget.bytesMax - this.#budget.usedBytes)
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
    this.#budget.add(bytes)
  }

  async whenRoom(): Promise<boolean> {
    if (this.#isUnwanted) return false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#budget.wait(resolve)
    })
    this.#wake = null
    return !this.#isUnwanted
  }

  /** Nobody is there to be answered: what waits goes on, to its end. */
  cancel(): void {
    this.#isUnwanted = true
    if (this.#wake === null) return
    this.#budget.forget(this.#wake)
    this.#wake()
  }

  /** The answer is counted by its connection from here on, or there is none. */
  release(): void {
    const bytes = this.#heldBytes
    this.#heldBytes = 0
    if (bytes > 0) this.#budget.add(-bytes)
  }
}
