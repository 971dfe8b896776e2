/** Holds what clients do against their quotas, for every door: who is above one is told how long to pause. */
import type { Clock } from '../../base/ports.ts'
import type { ClientBound, ClientQuotaKey, ClientQuotas } from './client-quotas.ts'
import { QuotaMeter, type QuotaWindow } from './quota-meter.ts'

/** Meters kept at most; the ones not used for longest go. */
const metersMax = 10_000
/** Clients whose bounds are remembered until a quota changes. */
const rememberedMax = 10_000

export class QuotaKeeper {
  readonly #quotas: ClientQuotas
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #window: QuotaWindow
  /** In the order of their use. */
  readonly #meters = new Map<string, QuotaMeter>()
  readonly #bounds = new Map<string, ClientBound | null>()
  #boundsVersion = -1

  constructor(quotas: ClientQuotas, clock: Pick<Clock, 'monotonicMs'>, window: QuotaWindow) {
    this.#quotas = quotas
    this.#clock = clock
    this.#window = window
  }

  /** Is there anything to hold anybody against? */
  get isIdle(): boolean {
    return this.#quotas.size === 0
  }

  /** The bound a second; null = none. */
  boundOf(user: string, clientId: string, key: ClientQuotaKey): number | null {
    return this.#find(user, clientId, key)?.bound ?? null
  }

  /** Counts an amount; answers the milliseconds for which the client is to pause. */
  count(user: string, clientId: string, key: ClientQuotaKey, amount: number): number {
    const found = this.#find(user, clientId, key)
    if (found === null) return 0
    const nowMs = this.#clock.monotonicMs()
    const meter = this.#meterOf(found.sharedBy)
    meter.add(amount, nowMs)
    return meter.pauseMs(found.bound, nowMs)
  }

  /** New connections a second of an address; Infinity = no bound. */
  connectionRateOf(address: string): number {
    return this.#quotas.connectionRateOf(address)
  }

  #find(user: string, clientId: string, key: ClientQuotaKey): ClientBound | null {
    if (this.isIdle) return null
    if (this.#boundsVersion !== this.#quotas.version) {
      this.#bounds.clear()
      this.#boundsVersion = this.#quotas.version
    }
    const place = `${key} ${user}\0${clientId}`
    let found = this.#bounds.get(place)
    if (found === undefined) {
      found = this.#quotas.boundOf(user, clientId, key)
      if (this.#bounds.size >= rememberedMax) this.#bounds.clear()
      this.#bounds.set(place, found)
    }
    return found
  }

  #meterOf(name: string): QuotaMeter {
    const meter = this.#meters.get(name) ?? new QuotaMeter(this.#window)
    this.#meters.delete(name)
    this.#meters.set(name, meter)
    if (this.#meters.size > metersMax) this.#meters.delete(this.#meters.keys().next().value as string)
    return meter
  }
}
