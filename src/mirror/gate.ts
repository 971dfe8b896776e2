/** Lets a bounded number of things be under way at once; the others wait in line, in order. */
export class Gate {
  readonly #underWayMax: number
  #underWay = 0
  readonly #line: (() => void)[] = []

  constructor(underWayMax: number) {
    this.#underWayMax = underWayMax
  }

  /** Runs `task` when there is room; settles as it does. The line is bounded by its callers (one entry per partition). */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#underWay >= this.#underWayMax) await new Promise<void>((resolve) => this.#line.push(resolve))
    else this.#underWay++
    try {
      return await task()
    } finally {
      const next = this.#line.shift()
      if (next === undefined) this.#underWay--
      else next()
    }
  }
}
