/**
 * Named deadlines with what to do then, soonest first: the timers of a pure core, which is told the time and never asks for it.
 *
 * A deadline that moves later (a heartbeat) costs one map write: its entry in the heap stays where it is and is put back when it
 * comes up too early. Bound: one heap entry a name, and one more for each time that a deadline moved earlier, until that comes up.
 */
interface HeapEntry {
  readonly atMs: number
  readonly order: number
  readonly name: string
}

interface Deadline {
  atMs: number
  heapAtMs: number
  task: () => void
}

export class DeadlineQueue {
  readonly #deadlines = new Map<string, Deadline>()
  readonly #heap: HeapEntry[] = []
  #order = 0

  /** Names that have a deadline. */
  get size(): number {
    return this.#deadlines.size
  }

  /** Sets, or replaces, the deadline of a name. */
  set(name: string, atMs: number, task: () => void): void {
    const known = this.#deadlines.get(name)
    if (known !== undefined && known.heapAtMs <= atMs) {
      known.atMs = atMs
      known.task = task
      return
    }
    this.#deadlines.set(name, { atMs, heapAtMs: atMs, task })
    this.#push({ atMs, order: this.#order++, name })
  }

  /** Forgets the deadline of a name; a name without one is not an error. */
  delete(name: string): void {
    this.#deadlines.delete(name)
    if (this.#deadlines.size === 0) this.#heap.length = 0
  }

  /** The soonest deadline, or null when there is none. It may be earlier than any real one, never later. */
  get nextMs(): number | null {
    return this.#heap[0]?.atMs ?? null
  }

  /** Takes the task of one deadline of `nowMs` or earlier, or null when none is left. */
  takeDue(nowMs: number): (() => void) | null {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#pop()
      const known = this.#deadlines.get(first.name)
      if (known === undefined || known.heapAtMs !== first.atMs) continue
      if (known.atMs > nowMs) {
        known.heapAtMs = known.atMs
        this.#push({ atMs: known.atMs, order: this.#order++, name: first.name })
        continue
      }
      this.#deadlines.delete(first.name)
      return known.task
    }
    return null
  }

  #push(entry: HeapEntry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isSooner(heap[parent] as HeapEntry, entry)) break
      heap[at] = heap[parent] as HeapEntry
      at = parent
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isSooner(heap[child + 1] as HeapEntry, heap[child] as HeapEntry)) child++
      if (isSooner(last, heap[child] as HeapEntry)) break
      heap[at] = heap[child] as HeapEntry
      at = child
    }
    heap[at] = last
  }
}

function isSooner(a: HeapEntry, b: HeapEntry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
