/**
 * SUBSCRIBE and UNSUBSCRIBE, 3.1 to 5.0. QoS 2 is granted as QoS 1; shared subscriptions are refused (CONNACK of 5.0 says so); there are no retained
 * messages, so Retain Handling has nothing to do.
 */
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import type { SubscribePacket, SubscriptionRequest, UnsubscribePacket } from '../../protocol/mqtt/packets.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { judgeFilter } from '../../protocol/mqtt/topic-filter.ts'
import type { DoorServices } from './door-services.ts'
import type { MqttSession } from './session.ts'

/** Subscribes one filter after the other; answers SUBACK's reason codes (5.0's). Throws MqttProtocolError for a filter that is none. */
export function subscribe(services: DoorServices, session: MqttSession, packet: SubscribePacket): number[] {
  for (const { filter, noLocal } of packet.subscriptions) {
    const verdict = judgeFilter(filter)
    if (verdict === 'malformed') {
      throw new MqttProtocolError(reasonCodes.malformedPacket, `"${filter}" is no topic filter`) // [MQTT-4.7.1-1]
    }
    if (verdict === 'shared' && noLocal) {
      throw new MqttProtocolError(reasonCodes.protocolError, 'no-local on a shared subscription') // [MQTT-3.8.3-4]
    }
  }
  const subscriptionId = packet.properties.subscriptionIdentifier ?? 0
  const reasons = packet.subscriptions.map((request) => subscribeOne(services, session, request, subscriptionId))
  services.onSubscriptionsChanged()
  return reasons
}

function subscribeOne(
  services: DoorServices,
  session: MqttSession,
  request: SubscriptionRequest,
  subscriptionId: number,
): number {
  const { filter, noLocal, retainAsPublished } = request
  const verdict = judgeFilter(filter)
  if (verdict === 'shared') return reasonCodes.sharedSubscriptionsNotSupported
  if (verdict === 'tooDeep') return reasonCodes.topicFilterInvalid
  if (session.rights?.maySubscribe(filter) === false) return reasonCodes.notAuthorized
  // Without headers a record does not say who published it.
  if (noLocal && services.mapping.omitsHeaders) return reasonCodes.implementationSpecificError
  const { subscriptions } = session
  if (!subscriptions.has(filter)) {
    const hasRoom = subscriptions.size < services.options.subscriptionsPerSessionMax
    if (!hasRoom || !services.subscriptions.hasRoomFor(filter)) return reasonCodes.quotaExceeded
  }
  const qos = request.qos === 0 ? 0 : 1
  const subscription = { session, filter, qos, noLocal, retainAsPublished, subscriptionId } as const
  subscriptions.set(filter, subscription)
  services.subscriptions.set(filter, session.clientId, subscription)
  return qos
}

/** Unsubscribes; answers UNSUBACK's reason codes. Messages that wait already are still delivered [MQTT-3.10.4-3]. */
export function unsubscribe(services: DoorServices, session: MqttSession, packet: UnsubscribePacket): number[] {
  const reasons = packet.filters.map((filter) => {
    if (!session.subscriptions.delete(filter)) return reasonCodes.noSubscriptionExisted
    services.subscriptions.delete(filter, session.clientId)
    return reasonCodes.success
  })
  services.onSubscriptionsChanged()
  return reasons
}

/** Takes all subscriptions of an ended session away. */
export function dropSubscriptions(
  services: Pick<DoorServices, 'subscriptions' | 'onSubscriptionsChanged'>,
  session: MqttSession,
): void {
  if (session.subscriptions.size === 0) return
  for (const filter of session.subscriptions.keys()) services.subscriptions.delete(filter, session.clientId)
  session.subscriptions.clear()
  services.onSubscriptionsChanged()
}
