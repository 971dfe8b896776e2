/** The order of life: rooms start one after the other and stop in the opposite order, whatever happened in between. */
import type { AppliancePhase } from './admin/operations.ts'
import { asError } from './base/errors.ts'
import type { Observer } from './base/ports.ts'
import { lifecycleEvents } from './lifecycle-events.ts'

export interface Room {
  readonly name: string
  start(): Promise<void>
  /** Also called when `start` failed half-way. */
  stop(): Promise<void> | undefined | void
}

export class Lifecycle {
  readonly #observer: Observer
  readonly #started: Room[] = []
  #phase: AppliancePhase = 'starting'
  #failure: Error | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(observer: Observer) {
    this.#observer = observer
  }

  get phase(): AppliancePhase {
    return this.#phase
  }

  /** Why nothing can be written any more; null = all is well. */
  get failure(): Error | null {
    return this.#failure
  }

  /** The data directory has failed: reads go on, writes are refused. */
  fail(error: Error): void {
    this.#failure ??= error
    if (this.#phase === 'serving') this.#phase = 'failed'
  }

  /** Starts the rooms in order. When one cannot, those before it are stopped again and the reason is thrown. */
  start(rooms: readonly Room[]): Promise<void> {
    this.#starting = this.#startAll(rooms)
    return this.#starting
  }

  /** Stops what has started, last first. A start under way is waited for. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #startAll(rooms: readonly Room[]): Promise<void> {
    this.#phase = 'recovering'
    try {
      for (const room of rooms) {
        if (this.#stopping !== null) return
        this.#started.push(room)
        await room.start()
      }
      if (this.#stopping === null) this.#phase = this.#failure === null ? 'serving' : 'failed'
    } catch (thrown) {
      await this.#stopRooms()
      this.#phase = 'stopped'
      throw thrown
    }
  }

  async #stopAll(): Promise<void> {
    await this.#starting?.catch(() => {})
    this.#phase = 'draining'
    await this.#stopRooms()
    this.#phase = 'stopped'
  }

  async #stopRooms(): Promise<void> {
    for (const room of this.#started.splice(0).toReversed()) {
      try {
        await room.stop()
      } catch (thrown) {
        // The others must still stop: what this one has not done, recovery does.
        this.#observer.event(lifecycleEvents.stopFailed, { room: room.name, reason: asError(thrown).message })
      }
    }
  }
}
