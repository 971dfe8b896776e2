/**
 * How fast something goes, over a window of some seconds, and how long its cause has to pause to be at its bound again. The same
 * arithmetic as Apache Kafka's (`quota.window.num` samples of `quota.window.size.seconds`), so that the same bound means the same.
 */
export interface QuotaWindow {
  readonly samples: number
  readonly sampleMs: number
}

/** The longest pause that `throttle_time_ms` can say: 24 days. */
const pauseMsMax = 2 ** 31 - 1

export class QuotaMeter {
  readonly #window: QuotaWindow
  /** Begin and amount of samples, oldest first; `samples` of them at most. */
  readonly #samples: { readonly fromMs: number; amount: number }[] = []
  usedAtMs = 0

  constructor(window: QuotaWindow) {
    this.#window = window
  }

  /** Counts an amount. */
  add(amount: number, nowMs: number): void {
    this.usedAtMs = nowMs
    const last = this.#samples.at(-1)
    if (last !== undefined && nowMs - last.fromMs < this.#window.sampleMs) last.amount += amount
    else this.#samples.push({ fromMs: nowMs, amount })
    this.#forget(nowMs)
  }

  /** Whole milliseconds without an amount after which the rate is `perSecond` again; 0 = it is not above. */
  pauseMs(perSecond: number, nowMs: number): number {
    this.#forget(nowMs)
    const windowMs = this.#windowMs(nowMs)
    const amount = this.#samples.reduce((sum, sample) => sum + sample.amount, 0)
    const rate = (amount / windowMs) * 1000
    if (rate <= perSecond) return 0
    return Math.min(pauseMsMax, Math.round(((rate - perSecond) / perSecond) * windowMs))
  }

  #forget(nowMs: number): void {
    const { samples, sampleMs } = this.#window
    while (this.#samples.length > 0 && nowMs - (this.#samples[0]?.fromMs ?? 0) >= samples * sampleMs)
      this.#samples.shift()
  }

  /** At least all samples but the one under way: a burst after a rest is not taken for a rate. */
  #windowMs(nowMs: number): number {
    const { samples, sampleMs } = this.#window
    const elapsedMs = nowMs - (this.#samples[0]?.fromMs ?? nowMs)
    const missing = samples - 1 - Math.floor(elapsedMs / sampleMs)
    return Math.max(1, missing > 0 ? elapsedMs + missing * sampleMs : elapsedMs)
  }
}
