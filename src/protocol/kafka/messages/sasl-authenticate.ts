/** Kafka API 36, SaslAuthenticate: versions 0-2. */
import { bytes, int16, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** One message of the mechanism, from the client. */
export const SaslAuthenticateRequest = message({
  name: 'SaslAuthenticateRequest',
  apiKey: 36,
  versions: '0-2',
  flexible: '2+',
  fields: {
    authBytes: bytes(),
  },
})
export type SaslAuthenticateRequest = InferMessage<typeof SaslAuthenticateRequest>
export type SaslAuthenticateRequestInput = InferInput<typeof SaslAuthenticateRequest>

/** The server's message, or why the client is refused. */
export const SaslAuthenticateResponse = message({
  name: 'SaslAuthenticateResponse',
  apiKey: 36,
  versions: '0-2',
  flexible: '2+',
  fields: {
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    authBytes: bytes(),
    /** After so many milliseconds the client must have authenticated again (KIP-368); 0 = never. */
    sessionLifetimeMs: int64('1+', { ignorable: true }),
  },
})
export type SaslAuthenticateResponse = InferMessage<typeof SaslAuthenticateResponse>
export type SaslAuthenticateResponseInput = InferInput<typeof SaslAuthenticateResponse>
