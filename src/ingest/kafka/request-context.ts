/** The facts of one request, over those of its connection. */
import type { ConnectionSecurity } from './connection-security.ts'
import type { AdvertisedAddress, RequestContext } from './handler.ts'
import { HeldAnswer } from './held-answer.ts'
import type { MemoryBudget } from './memory-budget.ts'

/** What all requests of a connection have in common. */
export interface ConnectionFacts {
  readonly connectionId: number
  readonly security: ConnectionSecurity
  readonly responseMemory: MemoryBudget
  readonly clientHost: string
  readonly localHost: string
  readonly localPort: number
  readonly advertised: AdvertisedAddress
  /** Name of the listener. */
  readonly listener: string
  isClosed(): boolean
}

export class PendingRequest implements RequestContext {
  readonly apiVersion: number
  readonly clientId: string | null
  readonly #facts: ConnectionFacts
  #closeCallbacks: (() => void)[] | null = null
  #answerMemory: HeldAnswer | null = null

  constructor(facts: ConnectionFacts, apiVersion: number, clientId: string | null) {
    this.#facts = facts
    this.apiVersion = apiVersion
    this.clientId = clientId
  }

  get principal(): string {
    return this.#facts.security.principal
  }

  get security(): ConnectionSecurity {
    return this.#facts.security
  }

  get clientHost(): string {
    return this.#facts.clientHost
  }

  get localHost(): string {
    return this.#facts.localHost
  }

  get localPort(): number {
    return this.#facts.localPort
  }

  get advertised(): AdvertisedAddress {
    return this.#facts.advertised
  }

  get connectionId(): number {
    return this.#facts.connectionId
  }

  get answerMemory(): HeldAnswer {
    this.#answerMemory ??= new HeldAnswer(this.#facts.responseMemory)
    return this.#answerMemory
  }

  isClosed(): boolean {
    return this.#facts.isClosed()
  }

  onClose(callback: () => void): void {
    this.#closeCallbacks ??= []
    this.#closeCallbacks.push(callback)
  }

  /** The request has its answer: nobody is called any more. */
  answered(): void {
    this.#closeCallbacks = null
  }

  /** The connection went before the answer came. */
  abandoned(): void {
    const callbacks = this.#closeCallbacks
    this.#closeCallbacks = null
    if (callbacks !== null) for (const callback of callbacks) callback()
    this.#answerMemory?.cancel()
  }

  /** The handler is done, and its answer is the connection's. */
  ended(): void {
    this.#answerMemory?.release()
  }
}
