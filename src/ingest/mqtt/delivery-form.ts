/** The form in which a connection gets a delivery, and whether it may. */
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import type { OutgoingMessage, PublishForm } from './outgoing-message.ts'
import type { Delivery, SessionLink } from './session-types.ts'
import type { TopicRights } from './topic-rights.ts'

const none: readonly number[] = []

/** The lower of the subscription's and the message's. */
export function qosOf({ qos, message }: Pick<Delivery, 'qos' | 'message'>): QualityOfService {
  return Math.min(qos, message.headers.qos) as QualityOfService
}

/** The form of a delivery to this connection, at the QoS that was found for it. */
export function formOf(
  delivery: Delivery,
  link: SessionLink,
  qos: QualityOfService,
  message: OutgoingMessage,
): PublishForm {
  const { level } = link
  const { retain } = delivery
  const subscriptionIds = level === 5 ? delivery.subscriptionIds : none
  const alias = level === 5 ? link.aliases.of(message.topic) : null
  if (subscriptionIds.length > 0 || alias !== null) return { level, qos, retain, subscriptionIds, alias }
  const at = level * 6 + qos * 2 + (retain ? 1 : 0)
  let form = plainForms[at]
  if (form === undefined) {
    form = { level, qos, retain, subscriptionIds: none, alias: null }
    plainForms[at] = form
  }
  return form
}

/** Those without identifiers and alias, by level, QoS and retain: most messages have one of them. */
const plainForms: (PublishForm | undefined)[] = new Array<PublishForm | undefined>(6 * 6).fill(undefined)

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
