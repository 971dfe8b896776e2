import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock, Timer } from '../../base/ports.ts'
import type { WillMessage } from '../../protocol/mqtt/packets.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import { type CommitBatches, reasonOf } from './commit-batch.ts'
import type { DoorCounters } from './door-counters.ts'
import { type PublisherFacts, RecordHeaderEncoder } from './record-headers.ts'
import type { RouteTable } from './route-table.ts'
import type { TopicRights } from './topic-rights.ts'

/** A will and who left it. */
export interface Will {
  readonly message: WillMessage
  readonly publisher: PublisherFacts
  /** Null: the client may publish everything. */
  readonly rights: TopicRights | null
}

export interface WillKeeperOptions {
  readonly clock: Clock
  clockMark(wallMs: number): ClockMark | null
  readonly routes: RouteTable
  readonly commits: CommitBatches
  readonly counters: DoorCounters
}

/**
 * Wills whose connection has gone: published at once, or after their delay (3.1.3.2.2) unless the client returns. At most one waits for each
 * session, so the sessions bound them. They are stored by the normal path; a will that cannot be stored is counted, nobody waits for it.
 */
export class WillKeeper {
  private readonly options: WillKeeperOptions
  private readonly delayed = new Map<string, { readonly will: Will; readonly timer: Timer }>()
  private waitingForTopic = 0

  constructor(options: WillKeeperOptions) {
    this.options = options
  }

  /** Wills that are due and wait for their Kafka topic to be created. */
  get pendingCount(): number {
    return this.waitingForTopic
  }

  /** The connection went without a normal DISCONNECT. The will is published at the latest when its session ends, in `sessionEndsInMs`. */
  fire(will: Will, sessionEndsInMs: number): void {
    const delayMs = Math.min((will.message.properties.willDelayInterval ?? 0) * 1000, sessionEndsInMs)
    if (delayMs <= 0) return this.publish(will)
    const { clientId } = will.publisher
    this.cancel(clientId)
    const timer = this.options.clock.schedule(Math.min(delayMs, timerMsMax), () => this.fireDelayed(clientId))
    this.delayed.set(clientId, { will, timer })
  }

  /** The client is back before the delay has passed [MQTT-3.1.2-26]. */
  cancel(clientId: string): void {
    const delayed = this.delayed.get(clientId)
    if (delayed === undefined) return
    this.options.clock.cancel(delayed.timer)
    this.delayed.delete(clientId)
  }

  /** The session of the client ends: a waiting will is due [MQTT-3.1.2-8]. */
  fireDelayed(clientId: string): void {
    const delayed = this.delayed.get(clientId)
    if (delayed === undefined) return
    this.cancel(clientId)
    this.publish(delayed.will)
  }

  /** The door closes, and with it every session of this run. */
  fireAll(): void {
    for (const clientId of [...this.delayed.keys()]) this.fireDelayed(clientId)
  }

  private publish(will: Will): void {
    const { clock, routes, commits, counters } = this.options
    const topic = utf8Bytes(will.message.topic)
    const wallMs = clock.wallMs()
    // Asked again: what was allowed at CONNECT may not be any more.
    if (will.rights?.mayPublish(topic, 0, topic.length) === false) return counters.refuse(notAuthorized)
    const route = routes.find(topic, 0, topic.length, wallMs)
    if (route === null) return counters.refuse(willRefused)
    if (route.state === 'waiting') {
      this.waitingForTopic += 1
      return routes.whenDecided(route, () => {
        this.waitingForTopic -= 1
        this.publish(will)
      })
    }
    if (route.state !== 'ready' || route.partition === null) return counters.refuse(reasonName(route.reason))
    if (will.rights?.mayWrite(route.partition.topic) === false) return counters.refuse(notAuthorized)
    const { qos, retain, properties, payload } = will.message
    const headers = new RecordHeaderEncoder(will.publisher).build({
      headers: route.headers,
      qos,
      retain,
      isWill: true,
      clockMark: this.options.clockMark(wallMs),
      topic: route.key === null ? null : topic,
      properties,
      wallMs,
    })
    const batch = commits.current()
    const error = batch.turn.append(route.partition, wallMs, route.key ?? topic, payload, headers)
    if (error !== null) return counters.refuse(reasonName(reasonOf(error)))
    batch.messages += 1
    batch.bytes += topic.length + payload.length
  }
}

const notAuthorized = reasonName(reasonCodes.notAuthorized)
const willRefused = 'topicNameInvalid'
/** Timers of the platform hold 31 bits. */
const timerMsMax = 2_147_483_647
