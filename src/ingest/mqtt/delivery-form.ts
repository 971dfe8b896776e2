/** How a delivery is counted while it waits, and the form in which a connection gets it. */
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import type { OutgoingMessage, PublishForm } from './outgoing-message.ts'
import type { Delivery, LogDelivery, SessionLink } from './session-types.ts'
import type { TopicRights } from './topic-rights.ts'

const retainedReferenceBytes = 64
const none: readonly number[] = []

/** What a waiting delivery is counted as: the payload of a retained message is counted where it is kept. */
export function waitingBytes(delivery: Delivery): number {
  return isFromLog(delivery) ? delivery.message.sizeInBytes : retainedReferenceBytes
}

/** True of a message, false of the place of a retained one. */
export function isFromLog(delivery: Delivery): delivery is LogDelivery {
  return 'payload' in delivery.message
}

/** The form of a delivery to this connection, at the QoS that was found for it. */
export function formOf(
  delivery: Delivery,
  link: SessionLink,
  qos: QualityOfService,
  message: OutgoingMessage,
): PublishForm {
  return {
    level: link.level,
    qos,
    retain: delivery.retain,
    subscriptionIds: link.level === 5 ? delivery.subscriptionIds : none,
    alias: link.level === 5 ? link.aliases.of(message.topic) : null,
  }
}

/**
 * A message of the log is given to who may read its Kafka topic, a command to who may read the one that its MQTT topic belongs to; what access control
 * says may have changed since the SUBSCRIBE.
 */
export function mayRead(
  { rights }: { readonly rights: TopicRights | null },
  { origin, command }: OutgoingMessage,
): boolean {
  if (rights === null) return true
  if (command !== null) return rights.mayReceive(command.topic)
  return origin === null || rights.mayRead(origin.partition.topic)
}
