/**
 * Spreads pieces of work over turns of the event loop: so many at once, the others in the turns that follow, in order. The loop hears of
 * everything else in between. How many may wait is the caller's to bound.
 */
export class TurnPace {
  readonly #perTurn: number
  #begun = 0
  #isArmed = false
  #waiting: (() => void)[] = []

  constructor(perTurn: number) {
    this.#perTurn = perTurn
  }

  /** At once when this turn has had fewer pieces, else later. */
  run(work: () => void): void {
    if (this.#begun >= this.#perTurn) {
      this.#waiting.push(work)
      return
    }
    this.#begun++
    this.#arm()
    work()
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(() => this.#nextTurn())
  }

  #nextTurn(): void {
    this.#isArmed = false
    const due = this.#waiting.splice(0, this.#perTurn)
    this.#begun = due.length
    if (due.length > 0) this.#arm()
    for (const work of due) work()
  }
}
