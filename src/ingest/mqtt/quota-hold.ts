/**
 * Holds one MQTT client against the quotas of its user and client id, the same that bound Kafka clients: above `producer_byte_rate`
 * nothing is read from it for a while (and its keep-alive does not run), above `consumer_byte_rate` nothing is sent to it.
 */
import type { Clock } from '../../base/ports.ts'
import { userOf } from '../../security/principal.ts'
import type { QuotaKeeper } from '../../security/quotas/quota-keeper.ts'
import { Deadline } from './deadline.ts'
import type { DoorServices } from './door-services.ts'
import { type PauseSwitch, pauseReasons } from './pause-switch.ts'

/** What a connection lets be done to it. */
export interface QuotaLink {
  readonly pauses: PauseSwitch
  unpause(reason: number): void
  /** Sends what waits. */
  pumpAndFlush(): void
}

export class QuotaHold {
  readonly #keeper: QuotaKeeper | null
  readonly #link: QuotaLink
  readonly #clock: Clock
  // Made when a quota is first exceeded.
  #reading: Deadline | null = null
  #sending: Deadline | null = null
  #client: { readonly user: string; readonly clientId: string } | null = null
  #published = 0
  /** Nothing is to be sent now. */
  isHoldingSends = false

  constructor({ clock, quotas }: Pick<DoorServices, 'clock' | 'quotas'>, link: QuotaLink) {
    this.#keeper = quotas
    this.#link = link
    this.#clock = clock
  }

  /** From now on this is who it is. */
  open(principal: string, clientId: string): void {
    this.#client = { user: userOf(principal), clientId }
  }

  /** Bytes of messages taken from the client so far. */
  published(total: number): void {
    const bytes = total - this.#published
    this.#published = total
    const pauseMs = bytes > 0 ? this.#count('producer_byte_rate', bytes) : 0
    if (pauseMs <= 0) return
    this.#link.pauses.add(pauseReasons.quota)
    this.#reading ??= new Deadline(this.#clock)
    this.#reading.arm(pauseMs, () => this.#link.unpause(pauseReasons.quota))
  }

  /** Bytes have been sent to the client. */
  sent(bytes: number): void {
    const pauseMs = this.#count('consumer_byte_rate', bytes)
    if (pauseMs <= 0) return
    this.isHoldingSends = true
    this.#sending ??= new Deadline(this.#clock)
    this.#sending.arm(pauseMs, () => {
      this.isHoldingSends = false
      this.#link.pumpAndFlush()
    })
  }

  close(): void {
    this.#reading?.disarm()
    this.#sending?.disarm()
  }

  #count(key: 'producer_byte_rate' | 'consumer_byte_rate', bytes: number): number {
    if (this.#keeper === null || this.#keeper.isIdle || this.#client === null) return 0
    return this.#keeper.count(this.#client.user, this.#client.clientId, key, bytes)
  }
}
