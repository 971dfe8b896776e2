/**
 * Packet ids of QoS 2 messages that a session has given out and the log knows of, beside those that are in flight: finished ones, which are kept until
 * the session's place in the log has passed their messages, and those of before a restart, whose messages come again. Pure.
 */
import { LateMap } from '../../base/late-map.ts'
import type { MessageOrigin } from './outgoing-message.ts'

export interface OutgoingId {
  readonly packetId: number
  /** The client has the message (PUBREC): it is not sent again. */
  readonly isReleased: boolean
}

/** Ids that are given out: the window is much smaller than what is left of them. */
const idsMax = 57_344

/** A message's place as text. */
export function placeOf({ partition, offset }: MessageOrigin): string {
  return `${partition.topicId} ${partition.index} ${offset}`
}

export class OutgoingIds {
  private readonly finishedMax: number
  private readonly finished = new LateMap<number, MessageOrigin>()
  private readonly restored = new LateMap<string, OutgoingId & { readonly origin: MessageOrigin }>()
  private readonly restoredIds = new LateMap<number, true>()

  /** Of the finished ones, those that the client had released before the restart. */
  private carried = 0

  /** `finishedMax`: finished ids that are kept; a client that leaves an old message unacknowledged holds the place back. */
  constructor(finishedMax: number) {
    this.finishedMax = finishedMax
  }

  /**
   * No further message may be begun. Those from before the restart do not count: the message that held the place back then must be sent again before
   * the place can pass them.
   */
  get isFull(): boolean {
    return this.finished.size - this.carried >= this.finishedMax || this.usedCount >= idsMax
  }

  private get usedCount(): number {
    return this.finished.size - this.carried + this.restoredIds.size
  }

  has(packetId: number): boolean {
    return this.finished.has(packetId) || this.restoredIds.has(packetId)
  }

  restore(origin: MessageOrigin, id: OutgoingId): void {
    this.restored.set(placeOf(origin), { ...id, origin })
    this.restoredIds.set(id.packetId, true)
  }

  /** What was known of the message before the restart. */
  before(origin: MessageOrigin | null): OutgoingId | undefined {
    return origin === null || this.restored.size === 0 ? undefined : this.restored.get(placeOf(origin))
  }

  /** The message is in flight again, under its id. */
  take(origin: MessageOrigin): void {
    const known = this.restored.get(placeOf(origin))
    if (known === undefined) return
    this.restored.delete(placeOf(origin))
    this.restoredIds.delete(known.packetId)
  }

  /** PUBCOMP, or a refusal: the id is free when the session's place has passed the message. */
  finish(packetId: number, origin: MessageOrigin): void {
    if (this.restoredIds.has(packetId)) this.carried += 1
    this.finished.set(packetId, origin)
  }

  hasFinished(isPassed: (origin: MessageOrigin) => boolean): boolean {
    for (const origin of this.finished.values()) if (isPassed(origin)) return true
    return false
  }

  /** Takes out what the place has passed; the log may forget it in the same set as it learns of the place. */
  passed(isPassed: (origin: MessageOrigin) => boolean, isReleasing: (packetId: number) => boolean): MessageOrigin[] {
    const origins: MessageOrigin[] = []
    for (const [packetId, origin] of this.finished) {
      if (!isPassed(origin)) continue
      this.finished.delete(packetId)
      if (this.restoredIds.has(packetId)) this.carried -= 1
      this.take(origin)
      origins.push(origin)
    }
    for (const { packetId, origin } of this.restored.values()) {
      if (!isPassed(origin) || isReleasing(packetId)) continue
      this.take(origin)
      origins.push(origin)
    }
    return origins
  }
}
