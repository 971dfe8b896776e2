/** Packets that are answered at once, by one packet: SUBSCRIBE, UNSUBSCRIBE, PINGREQ, PUBREC. */
import {
  acknowledgementBytesMax,
  encodeSuback,
  encodeUnsuback,
  pingResponse,
  writeAcknowledgement,
} from '../../protocol/mqtt/encode.ts'
import { packetTypes } from '../../protocol/mqtt/packet-types.ts'
import {
  checkPingRequest,
  decodeSubscribe,
  decodeUnsubscribe,
  type PacketBody,
  type SubscribePacket,
} from '../../protocol/mqtt/packets.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import type { DoorServices } from './door-services.ts'
import { isOfLog } from './replay-request.ts'
import type { ReplayAnswer } from './replay-table.ts'
import type { MqttSession } from './session.ts'
import type { SessionLink } from './session-types.ts'
import { deliverRetained, type SubscribeOutcome, subscribe, unsubscribe } from './subscribe-handler.ts'

export interface RequestContext {
  readonly services: DoorServices
  readonly session: MqttSession
  /** The connection that the request came by, and the answer goes. */
  readonly link: RequestLink
}

/** A connection that takes answers. */
export interface RequestLink extends Pick<SessionLink, 'level' | 'packetBytesMax' | 'flush'> {
  /** It may be told in words why something is refused: 5.0, unless the client has said no [MQTT-3.1.2-29]. */
  readonly takesReasons: boolean
  /** Queues a packet. */
  send(packet: Uint8Array): void
}

/** Answers a request; false for a packet that is none. Throws MqttProtocolError. */
export function answerRequest(firstByte: number, body: PacketBody, context: RequestContext): boolean {
  const { services, session, link } = context
  const { level } = link
  switch (firstByte >>> 4) {
    case packetTypes.subscribe: {
      const packet = decodeSubscribe(firstByte, body, level)
      const outcome = subscribe(services, session, packet)
      const filters = packet.subscriptions.map(({ filter }) => filter)
      whenSaved(context, filters, (isSaved) => {
        if (outcome.starting.length === 0) return answerSubscribe(context, packet, outcome, isSaved, [])
        void Promise.all(outcome.starting).then((replays) => {
          answerSubscribe(context, packet, outcome, isSaved, replays)
          link.flush()
        })
      })
      return true
    }
    case packetTypes.unsubscribe: {
      const packet = decodeUnsubscribe(firstByte, body, level)
      const reasons = unsubscribe(services, session, packet)
      whenSaved(context, packet.filters, () => link.send(encodeUnsuback(level, packet.packetId, reasons)))
      return true
    }
    case packetTypes.pingreq:
      checkPingRequest(firstByte, body)
      link.send(pingResponse)
      return true
    default:
      return false
  }
}

/** SUBACK, then what is owed to the new subscriptions; a replay that was granted begins. */
function answerSubscribe(
  { services, link }: RequestContext,
  { packetId, subscriptions }: SubscribePacket,
  { reasons, retainedFor }: SubscribeOutcome,
  isSaved: boolean,
  replays: readonly ReplayAnswer[],
): void {
  const started = replays.values()
  const answers = subscriptions.map((_each, index) => reasons[index] ?? (started.next().value as ReplayAnswer).reason)
  const codes = isSaved ? answers : answers.map(() => reasonCodes.quotaExceeded)
  const because = isSaved ? replays.find((replay) => replay.because !== null)?.because : undefined
  const { level, takesReasons, packetBytesMax } = link
  const withText = takesReasons && because != null
  const suback = encodeSuback(level, packetId, codes, withText ? { reasonString: because } : {})
  // [MQTT-3.9.2-1]: the text only where the client takes it.
  link.send(suback.length <= packetBytesMax ? suback : encodeSuback(level, packetId, codes))
  deliverRetained(services, retainedFor)
  for (const { replay } of replays) {
    if (replay === null) continue
    if (isSaved) replay.begin()
    else services.replays.unsubscribe(replay.options.session, replay.options.name)
  }
}

/** A kept session's subscriptions are in the log before the client is told of them: it will not subscribe again when it comes back. */
function whenSaved(context: RequestContext, filters: readonly string[], answer: (isSaved: boolean) => void): void {
  const kept = new Set(filters.filter((filter) => !isOfLog(filter)))
  const { keeper } = context.services
  const batch = kept.size === 0 ? null : keeper.saveSubscriptions(context.session, kept)
  if (batch === null) return answer(true)
  batch.whenSettled((isSaved) => {
    answer(isSaved)
    context.link.flush()
  })
}

/** PUBREL, also in answer to a PUBREC whose packet id we do not know: the client is told so and can let go of it. */
export function encodeRelease(level: 3 | 4 | 5, packetId: number, isKnown: boolean): Uint8Array {
  const packet = new Uint8Array(acknowledgementBytesMax)
  const reason = level === 5 && !isKnown ? reasonCodes.packetIdentifierNotFound : reasonCodes.success
  return packet.subarray(0, writeAcknowledgement(packet, 0, packetTypes.pubrel, packetId, reason))
}
