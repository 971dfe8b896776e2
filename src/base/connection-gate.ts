/**
 * Bounds on connections, shared by the listeners of a door: in all, of each listener, of each address, and how many come in a second.
 * A core: it is told of connections and asked for the time.
 */
import type { ListenerGate, ListenerPass } from './ports.ts'

export type GateReason = 'connections' | 'listener_connections' | 'address_connections' | 'rate'

/** What the bounds are now; Infinity = none. Asked with every connection, so that they may change. */
export interface GateLimits {
  /** Open connections of the door. */
  connectionsMax(): number
  /** Open connections of one address. */
  connectionsPerAddressMax(remoteHost: string): number
  /** New connections a second, over all listeners; a second's worth may come at once. */
  connectionsPerSecondMax(): number
  /** The same of one address. */
  connectionsPerSecondOfAddress?(remoteHost: string): number
}

/** The same of one listener. */
export interface ListenerLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number | null
  readonly connectionsPerSecondMax: number
}

export interface GateOptions {
  readonly limits: GateLimits
  readonly monotonicMs: () => number
  /**
   * What becomes of a connection beyond the rate: `wait` keeps it until its turn comes, `refuse` does not.
   */
  readonly beyondRate: 'wait' | 'refuse'
  /** Connections beyond the bounds that are taken all the same, to be told so; 0 = none. */
  readonly toldMax: number
  readonly onRefused: (remoteHost: string, reason: GateReason) => void
}

/** A connection that would have to wait longer is closed. */
const waitMsMax = 5_000
/** Addresses whose rates are known at a time. */
const addressRatesMax = 10_000

export class ConnectionGate {
  readonly #options: GateOptions
  readonly #byAddress = new Map<string, number>()
  readonly #rate: RateBucket
  /** Of addresses that have a bound, in the order of their use. */
  readonly #addressRates = new Map<string, RateBucket>()
  #open = 0
  #told = 0

  constructor(options: GateOptions) {
    this.#options = options
    this.#rate = new RateBucket()
  }

  get openCount(): number {
    return this.#open
  }

  /** The gate of one listener. */
  listener(limits: ListenerLimits): ListenerGate {
    const own = { limits, open: 0, byAddress: new Map<string, number>(), rate: new RateBucket() }
    return { enter: (remoteHost) => this.#enter(own, remoteHost) }
  }

  #enter(own: OwnCounts, remoteHost: string): ListenerPass | null {
    const address = addressGroup(remoteHost)
    const full = this.#fullness(own, remoteHost, address)
    const waitMs = full === null ? this.#waitMs(own, remoteHost) : 0
    const reason = full ?? (waitMs === null ? 'rate' : null)
    if (reason !== null) return this.#refuse(remoteHost, reason)
    this.#open++
    own.open++
    count(this.#byAddress, address, 1)
    count(own.byAddress, address, 1)
    return pass(null, waitMs ?? 0, () => {
      this.#open--
      own.open--
      count(this.#byAddress, address, -1)
      count(own.byAddress, address, -1)
    })
  }

  #fullness(own: OwnCounts, remoteHost: string, address: string): GateReason | null {
    const { limits } = this.#options
    if (this.#open >= limits.connectionsMax()) return 'connections'
    if (own.open >= own.limits.connectionsMax) return 'listener_connections'
    const perAddress = own.limits.connectionsPerAddressMax
    if (perAddress !== null) return (own.byAddress.get(address) ?? 0) >= perAddress ? 'address_connections' : null
    const isFull = (this.#byAddress.get(address) ?? 0) >= limits.connectionsPerAddressMax(remoteHost)
    return isFull ? 'address_connections' : null
  }

  /** Null: it may not come at all. */
  #waitMs(own: OwnCounts, remoteHost: string): number | null {
    const nowMs = this.#options.monotonicMs()
    const all = this.#rate.waitMs(nowMs, this.#options.limits.connectionsPerSecondMax())
    const ours = own.rate.waitMs(nowMs, own.limits.connectionsPerSecondMax)
    const ofAddress = this.#options.limits.connectionsPerSecondOfAddress?.(remoteHost) ?? Number.POSITIVE_INFINITY
    const theirs = ofAddress === Number.POSITIVE_INFINITY ? null : this.#rateOfAddress(remoteHost)
    const waitMs = Math.ceil(Math.max(all, ours, theirs?.waitMs(nowMs, ofAddress) ?? 0))
    if (waitMs > (this.#options.beyondRate === 'wait' ? waitMsMax : 0)) return null
    this.#rate.take(nowMs, this.#options.limits.connectionsPerSecondMax())
    own.rate.take(nowMs, own.limits.connectionsPerSecondMax)
    theirs?.take(nowMs, ofAddress)
    return waitMs
  }

  #rateOfAddress(remoteHost: string): RateBucket {
    const rate = this.#addressRates.get(remoteHost) ?? new RateBucket()
    this.#addressRates.delete(remoteHost)
    this.#addressRates.set(remoteHost, rate)
    if (this.#addressRates.size > addressRatesMax)
      this.#addressRates.delete(this.#addressRates.keys().next().value as string)
    return rate
  }

  #refuse(remoteHost: string, reason: GateReason): ListenerPass | null {
    this.#options.onRefused(remoteHost, reason)
    if (this.#told >= this.#options.toldMax) return null
    this.#told++
    return pass(reason, 0, () => {
      this.#told--
    })
  }
}

interface OwnCounts {
  readonly limits: ListenerLimits
  open: number
  readonly byAddress: Map<string, number>
  readonly rate: RateBucket
}

function pass(refusal: GateReason | null, waitMs: number, leave: () => void): ListenerPass {
  let isGone = false
  return {
    refusal,
    waitMs,
    leave: () => {
      if (isGone) return
      isGone = true
      leave()
    },
  }
}

/** Holds an entry only for what is open: the map is no larger than the number of connections. */
function count(map: Map<string, number>, key: string, change: 1 | -1): void {
  const value = (map.get(key) ?? 0) + change
  if (value === 0) map.delete(key)
  else map.set(key, value)
}

/** A second's worth may come at once; what comes beyond has to wait for its part of a second. */
class RateBucket {
  /** When the bucket would be full again. */
  #fullAtMs = Number.NEGATIVE_INFINITY

  waitMs(nowMs: number, perSecond: number): number {
    if (perSecond === Number.POSITIVE_INFINITY) return 0
    return Math.max(0, this.#fullAtMs - nowMs - 1000 + 1000 / perSecond)
  }

  take(nowMs: number, perSecond: number): void {
    if (perSecond !== Number.POSITIVE_INFINITY) this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + 1000 / perSecond
  }
}

/** Whose connections count together: an address of IPv4, a network of 64 bits of IPv6, of which one client has a whole one. */
export function addressGroup(remoteHost: string): string {
  if (!remoteHost.includes(':')) return remoteHost
  const [head = '', tail = ''] = (remoteHost.split('%', 1)[0] ?? '').split('::')
  const front = head === '' ? [] : head.split(':')
  const missing = 8 - front.length - (tail === '' ? 0 : tail.split(':').length)
  const isShortened = remoteHost.includes('::')
  const groups = isShortened ? [...front, ...Array.from({ length: missing }, () => '0'), ...tail.split(':')] : front
  return `${groups.slice(0, 4).join(':')}::/64`
}

/**
 * Kafka's `max.connections.per.ip.overrides`: `ADDRESS:NUMBER`, separated by commas. A sentence where it says nothing of the kind; names
 * are not resolved.
 */
export function parseAddressOverrides(written: string): ReadonlyMap<string, number> | string {
  const overrides = new Map<string, number>()
  for (const part of written.split(',')) {
    const entry = part.trim()
    if (entry === '') continue
    const at = entry.lastIndexOf(':')
    const address = entry.slice(0, Math.max(at, 0)).replace(/^\[|\]$/g, '')
    const number = entry.slice(at + 1)
    if (!isAddress(address) || !/^\d{1,9}$/.test(number)) return `"${entry}" is not ADDRESS:NUMBER, with an IP address`
    overrides.set(addressGroup(address.toLowerCase()), Number(number))
  }
  return overrides
}

/** As far as a typing error goes: four numbers, or groups of hexadecimal digits. */
export function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || (/^[0-9a-f:.]+$/i.test(text) && text.includes(':'))
}

/** Is it this machine itself? */
export function isLocalHost(remoteHost: string): boolean {
  return remoteHost === '::1' || remoteHost.startsWith('127.')
}
