/**
 * Messages of Sparkplug as JSON records beside the messages themselves (`mqtt.sparkplug.decodedTopic`). A message that cannot be decoded is stored all the same:
 * it is counted and told, and nothing else.
 */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock, Observer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import { type BirthNames, noBirthNames } from '../../protocol/sparkplug/birth-names.ts'
import type { SparkplugCodec } from '../../protocol/sparkplug/payload-codec.ts'
import type { SparkplugSource } from '../../protocol/sparkplug/payload-json.ts'
import type { Sliced } from '../../protocol/sparkplug/wire-fields.ts'
import type { CommitBatch } from './commit-batch.ts'
import { DecodingJob, DecodingQueue, type WhenDecided } from './decoding-queue.ts'
import type { DecodingOutcome, DoorCounters } from './door-counters.ts'
import { EventBudget } from './event-budget.ts'
import { KnownBirths } from './known-births.ts'
import { mqttEvents } from './mqtt-events.ts'
import type { RetainedKeeper } from './retained-keeper.ts'
import { birthTopicOf, decodedPrefix } from './sparkplug.ts'

/** What is decoded in the turn in which it comes: a millisecond or two of a small machine. */
const inlineBytesMax = 8192
/** With its message it must fit into a set of the log. */
const jsonBytesMax = 1_048_576

/** Where a Sparkplug message of one MQTT topic goes as JSON. */
export interface DecodedPlace {
  readonly topic: string
  readonly source: SparkplugSource
  /** The record's key, and the MQTT topic under which subscribers get it. */
  readonly key: Uint8Array
  /** Null: its Kafka topic could not be created. */
  readonly partition: Partition | null
}

export function decodedPlace(topic: string, source: SparkplugSource, partition: Partition | null): DecodedPlace {
  return { topic, source, key: utf8Bytes(decodedPrefix + topic), partition }
}

export interface Decoding {
  readonly outcome: DecodingOutcome
  /** Of what is not simply decoded. */
  readonly reason: string | null
  readonly json: Uint8Array | null
  /** Of a birth. */
  readonly names: BirthNames | null
}

interface PendingMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly job: DecodingJob<Decoding>
}

/** One message of a publisher at a time may be on its way through the decoder. */
export interface DecodingSlot {
  pending: PendingMessage | null
}

export interface SparkplugDecoderOptions {
  readonly codec: SparkplugCodec
  readonly clock: Clock
  readonly observer: Observer
  readonly counters: DoorCounters
  readonly retained: Pick<RetainedKeeper, 'walk'>
  readonly payloadBytesMax: number
}

export class SparkplugDecoder {
  private readonly options: SparkplugDecoderOptions
  private readonly births: KnownBirths
  private readonly queue: DecodingQueue<Decoding>
  private readonly eventBudget: EventBudget

  constructor(options: SparkplugDecoderOptions) {
    this.options = options
    this.births = new KnownBirths(options.codec, options.retained)
    this.queue = new DecodingQueue(options.clock)
    this.eventBudget = new EventBudget(options.clock)
  }

  /** The message as JSON; or what to wait with before the same message is asked for again, with the same slot. `payload` is only looked at. */
  decode(place: DecodedPlace, payload: Uint8Array, slot: DecodingSlot): Decoding | WhenDecided {
    const { pending } = slot
    if (pending !== null) {
      if (pending.topic === place.topic && Buffer.compare(pending.payload, payload) === 0) {
        if (pending.job.result === null) return pending.job.whenDone
        slot.pending = null
        return pending.job.result
      }
      slot.pending = null
    }
    if (this.workBytes(place, payload) <= inlineBytesMax) return finished(this.run(place, payload))
    if (!this.queue.hasRoom) return this.queue.whenRoom
    const copy = copyBytes(payload)
    const job = new DecodingJob(this.run(place, copy))
    slot.pending = { topic: place.topic, payload: copy, job }
    this.queue.add(job)
    return job.whenDone
  }

  /** Appends what was made of a message to the set in which it stands itself. Answers false where the place is no good any more. */
  keep(
    batch: CommitBatch,
    place: DecodedPlace,
    decoding: Decoding,
    record: { readonly clientId: string; readonly headers: () => Uint8Array; readonly wallMs: number },
  ): boolean {
    if (decoding.names !== null)
      this.births.keep(birthTopicOf(place.source, place.source.deviceId), decoding.names, batch)
    const { json } = decoding
    if (json === null || place.partition === null) {
      this.tell(place, decoding, record.clientId)
      return true
    }
    const error = batch.turn.append(place.partition, record.wallMs, place.key, json, record.headers())
    if (error === null) {
      this.tell(place, decoding, record.clientId)
      return true
    }
    const outcome = error === 'MESSAGE_TOO_LARGE' ? 'too_large' : 'not_stored'
    this.tell(place, { outcome, reason: `${place.partition.topic} does not take it (${error})` }, record.clientId)
    return error === 'MESSAGE_TOO_LARGE'
  }

  stop(): void {
    this.queue.stop()
  }

  private tell(place: DecodedPlace, { outcome, reason }: Pick<Decoding, 'outcome' | 'reason'>, clientId: string): void {
    const { counters, observer } = this.options
    counters.decoded(outcome)
    if (reason === null || !this.eventBudget.take()) return
    const event = outcome === 'unnamed' ? mqttEvents.sparkplugUnnamed : mqttEvents.sparkplugUndecoded
    observer.event(event, { clientId, topic: place.topic, reason })
  }

  /** Bytes that have to be looked through for it. */
  private workBytes({ source }: DecodedPlace, payload: Uint8Array): number {
    if (payload.length > this.options.payloadBytesMax) return 0
    const own = isBirth(source) ? payload.length : this.births.unreadBytes(birthTopicOf(source, source.deviceId))
    const node = source.deviceId === null ? 0 : this.births.unreadBytes(birthTopicOf(source, null))
    return payload.length + own + node
  }

  private *run({ source, partition }: DecodedPlace, payload: Uint8Array): Sliced<Decoding> {
    const { codec, payloadBytesMax } = this.options
    const fail = (outcome: DecodingOutcome, reason: string, known: BirthNames | null = null): Decoding => {
      // An older birth says nothing of what comes after this one.
      return { outcome, reason, json: null, names: isBirth(source) ? (known ?? noBirthNames) : null }
    }
    if (payload.length === 0) return fail('malformed', 'it is empty')
    if (payload.length > payloadBytesMax)
      return fail('too_large', `it has ${payload.length} bytes, more than the ${payloadBytesMax} that are decoded`)
    const names = isBirth(source) ? yield* codec.namesOf(payload) : null
    if (names !== null && 'reason' in names) return fail(names.kind, names.reason)
    if (partition === null) return fail('not_stored', 'its Kafka topic could not be created', names)
    const own = names ?? (yield* this.births.find(birthTopicOf(source, source.deviceId)))
    const node = source.deviceId === null ? own : yield* this.births.find(birthTopicOf(source, null))
    const written = yield* codec.jsonOf(payload, source, { own, node })
    if ('reason' in written) return fail(written.kind, written.reason, names)
    const { unnamed } = written
    const json = utf8Bytes(written.json)
    if (json.length > jsonBytesMax) return fail('too_large', `it makes ${json.length} bytes of JSON`, names)
    const reason = unnamed === 0 ? null : `${unnamed} of its metrics have an alias that no known birth gives`
    return { outcome: unnamed === 0 ? 'decoded' : 'unnamed', reason, json, names }
  }
}

function isBirth({ messageType }: SparkplugSource): boolean {
  return messageType === 'NBIRTH' || messageType === 'DBIRTH'
}

function finished<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

/** What a JSON record says of itself, beside what its message says. */
export function decodedProperties(properties: MqttProperties): MqttProperties {
  return { ...properties, payloadFormatIndicator: 1, contentType: 'application/json' }
}
