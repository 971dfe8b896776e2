import { type ReasonCode, reasonName } from './reason-codes.ts'

/**
 * Bytes from a client that the specification forbids. `reasonCode` is what MQTT 5.0 answers (CONNACK or DISCONNECT);
 * in 3.1.1 the connection is closed. The only error the decoder throws.
 */
export class MqttProtocolError extends Error {
  readonly reasonCode: ReasonCode
  constructor(reasonCode: ReasonCode, message: string) {
    super(`${message} (${reasonName(reasonCode)})`)
    this.name = 'MqttProtocolError'
    this.reasonCode = reasonCode
  }
}
