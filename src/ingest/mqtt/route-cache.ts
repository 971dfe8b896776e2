/**
 * MQTT topic bytes -> what the door knows of that topic, found without making a string. Two generations of open-addressed tables: when the
 * young one is full it becomes the old one, and what is still used moves over; so it is bounded and nothing is swept.
 */
import { assert } from '../../base/assert.ts'

export interface CachedByTopic {
  /** The MQTT topic; memory of its own. */
  readonly topic: Uint8Array
  readonly topicHash: number
}

/** Longer topics are not remembered: names come from clients, and the tables count entries, not bytes. */
const cachedTopicBytesMax = 1024

/** Hash of a topic: FNV-1a over its bytes, 32 bits. */
export function hashTopic(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x0100_0193)
  // FNV's low bits are weak; the table takes the low bits.
  return hash ^ (hash >>> 15)
}

function holds(entry: CachedByTopic, bytes: Uint8Array, start: number, end: number): boolean {
  const topic = entry.topic
  if (topic.length !== end - start) return false
  for (let at = 0; at < topic.length; at += 1) if (topic[at] !== bytes[start + at]) return false
  return true
}

class Generation<T extends CachedByTopic> {
  readonly slots: (T | undefined)[]
  readonly mask: number
  count = 0

  constructor(capacity: number) {
    this.slots = new Array<T | undefined>(capacity * 2).fill(undefined)
    this.mask = capacity * 2 - 1
  }

  find(hash: number, bytes: Uint8Array, start: number, end: number): T | undefined {
    let slot = hash & this.mask
    for (;;) {
      const entry = this.slots[slot]
      if (entry === undefined) return undefined
      if (entry.topicHash === hash && holds(entry, bytes, start, end)) return entry
      slot = (slot + 1) & this.mask
    }
  }

  add(entry: T): void {
    let slot = entry.topicHash & this.mask
    while (this.slots[slot] !== undefined) slot = (slot + 1) & this.mask
    this.slots[slot] = entry
    this.count += 1
  }
}

export class TopicCache<T extends CachedByTopic> {
  private readonly capacity: number
  private young: Generation<T>
  private old: Generation<T> | null = null

  /** Holds at most twice `capacity` entries; `capacity` is a power of two. */
  constructor(capacity: number) {
    assert((capacity & (capacity - 1)) === 0, 'the capacity is a power of two')
    this.capacity = capacity
    this.young = new Generation(Math.min(capacity, 64))
  }

  find(hash: number, bytes: Uint8Array, start: number, end: number): T | undefined {
    const young = this.young.find(hash, bytes, start, end)
    if (young !== undefined || this.old === null) return young
    const entry = this.old.find(hash, bytes, start, end)
    if (entry !== undefined) this.add(entry)
    return entry
  }

  /** Adds an entry that `find` did not answer; a long topic is not kept. */
  add(entry: T): void {
    if (entry.topic.length > cachedTopicBytesMax) return
    if (this.young.count * 2 > this.young.mask) this.makeRoom()
    this.young.add(entry)
  }

  private makeRoom(): void {
    const size = this.young.mask + 1
    if (size < this.capacity * 2) {
      const grown = new Generation<T>(size)
      for (const entry of this.young.slots) if (entry !== undefined) grown.add(entry)
      this.young = grown
      return
    }
    this.old = this.young
    this.young = new Generation(this.capacity)
  }

  /** Forgets everything. */
  clear(): void {
    this.young = new Generation(Math.min(this.capacity, 64))
    this.old = null
  }
}
