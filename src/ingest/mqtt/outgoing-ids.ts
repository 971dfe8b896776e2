/**
 * Packet ids of QoS 2 messages that a session has given out and the log knows of, beside those that are in flight: finished ones, which are kept until
 * the session's place in the log has passed their messages, and those of before a restart, whose messages come again. Pure.
 */
import { LateMap } from '../../base/late-map.ts'
import type { MessageOrigin } from './outgoing-message.ts'
import type { RetainedMark } from './retained-debt.ts'
import type { SharedGroup } from './shared-group.ts'

export interface OutgoingId {
  readonly packetId: number
  /** The client has the message (PUBREC): it is not sent again. */
  readonly isReleased: boolean
}

/** What a begun message of QoS 2 is called in the log of its session. */
export interface OutgoingPlace {
  readonly key: string
  /** Null = it is a retained one: nothing has to be passed for its id to be free, unless a start would begin it again (`retained`). */
  readonly origin: MessageOrigin | null
  readonly retained: RetainedMark | null
  /** The shared subscription that it came by: another place has to pass it than the session's own. */
  readonly group: SharedGroup | null
}

/** Ids that are given out: the window is much smaller than what is left of them. */
const idsMax = 57_344

const retainedWord = 'retained'

/** A message's place as text. */
function placeOf({ partition, offset }: MessageOrigin): string {
  return `${partition.topicId} ${partition.index} ${offset}`
}

/** A record of the log, by a subscription of the session's own or by a shared one. */
export function recordPlace(origin: MessageOrigin, group: SharedGroup | null): OutgoingPlace {
  return { key: group === null ? placeOf(origin) : `${placeOf(origin)} ${group.key}`, origin, retained: null, group }
}

export function retainedPlace(packetId: number, retained: RetainedMark | null): OutgoingPlace {
  return { key: `${retainedWord} ${packetId}`, origin: null, retained, group: null }
}

/** The parts of such a key; null = a retained message. */
export function readPlaceKey(key: string): {
  readonly topicId: string
  readonly index: number
  readonly offset: number
  readonly groupKey: string | null
} | null {
  const [topicId = '', index, offset, ...groupKey] = key.split(' ')
  if (topicId === retainedWord) return null
  return {
    topicId,
    index: Number(index),
    offset: Number(offset),
    groupKey: groupKey.length === 0 ? null : groupKey.join(' '),
  }
}

export class OutgoingIds {
  private readonly finishedMax: number
  private readonly finished = new LateMap<number, OutgoingPlace>()
  private readonly restored = new LateMap<string, OutgoingId & { readonly place: OutgoingPlace }>()
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

  restore(place: OutgoingPlace, id: OutgoingId): void {
    this.restored.set(place.key, { ...id, place })
    this.restoredIds.set(id.packetId, true)
  }

  /** What was known of the message before the restart. */
  before(origin: MessageOrigin | null): OutgoingId | undefined {
    return origin === null || this.restored.size === 0 ? undefined : this.restored.get(placeOf(origin))
  }

  /** The message is in flight again, under its id. */
  take({ key }: OutgoingPlace): void {
    const known = this.restored.get(key)
    if (known === undefined) return
    this.restored.delete(key)
    this.restoredIds.delete(known.packetId)
  }

  /** PUBCOMP, or a refusal: the id is free when the session's place has passed the message. */
  finish(packetId: number, place: OutgoingPlace): void {
    if (this.restoredIds.has(packetId)) this.carried += 1
    this.finished.set(packetId, place)
  }

  hasFinished(isPassed: (place: OutgoingPlace) => boolean): boolean {
    for (const place of this.finished.values()) if (isPassed(place)) return true
    return false
  }

  /** Takes out what the place has passed; the log may forget it in the same set as it learns of the place. */
  passed(isPassed: (place: OutgoingPlace) => boolean, isReleasing: (packetId: number) => boolean): OutgoingPlace[] {
    const places: OutgoingPlace[] = []
    for (const [packetId, place] of this.finished) {
      if (!isPassed(place)) continue
      this.finished.delete(packetId)
      if (this.restoredIds.has(packetId)) this.carried -= 1
      this.take(place)
      places.push(place)
    }
    for (const { packetId, place } of this.restored.values()) {
      if (!isPassed(place) || isReleasing(packetId)) continue
      this.take(place)
      places.push(place)
    }
    return places
  }
}
