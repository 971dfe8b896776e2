/** CONNECT, 3.1 to 5.0: what is refused, what is granted. User name and password are not checked yet; enhanced authentication is refused (0x8C). */
import type { ConnectPacket, PacketBody } from '../../protocol/mqtt/packets.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { DoorServices } from './door-services.ts'
import type { MqttSession } from './session.ts'

/** What a client gets. */
export interface ConnectGrant {
  readonly kind: 'granted'
  readonly clientId: string
  readonly isAssignedClientId: boolean
  readonly keepAliveMs: number
  readonly sessionExpiryMs: number
  /** 5.0: properties of CONNACK but the assigned client id. */
  readonly properties: MqttProperties
}

export type ConnectVerdict =
  | ConnectGrant
  | { readonly kind: 'refused'; readonly reason: number; readonly because: string }

/** Decides a CONNECT; looks at nothing but the packet and the options. */
export function judgeConnect(packet: ConnectPacket, services: DoorServices): ConnectVerdict {
  const { options } = services
  const { properties, level } = packet
  if (properties.authenticationMethod !== undefined) {
    return refused(reasonCodes.badAuthenticationMethod, 'enhanced authentication is not served') // [MQTT-4.12.0-1]
  }
  if (utf8Bytes(packet.clientId).length > options.clientIdBytesMax) {
    return refused(
      reasonCodes.clientIdentifierNotValid,
      `the client id is longer than ${options.clientIdBytesMax} bytes`,
    )
  }
  const isAssignedClientId = packet.clientId === ''
  if (isAssignedClientId && level !== 5 && !packet.cleanStart) {
    return refused(reasonCodes.clientIdentifierNotValid, 'no client id for a kept session') // 3.1.1: [MQTT-3.1.3-8]
  }
  if (packet.will !== null) {
    const plan = services.mapping.plan(packet.will.topic)
    if (plan.kind === 'refused') return refused(reasonCodes.topicNameInvalid, `the will: ${plan.reason}`)
  }
  const clientId = isAssignedClientId
    ? `hw-${Buffer.from(services.entropy.bytes(12)).toString('hex')}`
    : packet.clientId
  const keepAlive = grantedKeepAlive(packet, options.keepAliveSecondsMax)
  const expiry = grantedExpiry(packet, options.sessionExpirySecondsMax)
  return {
    kind: 'granted',
    clientId,
    isAssignedClientId,
    keepAliveMs: keepAlive * 1000,
    sessionExpiryMs: expiry * 1000,
    properties: {
      receiveMaximum: options.receiveMaximum,
      maximumPacketSize: options.packetBytesMax,
      topicAliasMaximum: options.topicAliasMaximum,
      serverKeepAlive: keepAlive === packet.keepAliveSeconds ? undefined : keepAlive,
      sessionExpiryInterval: expiry === (properties.sessionExpiryInterval ?? 0) ? undefined : expiry,
    },
  }
}

function refused(reason: number, because: string): ConnectVerdict {
  return { kind: 'refused', reason, because }
}

/** Only a 5.0 client can be told another keep-alive than it asked for [MQTT-3.2.2-22]. */
function grantedKeepAlive(packet: ConnectPacket, secondsMax: number): number {
  const asked = packet.keepAliveSeconds
  return packet.level === 5 && (asked === 0 || asked > secondsMax) ? secondsMax : asked
}

/** 0xFFFFFFFF asks for ever; a kept session of 3.1.1 has no end of its own either: both get the longest we keep. */
function grantedExpiry(packet: ConnectPacket, secondsMax: number): number {
  if (packet.level !== 5) return packet.cleanStart ? 0 : secondsMax
  return Math.min(packet.properties.sessionExpiryInterval ?? 0, secondsMax)
}

export interface OpenedSession {
  readonly session: MqttSession
  readonly isPresent: boolean
  /** The log knows of the client's session, or did until now. */
  readonly wasStored: boolean
}

/**
 * The session of an accepted CONNECT: an earlier connection of the client gives way [MQTT-3.1.4-3], a waiting will is taken back, packet ids from before a
 * restart come back to a client that kept its state. Null when no more sessions are allowed.
 */
export function openSession(packet: ConnectPacket, clientId: string, services: DoorServices): OpenedSession | null {
  const { sessions, packetIds, wills } = services
  const wasStored = sessions.get(clientId)?.isStored === true
  sessions.get(clientId)?.link?.takeOver(packet.cleanStart)
  const opened = sessions.open(clientId, packet.cleanStart)
  if (opened === null) return null
  const carried = packetIds.takeCarried(clientId)
  if (!packet.cleanStart) for (const [id, fingerprint] of carried) opened.session.carriedIds.set(id, fingerprint)
  wills.cancel(clientId)
  return { ...opened, wasStored }
}

/** The level that a CONNECT claims, as far as an answer to it depends on it: what is above 5 is answered in the way of 5.0. */
export function peekLevel(body: PacketBody): 4 | 5 {
  const at = body.start
  const isMqtt = body.end - at > 6 && body.source[at + 1] === 4 && body.source[at + 2] === 0x4d
  return isMqtt && (body.source[at + 6] as number) >= 5 ? 5 : 4
}
