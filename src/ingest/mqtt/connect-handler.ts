/** CONNECT, 3.1 to 5.0: what is refused, what is granted, and who it is where that needs no exchange. */
import type { GateReason } from '../../base/connection-gate.ts'
import type { PeerFacts } from '../../base/ports.ts'
import { strictUtf8 } from '../../base/strict-utf8.ts'
import type { ConnectPacket, PacketBody } from '../../protocol/mqtt/packets.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { anonymousPrincipal, userPrincipal } from '../../security/principal.ts'
import { isTextPayload, utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { DoorServices } from './door-services.ts'
import type { MqttListenerOptions } from './listener-options.ts'
import { payloadFault } from './payload-check.ts'
import type { MqttSession } from './session.ts'
import { rightsOf } from './topic-rights.ts'

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

/** What the connection that brings a CONNECT is: how large its packets may be, and what its listener has against it. */
export interface ConnectOrigin {
  readonly packetBytesMax: number
  readonly refusal: string | null
}

/** Decides a CONNECT; looks at nothing but the packet, where it comes from, and the options. */
export function judgeConnect(packet: ConnectPacket, origin: ConnectOrigin, services: DoorServices): ConnectVerdict {
  const { options } = services
  const { properties, level } = packet
  if (origin.refusal !== null) {
    const isRate = origin.refusal === ('rate' satisfies GateReason)
    const reason = isRate ? reasonCodes.connectionRateExceeded : reasonCodes.quotaExceeded
    return refused(reason, `one connection too many (${origin.refusal})`)
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
  if (isAssignedClientId && level === 3) {
    return refused(reasonCodes.clientIdentifierNotValid, 'no client id, which 3.1 asks for') // 3.1, CONNECT
  }
  if (packet.will !== null) {
    const plan = services.mapping.plan(packet.will.topic)
    if (plan.kind === 'refused') return refused(reasonCodes.topicNameInvalid, `the will: ${plan.reason}`)
    const { payload, retain, properties: claims } = packet.will
    const rule = plan.kind === 'routed' ? plan.rule : null
    const judged = { source: payload, start: 0, end: payload.length, retain }
    // It is counted when it is published.
    const fault = payloadFault(services.checks, rule, judged, null)
    if (fault !== null) return refused(reasonCodes.payloadFormatInvalid, `the will: ${fault}`)
    if (options.checkPayloadFormat && claims.payloadFormatIndicator === 1 && !isTextPayload(payload)) {
      return refused(reasonCodes.payloadFormatInvalid, 'the will says that it is UTF-8, and it is not')
    }
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
      maximumPacketSize: origin.packetBytesMax,
      topicAliasMaximum: options.topicAliasMaximum,
      serverKeepAlive: keepAlive === packet.keepAliveSeconds ? undefined : keepAlive,
      sessionExpiryInterval: expiry === (properties.sessionExpiryInterval ?? 0) ? undefined : expiry,
    },
  }
}

export type Identity =
  /** `lifetimeMs`: how long what was shown is good for; without it, without end. */
  | { readonly kind: 'known'; readonly principal: string; readonly lifetimeMs?: number }
  | (ConnectVerdict & { readonly kind: 'refused' })

/** Who the client is; a promise where a password has to be checked. */
export function identify(
  packet: ConnectPacket,
  peer: PeerFacts,
  listener: MqttListenerOptions,
  services: DoorServices,
): Identity | Promise<Identity> {
  if (listener.authentication === 'token') return identifyByToken(packet, peer, services)
  if (listener.authentication === 'password') return identifyByPassword(packet, peer, services)
  if ((listener.saslMechanisms ?? []).length > 0) {
    return { kind: 'refused', reason: reasonCodes.notAuthorized, because: 'no enhanced authentication' }
  }
  const principal = services.principalOf(peer)
  if (principal !== null) return { kind: 'known', principal }
  return { kind: 'refused', reason: reasonCodes.notAuthorized, because: 'no rule fits the certificate' }
}

const refuse = (reason: number, because: string): Identity => ({ kind: 'refused', reason, because })

/** The password is a token. A user name may be left out; one that is there must be the token's. */
async function identifyByToken(
  { userName, password }: ConnectPacket,
  peer: PeerFacts,
  { authenticator }: DoorServices,
): Promise<Identity> {
  if (authenticator === null) throw new Error('a listener with tokens in a door without an authenticator')
  if (password === null) return refuse(reasonCodes.badUserNameOrPassword, 'no token')
  const verdict = await authenticator.checkToken(peer.remoteHost, Buffer.from(password).toString('latin1'))
  if (verdict.kind === 'busy') return refuse(reasonCodes.serverBusy, verdict.reason)
  if (verdict.kind === 'wrong') return refuse(reasonCodes.notAuthorized, `the token: ${verdict.reason}`)
  if (userName !== null && userName !== '' && userName !== verdict.userName) {
    return refuse(reasonCodes.badUserNameOrPassword, 'the user name is not the one of the token')
  }
  return { kind: 'known', principal: userPrincipal(verdict.userName), lifetimeMs: verdict.lifetimeMs }
}

async function identifyByPassword(
  { userName, password }: ConnectPacket,
  peer: PeerFacts,
  { authenticator }: DoorServices,
): Promise<Identity> {
  if (authenticator === null) throw new Error('a listener with passwords in a door without an authenticator')
  if (userName === null || userName === '' || password === null) {
    return refuse(reasonCodes.badUserNameOrPassword, 'no user name or password')
  }
  const text = strictUtf8(password)
  if (text === null) return refuse(reasonCodes.badUserNameOrPassword, 'the password is not UTF-8')
  const verdict = await authenticator.checkPassword(peer.remoteHost, userName, text)
  if (verdict === 'right') return { kind: 'known', principal: userPrincipal(userName) }
  if (verdict === 'busy') return refuse(reasonCodes.serverBusy, 'too many passwords wait to be checked')
  return refuse(reasonCodes.badUserNameOrPassword, 'wrong user name or password')
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
  readonly kind: 'opened'
  readonly session: MqttSession
  readonly isPresent: boolean
  /** The log knows of the client's session or packet ids, or did until now. */
  readonly wasStored: boolean
}

/**
 * The session of an accepted CONNECT: an earlier connection of the client gives way [MQTT-3.1.4-3], a waiting will is taken back, packet ids from before a
 * restart come back to a client that kept its state. Refused when no more sessions are allowed, and when the session is somebody else's: a client id is
 * no secret, and the session holds messages.
 */
export function openSession(
  packet: ConnectPacket,
  who: { readonly clientId: string; readonly principal: string; readonly host: string },
  services: DoorServices,
): OpenedSession | (ConnectVerdict & { readonly kind: 'refused' }) {
  const { clientId, principal, host } = who
  const { sessions, packetIds, wills, commits, clock } = services
  const rights = rightsOf({ principal, host }, services)
  if (packet.will !== null && rights !== null && !rights.mayPublishTo(packet.will.topic)) {
    return { kind: 'refused', reason: reasonCodes.notAuthorized, because: 'the will may not be published' }
  }
  const before = sessions.get(clientId)
  const owner = before?.owner?.principal ?? principal
  if (owner !== principal && owner !== anonymousPrincipal) {
    return { kind: 'refused', reason: reasonCodes.notAuthorized, because: "the session is another user's" }
  }
  const wasStored = before?.isStored === true
  before?.link?.takeOver(packet.cleanStart)
  const opened = sessions.open(clientId, packet.cleanStart)
  if (opened === null) {
    const because = 'as many sessions as are allowed are connected'
    return { kind: 'refused', reason: reasonCodes.quotaExceeded, because }
  }
  opened.session.owner = { principal, host }
  opened.session.rights = rights
  const carried = packetIds.takeCarried(clientId)
  for (const [id, fingerprint] of carried) {
    if (!packet.cleanStart) opened.session.carriedIds.set(id, fingerprint)
    // Or the next start would hold it again, against a message that the client has not sent before.
    else packetIds.appendReleased(commits.current().turn, clientId, id, clock.wallMs())
  }
  wills.cancel(clientId)
  return { kind: 'opened', ...opened, wasStored: wasStored || carried.size > 0 }
}

/** The level that a CONNECT claims, as far as an answer to it depends on it: what is above 5 is answered in the way of 5.0. */
export function peekLevel(body: PacketBody): 4 | 5 {
  const at = body.start
  const isMqtt = body.end - at > 6 && body.source[at + 1] === 4 && body.source[at + 2] === 0x4d
  return isMqtt && (body.source[at + 6] as number) >= 5 ? 5 : 4
}
