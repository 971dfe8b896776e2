/** Tells when the host's clock stops being believed, and when it is again: the line that gives the marks of records their time. */
import type { Ports, Timer } from './base/ports.ts'
import { clockEvents } from './clock-events.ts'
import { clockMetrics } from './clock-metrics.ts'

const lookEveryMs = 10_000

export class ClockWatch {
  readonly #ports: Pick<Ports, 'clock' | 'observer'>
  readonly #bootId: string
  #wasTrusted: boolean | null = null
  #timer: Timer | null = null

  constructor(ports: Pick<Ports, 'clock' | 'observer'>, bootId: string) {
    this.#ports = ports
    this.#bootId = bootId
  }

  start(): Promise<void> {
    this.#look()
    return Promise.resolve()
  }

  stop(): void {
    if (this.#timer !== null) this.#ports.clock.cancel(this.#timer)
  }

  #look(): void {
    const { clock, observer } = this.#ports
    const isTrusted = clock.wallTrusted()
    const facts = { bootId: this.#bootId, uptimeMs: Math.floor(clock.monotonicMs()) }
    if (isTrusted && this.#wasTrusted === false)
      observer.event(clockEvents.trusted, { ...facts, wallMs: clock.wallMs() })
    if (!isTrusted && this.#wasTrusted !== false)
      observer.event(clockEvents.untrusted, { ...facts, wallMs: clock.wallMs() })
    observer.set(clockMetrics.trusted, isTrusted ? 1 : 0)
    this.#wasTrusted = isTrusted
    this.#timer = clock.schedule(lookEveryMs, () => this.#look())
  }
}
