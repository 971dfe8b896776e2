import type { ProxyProtocolOptions, TlsContext } from '../../base/ports.ts'
import type { StreamDecoderLimits } from '../../protocol/mqtt/stream-decoder.ts'
import type { SaslMechanism } from '../../security/sasl/sasl-server.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'

/** A listener of the door; where it says nothing of a limit the door's own stands. */
export interface MqttListenerOptions {
  /** In logs and figures; `mqtt` when omitted. */
  readonly name?: string
  readonly tls?: TlsContext | null
  /** `password`: user name and password of CONNECT are checked. `token`: the password is a token. */
  readonly authentication?: 'none' | 'password' | 'token'
  /** For enhanced authentication. With neither this nor passwords a client is who its certificate says, or anonymous. */
  readonly saslMechanisms?: readonly SaslMechanism[]
  /** Clients speak MQTT in frames of a WebSocket. */
  readonly webSocket?: { readonly path: string; readonly allowedOrigins: readonly string[] } | null
  readonly proxyProtocol?: ProxyProtocolOptions | null
  readonly packetBytesMax?: number | null
  /** Open connections of this listener. */
  readonly connectionsMax?: number | null
  /** Open connections of one address on this listener, local ones too. */
  readonly connectionsPerAddressMax?: number | null
  readonly connectionsPerSecondMax?: number | null
}

/** Largest packets that a client may send. */
export function limitsOf(listener: MqttListenerOptions, options: MqttDoorOptions): StreamDecoderLimits {
  const { connectBytesMax } = options
  return { connectBytesMax, packetBytesMax: listener.packetBytesMax ?? options.packetBytesMax }
}
