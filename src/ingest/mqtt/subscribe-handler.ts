/**
 * SUBSCRIBE and UNSUBSCRIBE, 3.1 to 5.0; `$share/NAME/FILTER` is a shared subscription and `$log/TOPIC` a replay in every version.
 */
import type { Partition } from '../../cluster/partition/partition.ts'
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import type { SubscribePacket, SubscriptionRequest, UnsubscribePacket } from '../../protocol/mqtt/packets.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { isOfSys, judgeFilter, plainFilterOf, sharedFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { DoorServices } from './door-services.ts'
import { isOfLog } from './replay-request.ts'
import type { ReplayAnswer } from './replay-table.ts'
import { mqttEvents } from './mqtt-events.ts'
import type { RetainedDebt } from './retained-debt.ts'
import type { RetainedEntry } from './retained-store.ts'
import { RetainedWalk } from './retained-walk.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'

export interface SubscribeOutcome {
  /** SUBACK's, as 5.0 has them; null = the next of the replays has it. */
  readonly reasons: readonly (number | null)[]
  /** Replays that were asked for, in the order of their filters. */
  readonly starting: readonly Promise<ReplayAnswer>[]
  /** Subscriptions that are owed the retained messages. */
  readonly retainedFor: readonly OwedRetained[]
}

/** `debt`: where the session is kept, and is owed them after a restart too. */
interface OwedRetained {
  readonly subscription: Subscription
  readonly debt: RetainedDebt | undefined
}

/** Steps in the tree of retained messages that a SUBSCRIBE goes, to see whether there is anything. */
const lookStepsMax = 64

/** Subscribes one filter after the other. Throws MqttProtocolError for a filter that is none. */
export function subscribe(services: DoorServices, session: MqttSession, packet: SubscribePacket): SubscribeOutcome {
  for (const { filter, noLocal } of packet.subscriptions) {
    demandFilter(filter)
    if (noLocal && sharedFilterOf(filter) !== null) {
      throw new MqttProtocolError(reasonCodes.protocolError, 'no-local on a shared subscription') // [MQTT-3.8.3-4]
    }
  }
  const subscriptionId = packet.properties.subscriptionIdentifier ?? 0
  const retainedFor: OwedRetained[] = []
  const starting: Promise<ReplayAnswer>[] = []
  const unread = unreadBy(session, services)
  const reasons = packet.subscriptions.map((request) => {
    if (isOfLog(request.filter)) {
      starting.push(services.replays.subscribe(session, request, packet))
      return null
    }
    const isNew = !session.subscriptions.has(request.filter)
    const reason = subscribeOne(services, session, request, { subscriptionId, unread })
    const subscription = session.subscriptions.get(request.filter)
    // [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; before 5.0 always [MQTT-3.8.4-3].
    const isOwed =
      sharedFilterOf(request.filter) === null &&
      (request.retainHandling === 0 || (request.retainHandling === 1 && isNew))
    if (reason < 0x80 && isOwed && subscription !== undefined)
      retainedFor.push({ subscription, debt: debtOf(services, subscription) })
    return reason
  })
  if (starting.length < reasons.length) services.onSubscriptionsChanged()
  return { reasons, starting, retainedFor }
}

/** Gives the session what is retained under each filter [MQTT-3.3.1-8]: with the retain flag, whatever retain-as-published says. */
export function deliverRetained(services: DoorServices, retainedFor: readonly OwedRetained[]): void {
  const { clock } = services
  const wallMs = clock.wallMs()
  for (const { subscription, debt } of retainedFor) {
    const { session, filter, qos, noLocal, subscriptionId } = subscription
    if (services.retained.size === 0 && debt === undefined && !isOfSys(filter)) continue
    // A later connection of the client has begun.
    if (debt !== undefined && debt.walk !== 'due') continue
    if (debt !== undefined) debt.walk = 'walking'
    const walk = new RetainedWalk({
      entries: retainedEntries(services, filter),
      qos,
      subscriptionIds: subscriptionId === 0 ? [] : [subscriptionId],
      debt,
      isWanted: ({ topic }, publisher) =>
        session.rights?.mayReceive(topic) !== false &&
        !(noLocal && publisher === session.clientId) &&
        debt?.wants(topic) !== false,
      onEnd: () => {
        debt?.endWalk()
        if (debt !== undefined) services.keeper.places.onProgress(session)
      },
      defer: (goOn) => clock.defer(() => goOn(clock.wallMs())),
    })
    if (!session.offerRetained(walk, wallMs) && debt !== undefined) debt.walk = 'due'
  }
}

/** A session that is attached is given what it is still owed from before a restart, or could not take on its last connection. */
export function deliverOwed(services: DoorServices, session: MqttSession): void {
  const owed: OwedRetained[] = []
  for (const debt of session.debts.due()) {
    const subscription = session.subscriptions.get(debt.filter)
    if (subscription !== undefined) owed.push({ subscription, debt })
  }
  deliverRetained(services, owed)
}

/** The record of a kept session's subscription says that it is owed retained messages: where there are any, or that takes long to find out. */
function debtOf({ retained }: DoorServices, { session, filter }: Subscription): RetainedDebt | undefined {
  session.debts.end(filter)
  const isKept = session.isStored && session.expiryMs > 0
  return isKept && retained.mayHave(filter, lookStepsMax) ? session.debts.begin(filter) : undefined
}

function* retainedEntries({ retained, sys }: DoorServices, filter: string): Generator<RetainedEntry | null> {
  yield* retained.walk(filter)
  yield* sys.walk(filter)
}

/** [MQTT-4.7.1-1], [MQTT-4.7.3-1]: what is no topic filter ends the connection. */
function demandFilter(filter: string): void {
  if (judgeFilter(filter) === 'malformed')
    throw new MqttProtocolError(reasonCodes.malformedPacket, `"${filter}" is no topic filter`)
}

function subscribeOne(
  services: DoorServices,
  session: MqttSession,
  request: SubscriptionRequest,
  { subscriptionId, unread }: { readonly subscriptionId: number; readonly unread: ReadonlyMap<Partition, number> },
): number {
  const { filter, noLocal, retainAsPublished } = request
  const verdict = judgeFilter(filter)
  if (verdict === 'tooDeep' || isOfLog(sharedFilterOf(filter)?.filter ?? '')) return reasonCodes.topicFilterInvalid
  if (session.rights?.maySubscribe(filter) === false) return reasonCodes.notAuthorized
  // Without headers a record does not say who published it.
  if (noLocal && services.mapping.omitsHeaders) return reasonCodes.implementationSpecificError
  if (session.expiryMs > 0 && services.mapping.isBare(plainFilterOf(filter))) {
    return refuseKept(services, session, filter)
  }
  const { subscriptions } = session
  if (!subscriptions.has(filter)) {
    const hasRoom = subscriptions.size < services.options.subscriptionsPerSessionMax
    if (!hasRoom || !services.subscriptions.hasRoomFor(filter)) return reasonCodes.quotaExceeded
  }
  const { qos } = request
  const since = sinceOf(services, session, filter, unread)
  const subscription = { session, filter, qos, noLocal, retainAsPublished, subscriptionId, since } as const
  subscriptions.set(filter, subscription)
  services.subscriptions.set(subscription)
  services.sys.onSubscribed(filter)
  services.commands?.onSubscribed(session, filter)
  return qos
}

/** What a kept session is owed is rebuilt from records: of those without headers it cannot be. */
function refuseKept({ eventBudget, observer }: DoorServices, { clientId }: MqttSession, filter: string): number {
  if (eventBudget.take())
    observer.event(mqttEvents.subscriptionRefused, {
      clientId,
      filter,
      reason: 'a rule with `headers: none` writes what it would match, and the session is kept',
    })
  return reasonCodes.implementationSpecificError
}

/**
 * Where partitions stand in which older messages are still to be handed over: to everybody, or again to this session after a crash, which goes on from
 * what it has not acknowledged.
 */
function unreadBy(session: MqttSession, services: DoorServices): ReadonlyMap<Partition, number> {
  const unread = new Map(services.unread())
  if (session.expiryMs === 0) return unread
  for (const { partition } of session.pendingOrigins(null)) {
    if (!unread.has(partition)) unread.set(partition, liveEnd(services, partition))
  }
  return unread
}

function liveEnd(services: DoorServices, partition: Partition): number {
  return services.livePosition(partition) ?? partition.highWatermark
}

/**
 * A subscription hears what is committed from now on, also where older messages are still to be handed over: for others of the session, or to
 * everybody (`unread`).
 */
function sinceOf(
  services: DoorServices,
  session: MqttSession,
  filter: string,
  unread: ReadonlyMap<Partition, number>,
): Subscription['since'] {
  const before = session.subscriptions.get(filter)
  if (before !== undefined) return before.since
  if (session.behind.size === 0) return unread.size === 0 ? null : unread
  const since = new Map(unread)
  for (const partition of session.behind.keys()) {
    if (!since.has(partition)) since.set(partition, liveEnd(services, partition))
  }
  return since
}

/** Unsubscribes; answers UNSUBACK's reason codes. Messages that wait already are still delivered [MQTT-3.10.4-3]. */
export function unsubscribe(services: DoorServices, session: MqttSession, packet: UnsubscribePacket): number[] {
  packet.filters.forEach(demandFilter)
  const reasons = packet.filters.map((filter) => {
    if (isOfLog(filter)) {
      const isEnded = services.replays.unsubscribe(session, filter)
      return isEnded ? reasonCodes.success : reasonCodes.noSubscriptionExisted
    }
    if (!session.subscriptions.delete(filter)) return reasonCodes.noSubscriptionExisted
    session.debts.end(filter)
    services.commands?.onUnsubscribed(session, filter)
    services.subscriptions.delete(filter, session, services.clock.wallMs())
    return reasonCodes.success
  })
  if (!packet.filters.every(isOfLog)) services.onSubscriptionsChanged()
  return reasons
}

/** Takes all subscriptions of an ended session away. */
export function dropSubscriptions(
  services: Pick<DoorServices, 'subscriptions' | 'onSubscriptionsChanged' | 'clock'>,
  session: MqttSession,
): void {
  if (session.subscriptions.size === 0) return
  const wallMs = services.clock.wallMs()
  for (const filter of session.subscriptions.keys()) services.subscriptions.delete(filter, session, wallMs)
  session.subscriptions.clear()
  services.onSubscriptionsChanged()
}
