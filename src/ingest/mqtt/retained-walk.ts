/**
 * The retained messages that one new subscription is given, on their way: nothing is set aside for them, the tree is walked on as the client takes
 * them, so that a million of them take no more memory than one, and what is sent is what is retained by then.
 */
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { qosOf } from './delivery-form.ts'
import type { RetainedDebt } from './retained-debt.ts'
import type { RetainedEntry } from './retained-store.ts'
import type { Delivery } from './session-types.ts'

/** Steps that are gone at a time: far below 10 ms. */
const stepsMax = 1024

export interface RetainedWalkOptions {
  /** Null = a step at which nothing was found. */
  readonly entries: Iterator<RetainedEntry | null>
  /** Of the subscription. */
  readonly qos: QualityOfService
  readonly subscriptionIds: readonly number[]
  /** May it be given? */
  readonly isWanted: (entry: RetainedEntry, clientId: string | null) => boolean
  /** What they are sent for. */
  readonly debt?: RetainedDebt | undefined
  readonly onEnd: () => void
  /** Calls back in another turn of the loop, with the wall ms. */
  readonly defer: (goOn: (wallMs: number) => void) => void
}

/** Who is given the messages. */
export interface WalkReader {
  /** It is worth asking for the next one again. */
  goOn(wallMs: number): void
}

/** `later`: it goes on in another turn, or when the window is open. */
export type WalkStep = Delivery | 'later' | 'end'

export class RetainedWalk {
  private readonly options: RetainedWalkOptions
  /** Found, and waits for the window. */
  private waiting: RetainedEntry | null = null
  private steps = 0
  private isDeferred = false

  constructor(options: RetainedWalkOptions) {
    this.options = options
  }

  /** The next one that may be sent now. */
  next(isWindowOpen: boolean, wallMs: number, reader: WalkReader): WalkStep {
    if (this.isDeferred) return 'later'
    const { entries, qos, subscriptionIds, isWanted, debt, onEnd } = this.options
    for (;;) {
      let entry = this.waiting
      this.waiting = null
      if (entry === null) {
        if (this.steps >= stepsMax) return this.goOnLater(reader)
        this.steps += 1
        const step = entries.next()
        if (step.done === true) {
          onEnd()
          return 'end'
        }
        entry = step.value
      }
      const message = entry?.message ?? null
      if (entry === null || message === null || message.isExpired(wallMs)) continue
      if (!isWanted(entry, message.headers.clientId)) continue
      if (!isWindowOpen && qosOf({ qos, message }) > 0) {
        this.waiting = entry
        return 'later'
      }
      return { message, qos, retain: true, subscriptionIds, group: null, debt }
    }
  }

  private goOnLater(reader: WalkReader): 'later' {
    this.isDeferred = true
    this.options.defer((wallMs) => {
      this.isDeferred = false
      this.steps = 0
      reader.goOn(wallMs)
    })
    return 'later'
  }
}
