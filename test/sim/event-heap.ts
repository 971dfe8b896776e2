/** Events of the simulated world, by (time, order of scheduling): a binary heap. */
export interface SimEvent {
  readonly atMs: number
  readonly sequence: number
  readonly label: string
  readonly run: () => void
  cancelled: boolean
}

export class EventHeap {
  readonly #events: SimEvent[] = []
  #sequence = 0

  get size(): number {
    return this.#events.length
  }

  add(atMs: number, label: string, run: () => void): SimEvent {
    const event: SimEvent = { atMs, sequence: this.#sequence++, label, run, cancelled: false }
    const events = this.#events
    let at = events.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, events[parent] as SimEvent)) break
      events[at] = events[parent] as SimEvent
      at = parent
    }
    events[at] = event
    return event
  }

  /** The next event that is not cancelled, left in place. */
  peek(): SimEvent | undefined {
    while (this.#events[0]?.cancelled) this.#removeFirst()
    return this.#events[0]
  }

  /** Takes the next event that is not cancelled. */
  take(): SimEvent | undefined {
    const event = this.peek()
    if (event) this.#removeFirst()
    return event
  }

  #removeFirst(): void {
    const events = this.#events
    const last = events.pop()
    if (last === undefined || events.length === 0) return
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= events.length) break
      const right = left + 1
      const smaller =
        right < events.length && isBefore(events[right] as SimEvent, events[left] as SimEvent) ? right : left
      if (!isBefore(events[smaller] as SimEvent, last)) break
      events[at] = events[smaller] as SimEvent
      at = smaller
    }
    events[at] = last
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence)
}
