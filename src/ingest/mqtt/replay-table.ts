/**
 * Replays: `SUBSCRIBE $log/TOPIC[/PARTITION]` reads a Kafka topic from a place that the client chooses and goes on with what comes. 3.1 to 5.0. A replay
 * is not kept: it ends with UNSUBSCRIBE or with the connection, and with a client that may not read the topic any more nothing of it is given.
 */
import { copyBytes } from '../../base/bytes.ts'
import { DiskError } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { Broker } from '../../broker/broker.ts'
import type { SubscribePacket, SubscriptionRequest } from '../../protocol/mqtt/packets.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { inspectUtf8, isValidTopicName, utf8Bytes, utf8Malformed } from '../../protocol/mqtt/utf8.ts'
import type { RecordHeader } from '../../protocol/records/record.ts'
import { type CursorPlace, CursorReading, type CursorReadingOptions } from './cursor-reading.ts'
import { LogReplay } from './log-replay.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { headersOf, type ScannedRecord } from './record-scan.ts'
import {
  type ReplayRefusal,
  type ReplayRequest,
  type ReplayStart,
  readReplayRequest,
  replayName,
} from './replay-request.ts'
import type { MqttSession } from './session.ts'
import type { SessionLink } from './session-types.ts'

export interface ReplayTableOptions extends Omit<CursorReadingOptions, 'giver'> {
  readonly bounds: Pick<MqttDoorOptions, 'replaysPerConnectionMax' | 'replayPartitionsMax'>
  readonly omitsHeaders: boolean
  /** Called after something was given. */
  readonly onDelivered: () => void
}

/** What SUBACK says of one filter: it is granted when there is a replay. */
export interface ReplayAnswer {
  readonly reason: number
  readonly because: string | null
  readonly replay: LogReplay | null
}

/** User properties of what a replay delivers, before those of the record. */
export const replayProperties = {
  topic: 'log.topic',
  partition: 'log.partition',
  offset: 'log.offset',
  timestamp: 'log.timestamp',
  /** The key, where it is text and not the MQTT topic. */
  key: 'log.key',
} as const

/** Starts that are looked up by time at once: each reads index files. */
const lookupsMax = 64

/** A client that is given so much at a time is asked whether its socket still takes it. */
const flushBytes = 65_536

export class ReplayTable {
  private readonly options: ReplayTableOptions
  private readonly reading: CursorReading
  private readonly bySession = new Map<MqttSession, Map<string, LogReplay>>()
  private readonly touched = new Set<SessionLink>()
  private unflushedBytes = 0
  private lookups = 0

  constructor(options: ReplayTableOptions) {
    this.options = options
    this.reading = new CursorReading({
      ...options,
      giver: {
        offerTo: (reader, bytes, record, place) => this.offerTo(reader as LogReplay, bytes, record, place),
        flush: () => this.flush(),
      },
    })
  }

  /** Replays of all clients. */
  get size(): number {
    let size = 0
    for (const replays of this.bySession.values()) size += replays.size
    return size
  }

  private get partitionCount(): number {
    let count = 0
    for (const replay of this.all()) count += replay.partitionCount
    return count
  }

  private *all(): Iterable<LogReplay> {
    for (const replays of this.bySession.values()) yield* replays.values()
  }

  // ------------------------------------------------------------------------------------------- requests

  /**
   * Takes one filter of a SUBSCRIBE; the same one again begins anew. What is granted begins with `LogReplay.begin`, when the client has been told. To a
   * client without the right to read the topic it is the same whether there is one.
   */
  async subscribe(
    session: MqttSession,
    { filter, qos, noLocal, retainAsPublished }: SubscriptionRequest,
    { properties }: SubscribePacket,
  ): Promise<ReplayAnswer> {
    const request = readReplayRequest(filter, properties.userProperties ?? [])
    if (!('start' in request)) return refused(request)
    const partitions = this.partitionsFor(session, request)
    if (!Array.isArray(partitions)) return refused(partitions)
    if (noLocal && this.options.omitsHeaders) {
      const because = 'a rule of this server keeps no headers: a record does not say who published it'
      return refused({ reason: reasonCodes.implementationSpecificError, because })
    }
    const { name, kafkaTopic, partition: index } = request
    const before = this.bySession.get(session)?.get(name)
    if (before !== undefined) this.end(before)
    const full = this.fullness(session, partitions.length)
    if (full !== null) return refused({ reason: reasonCodes.quotaExceeded, because: full })
    const subscriptionId = properties.subscriptionIdentifier ?? 0
    const form = { qos: qos === 0 ? 0 : 1, noLocal, retainAsPublished, subscriptionId } as const
    const onBehind = (behind: LogReplay): void => this.reading.request(behind)
    const replay = new LogReplay({ session, name, kafkaTopic, index, form, onBehind })
    const own = this.bySession.get(session) ?? new Map<string, LogReplay>()
    own.set(name, replay)
    this.bySession.set(session, own)
    this.lookups += 1
    const because = await place(replay, partitions, request.start).finally(() => {
      this.lookups -= 1
    })
    if (because === null) return { reason: form.qos, because, replay }
    this.end(replay)
    return refused({ reason: reasonCodes.implementationSpecificError, because })
  }

  /** The partitions that are asked for, or why not. */
  private partitionsFor(session: MqttSession, request: ReplayRequest): Partition[] | ReplayRefusal {
    const { broker } = this.options
    const { kafkaTopic, partition } = request
    const mayRead = broker.isReadable(kafkaTopic) && session.rights?.mayRead(kafkaTopic) !== false
    if (!mayRead)
      return { reason: reasonCodes.notAuthorized, because: `no right to read the Kafka topic ${kafkaTopic}` }
    const count = broker.topicPartitions(kafkaTopic)
    if (count === undefined)
      return { reason: reasonCodes.topicFilterInvalid, because: `there is no Kafka topic ${kafkaTopic}` }
    if (partition !== null && partition >= count) {
      return { reason: reasonCodes.topicFilterInvalid, because: `${kafkaTopic} has partitions 0 to ${count - 1}` }
    }
    if (request.start.kind === 'offset' && partition === null && count > 1) {
      const because = `${kafkaTopic} has ${count} partitions: an offset needs one, as in $log/${kafkaTopic}/0`
      return { reason: reasonCodes.implementationSpecificError, because }
    }
    return partitionsOf(broker, kafkaTopic, partition)
  }

  private fullness(session: MqttSession, partitions: number): string | null {
    const { replaysPerConnectionMax, replayPartitionsMax } = this.options.bounds
    if ((this.bySession.get(session)?.size ?? 0) >= replaysPerConnectionMax)
      return `a connection may have ${replaysPerConnectionMax} replays`
    if (this.lookups >= lookupsMax) return 'too many replays begin at once'
    return this.partitionCount + partitions > replayPartitionsMax ? 'all replays together read enough partitions' : null
  }

  /** True when there was such a replay: it gives nothing more. */
  unsubscribe(session: MqttSession, filter: string): boolean {
    const replay = this.bySession.get(session)?.get(replayName(filter))
    if (replay === undefined) return false
    this.end(replay)
    return true
  }

  private end(replay: LogReplay): void {
    const { session, name } = replay.options
    this.reading.forget(replay)
    replay.end()
    session.dropReplayed(replay)
    const own = this.bySession.get(session)
    if (own?.get(name) === replay) own.delete(name)
    if (own?.size === 0) this.bySession.delete(session)
  }

  // --------------------------------------------------------------------------------------------- events

  /** The session's connection is gone. */
  onDetached(session: MqttSession): void {
    for (const replay of [...(this.bySession.get(session)?.values() ?? [])]) this.end(replay)
  }

  /** The session could take more. */
  onRoom(session: MqttSession): void {
    const own = this.bySession.get(session)
    if (own !== undefined) for (const replay of own.values()) this.reading.request(replay)
  }

  /** Topics came, went or grew: a new partition is read from its beginning. */
  onPartitionsChanged(): void {
    const { broker } = this.options
    for (const replay of this.all()) {
      const { kafkaTopic, index } = replay.options
      const now = new Set(partitionsOf(broker, kafkaTopic, index))
      for (const partition of [...replay.partitions]) if (!now.has(partition)) replay.unfollow(partition)
      for (const partition of now) replay.follow(partition, partition.log.logStartOffset)
    }
  }

  stop(): void {
    for (const replay of [...this.all()]) this.end(replay)
    this.reading.stop()
  }

  // ------------------------------------------------------------------------------------------- delivery

  private offerTo(replay: LogReplay, bytes: Uint8Array, record: ScannedRecord, where: CursorPlace): boolean {
    const { session, form } = replay.options
    const { link } = session
    if (replay.isEnded || link === null || !link.isWritable) return false
    if (session.rights?.mayRead(where.partition.topic) === false) return true
    const message = replayedMessage(bytes, record, where)
    if (message.isExpired(where.wallMs)) return true
    if (form.noLocal && message.headers.clientId === session.clientId) return true
    const retain = form.retainAsPublished && message.headers.retain
    const subscriptionIds = form.subscriptionId === 0 ? [] : [form.subscriptionId]
    const delivery = { message, qos: form.qos, retain, subscriptionIds, group: null, replay }
    if (!session.offer(delivery, where.wallMs)) return false
    this.touched.add(link)
    this.unflushedBytes += message.sizeInBytes
    if (this.unflushedBytes > flushBytes) this.flush()
    return true
  }

  private flush(): void {
    this.unflushedBytes = 0
    if (this.touched.size === 0) return
    for (const link of this.touched) link.flush()
    this.touched.clear()
    this.options.onDelivered()
  }
}

function refused({ reason, because }: ReplayRefusal): ReplayAnswer {
  return { reason, because, replay: null }
}

function partitionsOf(broker: Broker, kafkaTopic: string, index: number | null): Partition[] {
  const partitions = broker.partitionsOf(kafkaTopic)
  return index === null ? partitions : partitions.filter((partition) => partition.index === index)
}

/** Sets the replay's cursors; answers why it cannot begin there, or null. */
async function place(replay: LogReplay, partitions: readonly Partition[], start: ReplayStart): Promise<string | null> {
  for (const partition of partitions) {
    if (replay.isEnded) return null
    const { log, highWatermark } = partition
    if (start.kind === 'latest') replay.follow(partition, highWatermark)
    else if (start.kind === 'earliest') replay.follow(partition, log.logStartOffset)
    else if (start.kind === 'offset') {
      if (start.offset > highWatermark) return `offset ${start.offset} is beyond the end, ${highWatermark}`
      replay.follow(partition, Math.max(start.offset, log.logStartOffset))
    } else {
      const found = await log.offsetForTimestamp(start.timestampMs).catch((error: unknown) => {
        if (error instanceof DiskError) return 'the log could not be read'
        throw error
      })
      if (typeof found === 'string') return found
      replay.follow(partition, Math.min(found?.offset ?? highWatermark, highWatermark))
    }
  }
  return null
}

/** A message of its own, with copies: under its MQTT topic where it has one, and with the place of its record. */
function replayedMessage(bytes: Uint8Array, record: ScannedRecord, where: CursorPlace): OutgoingMessage {
  const { topic: kafkaTopic, index } = where.partition
  const isNamed = record.topicStart >= 0
  const [start, end] = isNamed ? [record.topicStart, record.topicEnd] : [record.keyStart, record.keyEnd]
  // A topic that begins with $ is the server's own to use.
  const hasTopic = start >= 0 && end > start && bytes[start] !== dollar && isValidTopicName(bytes, start, end)
  const topic = hasTopic ? copyBytes(bytes, start, end) : utf8Bytes(`$log/${kafkaTopic}/${index}`)
  const headers: RecordHeader[] = [
    { key: replayProperties.topic, value: utf8Bytes(kafkaTopic) },
    { key: replayProperties.partition, value: utf8Bytes(String(index)) },
    { key: replayProperties.offset, value: utf8Bytes(String(where.offset)) },
    { key: replayProperties.timestamp, value: utf8Bytes(String(record.timestampMs)) },
  ]
  const hasKey = record.keyStart >= 0 && (isNamed || !hasTopic)
  if (hasKey && (inspectUtf8(bytes, record.keyStart, record.keyEnd) & utf8Malformed) === 0)
    headers.push({ key: replayProperties.key, value: bytes.subarray(record.keyStart, record.keyEnd) })
  headers.push(...headersOf(bytes, record))
  const payload = record.valueStart < 0 ? noBytes : copyBytes(bytes, record.valueStart, record.valueEnd)
  return new OutgoingMessage(topic, payload, headers)
}

const dollar = 0x24
const noBytes = new Uint8Array(0)
