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
}

/** Answers a request; false for a packet that is none. Throws MqttProtocolError. */
export function answerRequest(firstByte: number, body: PacketBody, level: 3 | 4 | 5, context: RequestContext): boolean {
  const { services, session, send } = context
  switch (firstByte >>> 4) {
    case packetTypes.subscribe: {
      const packet = decodeSubscribe(firstByte, body, level)
      const { reasons, retainedFor } = subscribe(services, session, packet)
      send(encodeSuback(level, packet.packetId, reasons))
      deliverRetained(services, retainedFor)
      return true
    }
    case packetTypes.unsubscribe: {
      const packet = decodeUnsubscribe(firstByte, body, level)
      send(encodeUnsuback(level, packet.packetId, unsubscribe(services, session, packet)))
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

/** PUBREL, also in answer to a PUBREC whose packet id we do not know: the client is told so and can let go of it. */
export function encodeRelease(level: 3 | 4 | 5, packetId: number, isKnown: boolean): Uint8Array {
  const packet = new Uint8Array(acknowledgementBytesMax)
  const reason = level === 5 && !isKnown ? reasonCodes.packetIdentifierNotFound : reasonCodes.success
  return packet.subarray(0, writeAcknowledgement(packet, 0, packetTypes.pubrel, packetId, reason))
}
