/**
 * A queue in which mostly one waits at a time: that one needs no list. A list takes room for seventeen as soon as it has one, and of
 * connections there are tens of thousands.
 */

/** Places of those who have gone that may stand at the front of the list. */
const emptyPlacesMax = 64

export class ShortQueue<T extends object> {
  #first: T | null = null
  /** Those behind it, from `#next` on; null: there are none. */
  #others: (T | null)[] | null = null
  #next = 0

  get length(): number {
    if (this.#first === null) return 0
    return this.#others === null ? 1 : 1 + this.#others.length - this.#next
  }

  /** Who has waited longest; null: nobody waits. */
  get first(): T | null {
    return this.#first
  }

  push(item: T): void {
    if (this.#first === null) this.#first = item
    else if (this.#others === null) this.#others = [item]
    else this.#others.push(item)
  }

  /** Takes the first one out. */
  shift(): T | null {
    const first = this.#first
    const others = this.#others
    if (others === null) {
      this.#first = null
      return first
    }
    this.#first = others[this.#next] ?? null
    others[this.#next++] = null
    if (this.#next === others.length) {
      this.#others = null
      this.#next = 0
    } else if (this.#next === emptyPlacesMax) {
      others.splice(0, this.#next)
      this.#next = 0
    }
    return first
  }

  /** Takes all of them out; answers them in their order. */
  takeAll(): T[] {
    const all: T[] = []
    for (let item = this.shift(); item !== null; item = this.shift()) all.push(item)
    return all
  }
}
