/** Kafka API 17, SaslHandshake: versions 0-1. */
import { int16, message, string, stringArray, type InferInput, type InferMessage } from '../schema.ts'

/** The mechanism that a client wants to use. */
export const SaslHandshakeRequest = message({
  name: 'SaslHandshakeRequest',
  apiKey: 17,
  versions: '0-1',
  flexible: 'none',
  fields: {
    mechanism: string(),
  },
})
export type SaslHandshakeRequest = InferMessage<typeof SaslHandshakeRequest>
export type SaslHandshakeRequestInput = InferInput<typeof SaslHandshakeRequest>

/** Whether the listener takes it, and which it takes. */
export const SaslHandshakeResponse = message({
  name: 'SaslHandshakeResponse',
  apiKey: 17,
  versions: '0-1',
  flexible: 'none',
  fields: {
    errorCode: int16(),
    mechanisms: stringArray(),
  },
})
export type SaslHandshakeResponse = InferMessage<typeof SaslHandshakeResponse>
export type SaslHandshakeResponseInput = InferInput<typeof SaslHandshakeResponse>
