/**
 * From CONNECT to the one it comes from: by certificate, by user name and password, or by enhanced authentication of 5.0 (4.12), which is an
 * exchange of AUTH packets by a SASL mechanism; and that exchange again while the connection is open (4.12.1). SCRAM and OAUTHBEARER. Whoever has
 * shown a token stays as long as it is good: the connection ends with 0xA0 unless it has authenticated again by then.
 */
import { encodeAuth } from '../../protocol/mqtt/encode.ts'
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import { type ConnectPacket, decodeAuth, decodeConnect, type PacketBody } from '../../protocol/mqtt/packets.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import type { PeerFacts } from '../../base/ports.ts'
import type { SaslExchange } from '../../security/authenticator.ts'
import { userPrincipal } from '../../security/principal.ts'
import type { SaslMechanism, SaslStep } from '../../security/sasl/sasl-server.ts'
import { type ConnectGrant, type Identity, identify, judgeConnect, peekLevel } from './connect-handler.ts'
import { Deadline } from './deadline.ts'
import type { DoorServices } from './door-services.ts'
import { limitsOf, type MqttListenerOptions } from './listener-options.ts'

/** The connection, as its handshake sees it. */
export interface HandshakeHost {
  readonly peer: PeerFacts
  readonly listener: MqttListenerOptions
  readonly services: DoorServices
  readonly isClosed: boolean
  /** The version of the CONNECT, and what its client takes. */
  readConnect(packet: ConnectPacket): void
  /** The version that a CONNECT claims which may not be readable. */
  claimLevel(level: 4 | 5): void
  /** Nothing more is taken until `goOn`. */
  hold(): void
  goOn(): void
  send(packet: Uint8Array): void
  flush(): void
  /** CONNACK says no. */
  refuse(reason: number, because: string): void
  /** The open connection ends. */
  close(reason: number, because: string): void
  /** It is known who it is. `proof` belongs into CONNACK. */
  identified(principal: string, packet: ConnectPacket, grant: ConnectGrant, proof: MqttProperties): void
}

interface Pending {
  readonly packet: ConnectPacket
  readonly grant: ConnectGrant
}

const nothing = new Uint8Array(0)

export class Handshake {
  private readonly host: HandshakeHost
  private hasConnect = false
  /** A CONNECT that is not answered yet. */
  private pending: Pending | null = null
  /** Of CONNECT: every AUTH of the connection must name it. */
  private method: SaslMechanism | null = null
  private exchange: SaslExchange | null = null
  /** The client has sent its first word of this exchange. */
  private hasSpoken = false
  /** Who has authenticated by `method`: the same must do so again. */
  private user: string | null = null

  /** The end of what was shown. */
  private sessionEnd: Deadline | null = null

  constructor(host: HandshakeHost) {
    this.host = host
  }

  /** The connection is over. */
  close(): void {
    this.sessionEnd?.disarm()
  }

  /** Whatever is refused now can be told by CONNACK. */
  get hasBegun(): boolean {
    return this.hasConnect
  }

  connect(firstByte: number, body: PacketBody): void {
    const { host } = this
    if (this.hasConnect) throw protocolError('a second CONNECT') // [MQTT-3.1.0-2]
    host.claimLevel(peekLevel(body))
    this.hasConnect = true
    const packet = decodeConnect(firstByte, body)
    host.readConnect(packet)
    host.services.counters.totals.connects += 1
    const { peer, listener, services } = host
    const { packetBytesMax } = limitsOf(listener, services.options)
    const verdict = judgeConnect(packet, { packetBytesMax, refusal: peer.refusal }, services)
    if (verdict.kind === 'refused') return host.refuse(verdict.reason, verdict.because)
    this.pending = { packet, grant: verdict }
    const { authenticationMethod, authenticationData } = packet.properties
    if (authenticationMethod !== undefined) return this.begin(authenticationMethod, authenticationData ?? nothing)
    const identity = identify(packet, peer, listener, services)
    if (!(identity instanceof Promise)) return this.judge(identity)
    host.hold()
    const known = identity.catch((thrown: unknown): Identity => {
      const because = `the password could not be checked: ${String(thrown)}`
      return { kind: 'refused', reason: reasonCodes.unspecifiedError, because }
    })
    void known.then((judged) => {
      if (host.isClosed) return
      this.judge(judged)
      host.goOn()
    })
  }

  /** AUTH of a client: its turn in an exchange, or the begin of a new one. Throws MqttProtocolError. */
  auth(firstByte: number, body: PacketBody): void {
    const { reasonCode, properties } = decodeAuth(firstByte, body)
    const { method } = this
    if (method === null) throw protocolError('AUTH without a method in CONNECT') // [MQTT-4.12.0-7]
    if (properties.authenticationMethod !== method) {
      const because = 'another authentication method than that of CONNECT' // [MQTT-4.12.0-5], [MQTT-4.12.1-1]
      // DISCONNECT has no code of its own for it.
      const reason = this.pending === null ? reasonCodes.protocolError : reasonCodes.badAuthenticationMethod
      throw new MqttProtocolError(reason, because)
    }
    const expected = this.exchange === null ? reasonCodes.reAuthenticate : reasonCodes.continueAuthentication
    if (reasonCode !== expected) throw protocolError(`AUTH with reason code ${reasonCode} out of place`)
    this.exchange ??= this.newExchange(method)
    this.step(this.exchange, method, properties.authenticationData ?? nothing)
  }

  private judge(identity: Identity): void {
    if (identity.kind === 'refused') return this.host.refuse(identity.reason, identity.because)
    this.sessionLasts(identity.lifetimeMs)
    this.identified(identity.principal, {})
  }

  private identified(principal: string, proof: MqttProperties): void {
    const { pending } = this
    if (pending === null) return
    this.pending = null
    this.host.identified(principal, pending.packet, pending.grant, proof)
  }

  private begin(written: string, data: Uint8Array): void {
    const method = this.host.listener.saslMechanisms?.find((mechanism) => mechanism === written)
    if (method === undefined || this.host.services.authenticator?.offers(method) !== true) {
      const because = 'the authentication method is not one of this listener' // [MQTT-4.12.0-1]
      return this.host.refuse(reasonCodes.badAuthenticationMethod, because)
    }
    this.method = method
    this.exchange = this.newExchange(method)
    this.step(this.exchange, method, data)
  }

  private newExchange(method: SaslMechanism): SaslExchange {
    const { authenticator } = this.host.services
    if (authenticator === null) throw new Error('a listener with SASL in a door without an authenticator')
    this.hasSpoken = false
    return authenticator.begin(method, this.host.peer.remoteHost)
  }

  private step(exchange: SaslExchange, method: SaslMechanism, data: Uint8Array): void {
    // In all of them the client speaks first: a client that waits is asked to. Later nothing may be a message too (RFC 4752).
    if (data.length === 0 && !this.hasSpoken) {
      return this.say(reasonCodes.continueAuthentication, { authenticationMethod: method })
    }
    this.hasSpoken = true
    this.host.hold()
    const failed = (thrown: unknown): SaslStep => ({ kind: 'failed', reason: String(thrown) })
    const outcome = exchange.step(data, (user) => this.objectionTo(user)).catch(failed)
    void outcome.then((step) => {
      if (this.host.isClosed) return
      this.onStep(step, method)
      this.host.goOn()
    })
  }

  private objectionTo(user: string): string | null {
    return this.user === null || this.user === user ? null : 'another user than the one of the connection'
  }

  private onStep(step: SaslStep, method: SaslMechanism): void {
    if (step.kind === 'failed') return this.onFailed(step)
    const properties = { authenticationMethod: method, authenticationData: step.bytes }
    if (step.kind === 'continue') return this.say(reasonCodes.continueAuthentication, properties)
    this.exchange = null
    this.user = step.userName
    this.sessionLasts(step.lifetimeMs)
    if (this.pending === null) return this.say(reasonCodes.success, properties)
    this.identified(userPrincipal(step.userName), properties)
  }

  private sessionLasts(lifetimeMs: number | undefined): void {
    this.sessionEnd?.disarm()
    if (lifetimeMs === undefined) return
    this.sessionEnd ??= new Deadline(this.host.services.clock)
    this.sessionEnd.arm(lifetimeMs, () => this.host.close(reasonCodes.maximumConnectTime, 'the token has expired'))
  }

  private onFailed({ isBusy, reason }: SaslStep & { readonly kind: 'failed' }): void {
    const { host } = this
    const code = isBusy === true ? reasonCodes.serverBusy : reasonCodes.notAuthorized
    const because = `enhanced authentication: ${reason}`
    if (this.pending !== null) return host.refuse(code, because) // [MQTT-4.12.0-4]
    // The client is told the code; the reason is for the log. [MQTT-4.12.1-2]
    host.close(code, 'not authenticated')
  }

  private say(reasonCode: number, properties: MqttProperties): void {
    this.host.send(encodeAuth(reasonCode, properties))
    this.host.flush()
  }
}

function protocolError(because: string): MqttProtocolError {
  return new MqttProtocolError(reasonCodes.protocolError, because)
}
