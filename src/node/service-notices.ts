/**
 * What systemd is told (sd_notify): that a long start goes on, that clients are served, that loop and writer make progress, that the
 * stop has begun. Without a NOTIFY_SOCKET nothing is told.
 */
export interface ServiceNoticesOptions {
  /** Sends one message, `NAME=VALUE`. */
  readonly notify: (state: string) => void
  /** True while loop and writer make progress: only then is anything asked for or confirmed. */
  readonly isLive: () => boolean
  /** WATCHDOG_USEC of the environment in milliseconds; 0 = nobody watches. */
  readonly watchdogMs: number
  /** Time between two requests of a start for more time. */
  readonly extendEveryMs?: number
}

/** A start that recovers much, or waits for room on the disk, asks for so many of these pauses at a time: one request may be late. */
const pausesAhead = 6
const usualExtendEveryMs = 10_000

export class ServiceNotices {
  readonly #options: ServiceNoticesOptions
  #timer: NodeJS.Timeout | null = null

  constructor(options: ServiceNoticesOptions) {
    this.#options = options
  }

  /** Until `ready` the time of a start that makes progress is lengthened; TimeoutStartSec counts for one that does not. */
  starting(): void {
    const everyMs = this.#options.extendEveryMs ?? usualExtendEveryMs
    const microseconds = everyMs * pausesAhead * 1000
    this.#every(everyMs, `EXTEND_TIMEOUT_USEC=${microseconds}`)
  }

  ready(): void {
    this.end()
    this.#options.notify('READY=1')
    const { watchdogMs } = this.#options
    if (watchdogMs > 0) this.#every(watchdogMs / 3, 'WATCHDOG=1')
  }

  stopping(): void {
    this.end()
    this.#options.notify('STOPPING=1')
  }

  #every(intervalMs: number, state: string): void {
    this.#timer = setInterval(() => {
      if (this.#options.isLive()) this.#options.notify(state)
    }, intervalMs).unref()
  }

  /** Nothing is told any more. */
  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}
