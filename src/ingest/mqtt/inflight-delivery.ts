import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import type { LogReplay } from './log-replay.ts'
import type { OutgoingPlace } from './outgoing-ids.ts'
import type { OutgoingMessage } from './outgoing-message.ts'
import type { RetainedDebt } from './retained-debt.ts'
import type { Delivery } from './session-types.ts'
import type { SharedGroup } from './shared-group.ts'

/**
 * A message of QoS 1 or 2 that has been begun and that the client has not acknowledged. Who offers many at a time makes it at once, for there to be
 * one object a message; of a class and not a literal, which V8 soon makes in the old generation when many of it live for a while.
 */
export class InflightDelivery implements Delivery {
  readonly message: OutgoingMessage
  /** The subscription's, and once it has begun its own. */
  qos: QualityOfService
  readonly retain: boolean
  readonly subscriptionIds: readonly number[]
  readonly group: SharedGroup | null
  readonly replay: LogReplay | undefined
  readonly debt: RetainedDebt | undefined
  packetId = 0
  /** False until it was sent on this connection. */
  isSent = false
  /** It was sent on any connection: the next time with DUP. */
  wasSent = false
  /** The log knows its id: `recording` while that is on its way; `none` = it need not. */
  record: 'none' | 'recording' | 'durable' = 'none'
  /** By which name, unless it need not. */
  place: OutgoingPlace | null = null
  /** Kept by the table: when it was begun, and what shares its slot. */
  order = 0
  next: InflightDelivery | null = null

  constructor({ message, qos, retain, subscriptionIds, group, replay, debt }: Delivery) {
    this.message = message
    this.qos = qos
    this.retain = retain
    this.subscriptionIds = subscriptionIds
    this.group = group
    this.replay = replay
    this.debt = debt
  }

  /** The delivery as one that can begin. */
  static of(delivery: Delivery): InflightDelivery {
    return delivery instanceof InflightDelivery ? delivery : new InflightDelivery(delivery)
  }
}
