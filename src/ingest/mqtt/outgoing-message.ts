import { copyBytes } from '../../base/bytes.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { type EncodedPublish, encodePublish } from '../../protocol/mqtt/encode.ts'
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { encodeProperties } from '../../protocol/mqtt/properties.ts'
import type { RecordHeader } from '../../protocol/records/record.ts'
import type { TopicAlias } from './topic-aliases.ts'
import { type DecodedHeaders, decodeRecordHeaders } from './record-headers.ts'

/** How one subscriber gets a message. */
export interface PublishForm {
  readonly level: 3 | 4 | 5
  readonly qos: QualityOfService
  readonly retain: boolean
  /** 5.0: identifiers of every matching subscription that has one [MQTT-3.3.4-4]. */
  readonly subscriptionIds: readonly number[]
  /** 5.0: how the topic is abbreviated; null = not. */
  readonly alias: TopicAlias | null
}

/** A place in the log. */
export interface MessageOrigin {
  readonly partition: Partition
  readonly offset: number
}

/** The same for who makes many of them: of a class, not a literal (see `InflightDelivery`). */
export class LogPlace implements MessageOrigin {
  readonly partition: Partition
  readonly offset: number

  constructor(partition: Partition, offset: number) {
    this.partition = partition
    this.offset = offset
  }
}

/** Marks a message as a command: a record of a Kafka topic with a command route. */
export interface CommandMark extends MessageOrigin {
  readonly topic: string
  /** Wall ms. */
  readonly expiresMs: number
}

/**
 * One record on its way to subscribers: shared by all of them, and encoded once for each form that they have in common. Its payload stands where it was
 * read until somebody keeps the message: most are sent at once, and need no copy.
 */
export class OutgoingMessage {
  /** Where in the log it stands; null = it is a retained one. */
  readonly origin: MessageOrigin | null
  /** Null = it is no command. */
  readonly command: CommandMark | null
  readonly topic: Uint8Array
  readonly headers: DecodedHeaders
  /** Where the payload stands. */
  private source: Uint8Array
  private start = 0
  private readonly payloadLength: number
  private isKept = true
  /** Sessions in which it is in flight. */
  private holders = 0
  // The forms that were asked for; seldom more than one.
  private firstSlot = -1
  private first: EncodedPublish | null = null
  private further: Map<number, EncodedPublish> | null = null

  /** Bytes that do not change. */
  constructor(
    topic: Uint8Array,
    payload: Uint8Array,
    headers: readonly RecordHeader[] | DecodedHeaders,
    origin: MessageOrigin | null = null,
    command: CommandMark | null = null,
  ) {
    this.origin = origin
    this.command = command
    this.topic = topic
    this.source = payload
    this.payloadLength = payload.length
    this.headers = 'qos' in headers ? headers : decodeRecordHeaders(headers)
  }

  /** A message whose payload is a view of bytes that will be used again: whoever keeps it beyond this turn calls `keep`. */
  static passing(
    topic: Uint8Array,
    payload: Uint8Array,
    headers: DecodedHeaders,
    origin: MessageOrigin | null,
  ): OutgoingMessage {
    const message = new OutgoingMessage(topic, payload, headers, origin)
    message.isKept = false
    return message
  }

  /** From now on it holds bytes of its own. */
  keep(): this {
    if (this.isKept) return this
    this.isKept = true
    const { first } = this
    if (first !== null && first.packetIdAt >= 0) {
      // Memory of its own already, with the payload at its end; that of QoS 0 is a part of larger memory.
      this.source = first.memory
      this.start = first.end - this.payloadLength
    } else this.source = copyBytes(this.payload)
    return this
  }

  /** The same for who waits and will get it in this form: bytes of its own are then those of its packet. */
  keepAs(form: PublishForm, wallMs: number): this {
    if (!this.isKept && form.qos > 0 && this.isShared(form)) this.packet(form, wallMs)
    return this.keep()
  }

  /** It is in flight in a session, and keeps its bytes. Answers how many more bytes are held because of it. */
  hold(): number {
    this.keep()
    this.holders += 1
    return this.holders === 1 ? this.sizeInBytes : 0
  }

  /** It is not in flight in a session any more. Answers how many bytes fewer are held. */
  letGo(): number {
    this.holders -= 1
    return this.holders === 0 ? this.sizeInBytes : 0
  }

  get payload(): Uint8Array {
    const { source, start, payloadLength } = this
    return source.length === payloadLength ? source : source.subarray(start, start + payloadLength)
  }

  /** What it is counted as while it waits. */
  get sizeInBytes(): number {
    return this.topic.length + this.payloadLength + 64
  }

  /** The publisher's expiry interval has passed [MQTT-3.3.2-5]. */
  isExpired(wallMs: number): boolean {
    return this.headers.expiresMs !== null && this.headers.expiresMs <= wallMs
  }

  /** Its PUBLISH in this form: the same for all subscribers, but for the packet id and DUP. Its bytes must not be changed. */
  packet(form: PublishForm, wallMs: number): EncodedPublish {
    const isShared = this.isShared(form)
    const slot = (form.level === 5 ? 8 : 0) | (form.retain ? 4 : 0) | form.qos
    const known = isShared ? this.known(slot) : null
    if (known !== null) return known
    const publish = encodePublish({
      level: form.level,
      qos: form.qos,
      retain: form.retain,
      duplicate: false,
      topic: form.alias?.isKnown === true ? noBytes : this.topic,
      packetId: 0,
      properties: form.level === 5 ? this.propertyList(form, wallMs) : noBytes,
      payload: this.payload,
    })
    if (isShared) this.remember(slot, publish)
    return publish
  }

  /** The rest of the expiry interval changes with time, the identifiers with the subscriber. */
  private isShared({ subscriptionIds, alias, level }: PublishForm): boolean {
    return subscriptionIds.length === 0 && alias === null && (level !== 5 || this.headers.expiresMs === null)
  }

  private known(slot: number): EncodedPublish | null {
    return this.firstSlot === slot ? this.first : (this.further?.get(slot) ?? null)
  }

  private remember(slot: number, publish: EncodedPublish): void {
    if (this.first === null) {
      this.firstSlot = slot
      this.first = publish
      return
    }
    this.further ??= new Map()
    this.further.set(slot, publish)
  }

  private propertyList({ subscriptionIds, alias }: PublishForm, wallMs: number): Uint8Array {
    const expires = this.headers.expiresMs
    const properties = {
      ...this.headers.properties,
      topicAlias: alias?.alias,
      // [MQTT-3.3.2-6]: the received value minus the time spent here.
      messageExpiryInterval:
        expires === null ? undefined : Math.min(0xffff_ffff, Math.max(1, Math.ceil((expires - wallMs) / 1000))),
    }
    return encodeProperties(properties, subscriptionIds)
  }
}

const noBytes = new Uint8Array(0)
