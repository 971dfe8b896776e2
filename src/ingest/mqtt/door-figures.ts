import type { Clock, Observer, Timer } from '../../base/ports.ts'
import type { DoorCounters } from './door-counters.ts'
import type { DoorSizes } from './door-sizes.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import { LoadAverages } from './load-averages.ts'
import { type LoadName, loadNames, type SysFigures } from './sys-topics.ts'

export interface DoorFiguresOptions {
  readonly clock: Clock
  readonly observer: Observer
  readonly counters: DoorCounters
  readonly sizes: () => DoorSizes
  /** Ours, as `$SYS` tells it. */
  readonly version: string
  /** Filters of the rules, in their order. */
  readonly routeNames: readonly string[]
}

/** Figures go out this often while there is something new. */
const everyMs = 1000

/** Hands the door's figures to the observer. Nothing is scheduled while nothing happens. */
export class DoorFigures {
  private readonly options: DoorFiguresOptions
  private timer: Timer | null = null
  private isStopped = false
  private readonly startedMs: number
  private readonly load: LoadAverages<LoadName>

  constructor(options: DoorFiguresOptions) {
    this.options = options
    this.startedMs = options.clock.monotonicMs()
    this.load = new LoadAverages(loadNames, this.startedMs)
  }

  /** What `$SYS` tells. */
  ofSys(): SysFigures {
    const { clock, counters, sizes, version } = this.options
    this.advanceLoad()
    const uptimeSeconds = Math.floor((clock.monotonicMs() - this.startedMs) / 1000)
    return {
      totals: { ...counters.totals },
      sizes: sizes(),
      version,
      uptimeSeconds,
      load: (name) => this.load.of(name),
    }
  }

  private advanceLoad(): void {
    const { clock, counters } = this.options
    this.load.advance(counters.totals, clock.monotonicMs())
  }

  /** Something is new. */
  reportSoon(): void {
    if (this.timer !== null || this.isStopped) return
    // What begins now was not spread over the time in which nothing was.
    this.advanceLoad()
    this.timer = this.options.clock.schedule(everyMs, () => {
      this.timer = null
      this.report()
    })
  }

  /** The last report. */
  stop(): void {
    this.isStopped = true
    if (this.timer !== null) this.options.clock.cancel(this.timer)
    this.report()
  }

  private report(): void {
    const { observer, counters, sizes } = this.options
    this.advanceLoad()
    const now = sizes()
    observer.set(mqttMetrics.connections, now.connections)
    observer.set(mqttMetrics.sessions, now.sessions)
    observer.set(mqttMetrics.subscriptions, now.subscriptions)
    observer.set(mqttMetrics.replays, now.replays)
    observer.set(mqttMetrics.retainedMessages, now.retainedMessages)
    observer.set(mqttMetrics.retainedBytes, now.retainedBytes)
    observer.set(mqttMetrics.queuedBytes, now.queuedBytes)
    if (counters.delivered > 0) observer.add(mqttMetrics.delivered, counters.delivered)
    for (const [reason, count] of counters.dropped) observer.add(mqttMetrics.dropped, count, { reason })
    for (const [reason, count] of counters.refused) observer.add(mqttMetrics.refused, count, { reason })
    for (const [rule, [valid, invalid]] of counters.schemaChecks) {
      const route = this.options.routeNames[rule] ?? ''
      if (valid > 0) observer.add(mqttMetrics.schemaChecks, valid, { route, outcome: 'valid' })
      if (invalid > 0) observer.add(mqttMetrics.schemaChecks, invalid, { route, outcome: 'invalid' })
    }
    for (const [outcome, count] of counters.decodings) observer.add(mqttMetrics.sparkplugDecodings, count, { outcome })
    counters.delivered = 0
    counters.dropped.clear()
    counters.refused.clear()
    counters.schemaChecks.clear()
    counters.decodings.clear()
  }
}
