/**
 * Which MQTT topics a stretch of the log may hold, small enough to be kept for much of it: 32-bit fingerprints of each topic, of the levels it
 * begins with, and of each level in its place. It may say yes for a topic that is not there (for one of `entriesMax` / 2^32 questions), never no for one that is.
 */
import { plainFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import { type CachedByTopic, hashTopic } from './route-cache.ts'

/** Levels beyond this are not told apart. */
const levelsMax = 8
const slash = 0x2f

/** Entries of one summary: 128 KiB when it is closed. */
export const summaryEntriesMax = 32_768

/** A topic of the cache, and the two newest summaries that have it already: of the live end, and of what is read behind it. */
export interface SummarizedTopic extends CachedByTopic {
  summarizedIn: number
  summarizedBefore: number
}

/** No summary has it. */
export const unsummarized = { summarizedIn: 0, summarizedBefore: 0 } as const

/** What a closed stretch of the log may hold. */
export class TopicSummary {
  private readonly entries: Uint32Array

  /** `entries` in ascending order. */
  constructor(entries: Uint32Array) {
    this.entries = entries
  }

  get sizeInBytes(): number {
    return this.entries.byteLength + overheadBytes
  }

  /** False: no topic of the stretch matches the filter. */
  mayMatch(probe: FilterProbe): boolean {
    return probe.some((all) => all.every((entry) => this.has(entry)))
  }

  private has(entry: number): boolean {
    let low = 0
    let high = this.entries.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.entries[middle] as number
      if (found === entry) return true
      if (found < entry) low = middle + 1
      else high = middle - 1
    }
    return false
  }
}

/** An object, its typed array, its places in a list and a map. */
const overheadBytes = 256

let lastId = 0

/** Collects the fingerprints of a stretch: an open-addressed table that doubles. */
export class SummaryEntries {
  private readonly id = ++lastId
  private slots = new Uint32Array(64)
  private count = 0

  get sizeInBytes(): number {
    return this.slots.byteLength + overheadBytes
  }

  get isFull(): boolean {
    return this.count >= summaryEntriesMax
  }

  /** It has not got all that it was given: one batch may hold more than a summary is worth. */
  get isOverfull(): boolean {
    return this.count >= 2 * summaryEntriesMax
  }

  /** Takes in a topic; one that it has already costs a comparison. */
  add(topic: SummarizedTopic): void {
    if (topic.summarizedIn === this.id || topic.summarizedBefore === this.id || this.isOverfull) return
    topic.summarizedBefore = topic.summarizedIn
    topic.summarizedIn = this.id
    for (const entry of entriesOf(topic.topic)) this.put(entry)
  }

  private put(entry: number): void {
    if (this.count * 2 >= this.slots.length) this.grow()
    const mask = this.slots.length - 1
    let slot = entry & mask
    while (this.slots[slot] !== 0) {
      if (this.slots[slot] === entry) return
      slot = (slot + 1) & mask
    }
    this.slots[slot] = entry
    this.count += 1
  }

  private grow(): void {
    const before = this.slots
    this.slots = new Uint32Array(before.length * 2)
    this.count = 0
    for (const entry of before) if (entry !== 0) this.put(entry)
  }

  close(): TopicSummary {
    return new TopicSummary(this.slots.filter((entry) => entry !== 0).sort())
  }
}

/** Fingerprints of which one group must be there as a whole; `[[]]` = any topic may match. */
export type FilterProbe = readonly (readonly number[])[]

/** What a summary is asked for a topic filter, `$share/NAME/` in front of it or not. */
export function probeOf(filter: string): FilterProbe {
  const bytes = Buffer.from(plainFilterOf(filter))
  const levels = levelsOf(bytes)
  const isWild = ({ start, end }: Level): boolean =>
    end - start === 1 && (bytes[start] === 0x2b || bytes[start] === 0x23)
  const literal = levels.slice(0, levelsMax).flatMap((level, index) => {
    return isWild(level) ? [] : [levelEntry(bytes, level, index)]
  })
  const firstWild = levels.findIndex(isWild)
  if (firstWild < 0) return [[topicEntry(bytes, bytes.length)]]
  if (firstWild === 0) return [literal]
  const prefixLevels = Math.min(firstWild, levelsMax)
  const begins = [...literal, prefixEntry(bytes, (levels[prefixLevels - 1] as Level).end + 1)]
  // `a/b/#` takes `a/b` too [4.7.1.2].
  const takesParent = firstWild <= levelsMax && bytes[(levels[firstWild] as Level).start] === 0x23
  if (!takesParent) return [begins]
  return [begins, [topicEntry(bytes, (levels[firstWild - 1] as Level).end)]]
}

interface Level {
  readonly start: number
  readonly end: number
}

function levelsOf(bytes: Uint8Array): Level[] {
  const levels: Level[] = []
  let start = 0
  for (let at = 0; at <= bytes.length; at += 1) {
    if (at < bytes.length && bytes[at] !== slash) continue
    levels.push({ start, end: at })
    start = at + 1
  }
  return levels
}

function entriesOf(topic: Uint8Array): number[] {
  const levels = levelsOf(topic)
  const entries = [topicEntry(topic, topic.length)]
  for (let index = 0; index < Math.min(levels.length, levelsMax); index += 1) {
    const level = levels[index] as Level
    entries.push(levelEntry(topic, level, index))
    if (index + 1 < levels.length) entries.push(prefixEntry(topic, level.end + 1))
  }
  return entries
}

function topicEntry(bytes: Uint8Array, end: number): number {
  return mixed(hashTopic(bytes, 0, end))
}

/** `end` is behind the slash. */
function prefixEntry(bytes: Uint8Array, end: number): number {
  return mixed(hashTopic(bytes, 0, end) ^ 0x9e37_79b9)
}

function levelEntry(bytes: Uint8Array, { start, end }: Level, index: number): number {
  return mixed(hashTopic(bytes, start, end) + Math.imul(index + 1, 0x85eb_ca6b))
}

/** All 32 bits depend on all; never 0, which is an empty slot. */
function mixed(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  hash = (hash ^ (hash >>> 16)) >>> 0
  return hash === 0 ? 1 : hash
}
