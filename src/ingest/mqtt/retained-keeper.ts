/**
 * Retained messages, durable: each is a record of an internal topic under its MQTT topic, set in one set with the message's own record, so that
 * both survive a crash, or neither. What is set is shown when it is durable, in the order of the log.
 */
import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'
import type { Broker } from '../../broker/broker.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { utf8Text } from '../../protocol/mqtt/utf8.ts'
import { type CommitBatch, type CommitBatches, reasonOf } from './commit-batch.ts'
import { expiryOf, headerNames, type MarkedTimes, mqttText } from './record-headers.ts'
import { headersOf } from './record-scan.ts'
import { isRetainable, type RetainedEntry, type RetainedRecord, RetainedStore } from './retained-store.ts'
import { type ReplayOutcome, scanTopic } from './state-replay.ts'

export const retainedTopic: InternalTopicDefinition = {
  name: '__headwater_retained',
  partitions: 1,
  configs: { 'cleanup.policy': 'compact', 'segment.bytes': '16777216' },
  readable: false,
  holds:
    'The retained message of each MQTT topic: key the topic, value the payload, headers as in any record of an MQTT message.',
}

/** A message that is to be retained; an empty payload takes the topic's message away. */
export interface RetainedMessage {
  /** Bytes of its own. */
  readonly topic: Uint8Array
  /** Bytes of its own. */
  readonly payload: Uint8Array
  /** Section of record headers; bytes that do not change. */
  readonly headers: Uint8Array
  readonly wallMs: number
}

/** A set on its way to the log. */
interface PendingSet {
  readonly topic: string
  /** Null takes the topic's message away. */
  readonly record: RetainedRecord | null
  /** By how much the store may grow. */
  readonly growth: number
  /** Null until its batch has settled. */
  isDurable: boolean | null
}

export interface RetainedKeeperOptions {
  readonly broker: Broker
  readonly commits: CommitBatches
  /** Budget of all retained messages, those on their way included. */
  readonly bytesMax: number
  readonly times?: MarkedTimes
}

export class RetainedKeeper {
  private readonly options: RetainedKeeperOptions
  private readonly store: RetainedStore
  /** In log order. Bound: what a commit holds, and the budget. */
  private readonly pending: PendingSet[] = []
  private pendingBytes = 0

  constructor(options: RetainedKeeperOptions) {
    this.options = options
    this.store = new RetainedStore(options.times)
  }

  get size(): number {
    return this.store.size
  }

  get usedBytes(): number {
    return this.store.usedBytes
  }

  /** Makes sure of the topic and reads it back; what has expired is left out. */
  async open(readBytes: number, wallMs: number): Promise<ReplayOutcome> {
    const { broker } = this.options
    await broker.ensureInternalTopic(retainedTopic)
    return scanTopic(broker, retainedTopic, readBytes, (bytes, record) => {
      const { keyStart, keyEnd, valueStart, valueEnd } = record
      if (keyStart < 0) return
      const name = utf8Text(bytes, keyStart, keyEnd)
      const headers = bytes.subarray(record.headersStart, record.headersEnd)
      const expiresMs = valueStart < 0 ? null : expiryIn(headers)
      if (valueStart < 0 || (expiresMs !== null && expiresMs <= wallMs)) return this.store.remove(name)
      const [topic, payload] = [bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd)]
      this.store.set(name, { topic, payload, headers, expiresMs })
    })
  }

  /** Why the message cannot be retained (5.0's reason code), or success. Nothing has happened yet. */
  judge(topic: Uint8Array, bytes: number, wallMs: number): number {
    if (!isRetainable(topic, 0, topic.length)) return reasonCodes.topicNameInvalid
    const name = utf8Text(topic, 0, topic.length)
    if (this.hasRoomFor(name, bytes)) return reasonCodes.success
    this.sweep(wallMs)
    return this.hasRoomFor(name, bytes) ? reasonCodes.success : reasonCodes.quotaExceeded
  }

  private hasRoomFor(name: string, bytes: number): boolean {
    return this.store.usedBytes + this.pendingBytes + this.store.growth(name, bytes) <= this.options.bytesMax
  }

  /** Takes away what has expired; nobody waits for it to be written. */
  private sweep(wallMs: number): void {
    const { broker, commits } = this.options
    const partition = broker.partitions.get(retainedTopic.name, 0)
    if (partition === undefined) return
    for (const topic of this.store.expired(wallMs)) {
      if (this.pending.some((set) => set.topic === topic)) continue
      if (commits.current().turn.append(partition, wallMs, Buffer.from(topic), null, null) !== null) return
      this.store.remove(topic)
    }
  }

  /** Appends it to the batch's set; answers a reason code. The message's own record must stand in front of it. */
  set(batch: CommitBatch, retained: RetainedMessage): number {
    const { topic, payload, headers, wallMs } = retained
    const partition = this.options.broker.partitions.get(retainedTopic.name, 0)
    if (partition === undefined) return reasonOf('UNKNOWN_TOPIC_OR_PARTITION')
    const isRemoval = payload.length === 0
    const error = batch.turn.append(partition, wallMs, topic, isRemoval ? null : payload, isRemoval ? null : headers)
    if (error !== null) return reasonOf(error)
    const name = utf8Text(topic, 0, topic.length)
    const pending: PendingSet = {
      topic: name,
      record: isRemoval ? null : { topic, payload, headers, expiresMs: expiryIn(headers) },
      growth: isRemoval ? 0 : Math.max(0, this.store.growth(name, topic.length + payload.length + headers.length)),
      isDurable: null,
    }
    this.pending.push(pending)
    this.pendingBytes += pending.growth
    batch.whenSettled((isDurable) => {
      pending.isDurable = isDurable
      this.applySettled()
    })
    return reasonCodes.success
  }

  /** Batches may settle in another order than that of the log. */
  private applySettled(): void {
    let count = 0
    for (const { topic, record, growth, isDurable } of this.pending) {
      if (isDurable === null) break
      count += 1
      this.pendingBytes -= growth
      if (!isDurable) continue
      if (record === null) this.store.remove(topic)
      else this.store.set(topic, record)
    }
    this.pending.splice(0, count)
  }

  /** Something is retained under the filter or will be in a moment, or it takes more than so many steps to see that nothing is. */
  mayHave(filter: string, stepsMax: number): boolean {
    if (this.pending.length > 0) return true
    let steps = 0
    for (const entry of this.walk(filter)) {
      steps += 1
      if (entry !== null || steps > stepsMax) return true
    }
    return false
  }

  /** Walks what is retained under topics that match the (valid) filter; null = a step at which nothing was found. */
  walk(filter: string): Generator<RetainedEntry | null, void, undefined> {
    return this.store.walk(filter)
  }
}

/** When a message expires by its section of headers: wall ms, or null. */
function expiryIn(section: Uint8Array): number | null {
  // Most have none, and need not be taken apart.
  if (Buffer.from(section.buffer, section.byteOffset, section.length).indexOf(headerNames.expires, 0, 'latin1') < 0) {
    return null
  }
  const headers = headersOf(section, { headersStart: 0, headersEnd: section.length })
  return expiryOf(mqttText(headers.find(({ key }) => key === headerNames.expires)?.value))
}
