/** Packets that are answered at once, by one packet: SUBSCRIBE, UNSUBSCRIBE, PINGREQ, PUBREC. */
import {
  acknowledgementBytesMax,
  encodeSuback,
  encodeUnsuback,
  pingResponse,
  writeAcknowledgement,
} from '../../protocol/mqtt/encode.ts'
import { packetTypes } from '../../protocol/mqtt/packet-types.ts'
import { checkPingRequest, decodeSubscribe, decodeUnsubscribe, type PacketBody } from '../../protocol/mqtt/packets.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import type { DoorServices } from './door-services.ts'
import type { MqttSession } from './session.ts'
import { deliverRetained, subscribe, unsubscribe } from './subscribe-handler.ts'

export interface RequestContext {
  readonly services: DoorServices
  readonly session: MqttSession
  /** Queues a packet. */
  readonly send: (packet: Uint8Array) => void
  /** Sends what is queued. */
  readonly flush: () => void
}

/** Answers a request; false for a packet that is none. Throws MqttProtocolError. */
export function answerRequest(firstByte: number, body: PacketBody, level: 3 | 4 | 5, context: RequestContext): boolean {
  const { services, session, send } = context
  switch (firstByte >>> 4) {
    case packetTypes.subscribe: {
      const packet = decodeSubscribe(firstByte, body, level)
      const { reasons, retainedFor } = subscribe(services, session, packet)
      const filters = packet.subscriptions.map(({ filter }) => filter)
      whenSaved(context, filters, (isSaved) => {
        send(encodeSuback(level, packet.packetId, isSaved ? reasons : reasons.map(() => reasonCodes.quotaExceeded)))
        deliverRetained(services, retainedFor)
      })
      return true
    }
    case packetTypes.unsubscribe: {
      const packet = decodeUnsubscribe(firstByte, body, level)
      const reasons = unsubscribe(services, session, packet)
      whenSaved(context, packet.filters, () => send(encodeUnsuback(level, packet.packetId, reasons)))
      return true
    }
    case packetTypes.pingreq:
      checkPingRequest(firstByte, body)
      send(pingResponse)
      return true
    default:
      return false
  }
}

/** A kept session's subscriptions are in the log before the client is told of them: it will not subscribe again when it comes back. */
function whenSaved(context: RequestContext, filters: readonly string[], answer: (isSaved: boolean) => void): void {
  const batch = context.services.keeper.saveSubscriptions(context.session, new Set(filters))
  if (batch === null) return answer(true)
  batch.whenSettled((isSaved) => {
    answer(isSaved)
    context.flush()
  })
}

/** PUBREL, also in answer to a PUBREC whose packet id we do not know: the client is told so and can let go of it. */
export function encodeRelease(level: 3 | 4 | 5, packetId: number, isKnown: boolean): Uint8Array {
  const packet = new Uint8Array(acknowledgementBytesMax)
  const reason = level === 5 && !isKnown ? reasonCodes.packetIdentifierNotFound : reasonCodes.success
  return packet.subarray(0, writeAcknowledgement(packet, 0, packetTypes.pubrel, packetId, reason))
}
