/** The handlers of SaslHandshake and SaslAuthenticate: they belong to the connection, which knows how far it is. */
import type {
  SaslAuthenticateRequest,
  SaslAuthenticateResponseInput,
} from '../../../protocol/kafka/messages/sasl-authenticate.ts'
import type {
  SaslHandshakeRequest,
  SaslHandshakeResponseInput,
} from '../../../protocol/kafka/messages/sasl-handshake.ts'
import type { ConnectionSecurity } from '../connection-security.ts'
import type { HandlerEntry, KafkaHandler, RequestContext } from '../handler.ts'
import { PendingRequest } from '../request-context.ts'

/** The two rows of the table; every listener answers them, also one without SASL (with ILLEGAL_SASL_STATE). */
export function saslHandlers(): readonly HandlerEntry[] {
  return [
    [17, handshake],
    [36, authenticate],
  ]
}

const handshake: KafkaHandler<SaslHandshakeRequest, SaslHandshakeResponseInput> = (request, context) =>
  securityOf(context).handshake(request, context.apiVersion)

const authenticate: KafkaHandler<SaslAuthenticateRequest, SaslAuthenticateResponseInput> = (request, context) =>
  securityOf(context).authenticate(request)

function securityOf(context: RequestContext): ConnectionSecurity {
  if (!(context instanceof PendingRequest)) throw new Error('SASL outside a connection')
  return context.security
}
