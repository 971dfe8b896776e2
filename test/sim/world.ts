/**
 * A simulated world: one seed, one virtual clock, one heap of events, any number of hosts.
 *
 * Nothing in it reads a real clock, so a run of two days takes seconds and the same seed gives the same trace. The driver
 * lets all promises settle after every event (one turn of the real loop), and then takes the next event.
 */
import { EventHeap, type SimEvent } from './event-heap.ts'
import { SimHost } from './host.ts'
import { Prng } from './prng.ts'
import { SimNetwork } from './sim-network.ts'

/** Lines of the trace that are kept for a failure's message; the hash covers them all. */
const traceLinesKept = 200

/** A new world; equal seeds give equal worlds. */
export function simWorld(seed: number): SimWorld {
  return new SimWorld(seed)
}

export class SimWorld {
  readonly seed: number
  readonly prng: Prng
  readonly network: SimNetwork
  readonly #events = new EventHeap()
  readonly #hosts = new Map<string, SimHost>()
  readonly #trace: string[] = []
  #traceHash = 0x811c9dc5
  #nowMs = 0
  /** Events that have run. */
  eventCount = 0

  constructor(seed: number) {
    this.seed = seed
    this.prng = new Prng(seed, 'world')
    this.network = new SimNetwork(this)
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** The host of that name, made at the first question. */
  host(name: string): SimHost {
    let host = this.#hosts.get(name)
    if (!host) {
      host = new SimHost(this, name, `10.0.0.${this.#hosts.size + 1}`)
      this.#hosts.set(name, host)
    }
    return host
  }

  /** The host that a name or an address belongs to. */
  findHost(nameOrAddress: string): SimHost | undefined {
    const byName = this.#hosts.get(nameOrAddress)
    return byName ?? [...this.#hosts.values()].find((host) => host.address === nameOrAddress)
  }

  at(atMs: number, label: string, task: () => void): SimEvent {
    return this.#events.add(Math.max(atMs, this.#nowMs), label, task)
  }

  /** Adds a line to the trace. */
  note(line: string): void {
    const text = `${this.#nowMs.toFixed(3)} ${line}`
    let hash = this.#traceHash
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    this.#traceHash = hash
    this.#trace.push(text)
    if (this.#trace.length > traceLinesKept) this.#trace.splice(0, traceLinesKept / 2)
  }

  /** A figure over everything that has happened. */
  get traceHash(): string {
    return (this.#traceHash >>> 0).toString(16).padStart(8, '0')
  }

  /** The last lines of the trace. */
  get trace(): readonly string[] {
    return this.#trace
  }

  /** Runs until the condition holds; an error when nothing is left to happen or `limitMs` of virtual time have passed. */
  async run(until: () => boolean, limitMs = 3_600_000): Promise<void> {
    const deadlineMs = this.#nowMs + limitMs
    await settle()
    while (!until()) {
      const next = this.#events.peek()
      if (!next) throw this.#failure('nothing is left to happen')
      if (next.atMs > deadlineMs) throw this.#failure(`the condition did not hold within ${limitMs} ms`)
      await this.#step()
    }
  }

  /** Runs everything that happens within this many milliseconds. */
  async runFor(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await settle()
    for (let next = this.#events.peek(); next && next.atMs <= endMs; next = this.#events.peek()) await this.#step()
    this.#nowMs = endMs
  }

  /** Runs until the promise has settled, and answers or throws what it did. */
  async settle<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    let settled = false
    const mark = (): void => {
      settled = true
    }
    promise.then(mark, mark)
    await this.run(() => settled, limitMs)
    return promise
  }

  async #step(): Promise<void> {
    const event = this.#events.take()
    if (!event) return
    this.#nowMs = Math.max(this.#nowMs, event.atMs)
    this.eventCount++
    this.note(event.label)
    try {
      event.run()
    } catch (error) {
      throw this.#failure(`${event.label} threw`, error)
    }
    await settle()
  }

  #failure(sentence: string, cause?: unknown): Error {
    return new Error(`seed ${this.seed} at ${this.#nowMs.toFixed(3)} ms: ${sentence}`, { cause })
  }
}

/** One turn of the real loop: every promise that can go on has gone on. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
