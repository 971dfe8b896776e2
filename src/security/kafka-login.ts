/** SaslHandshake and SaslAuthenticate as a client sends them (KIP-43, 152), on a connection that has negotiated its versions. */
import type { Compute, Entropy } from '../base/ports.ts'
import { saslAuthenticateApi, saslHandshakeApi } from '../protocol/kafka/apis.ts'
import type { KafkaLogin } from '../protocol/kafka/client-connection.ts'
import { errorName } from '../protocol/kafka/error-codes.ts'
import { type SaslClient, SaslClientError } from './sasl/sasl-client.ts'
import { saslClientOf, type SaslLogin } from './sasl/sasl-login.ts'

/** SCRAM takes two. */
const stepsMax = 4
/** Texts of a server that has not been proved to be anybody. */
const shownLengthMax = 200

/** A login by what `credentials` answers at that moment: a new session may have a new password. */
export function kafkaLogin(
  credentials: () => Promise<SaslLogin>,
  ports: { readonly entropy: Pick<Entropy, 'bytes'>; readonly compute: Pick<Compute, 'deriveKey'> },
): KafkaLogin {
  return async (ask) => {
    const client = saslClientOf(await credentials(), ports)
    const { mechanism } = client
    const handshake = await ask(saslHandshakeApi, { mechanism }, { version: 1 })
    if (handshake.errorCode !== 0) {
      const offered = handshake.mechanisms.map(shown).join(', ')
      throw new SaslClientError(
        `${mechanism}: ${errorName(handshake.errorCode)}; the server offers ${offered || 'nothing'}`,
      )
    }
    return exchange(client, async (authBytes) => {
      const answer = await ask(saslAuthenticateApi, { authBytes })
      if (answer.errorCode === 0) return answer
      const reason = answer.errorMessage ?? errorName(answer.errorCode)
      throw new SaslClientError(`${mechanism}: ${shown(reason)}`)
    })
  }
}

async function exchange(
  client: SaslClient,
  send: (bytes: Uint8Array) => Promise<{ readonly authBytes: Uint8Array; readonly sessionLifetimeMs: number }>,
): Promise<number> {
  let challenge: Uint8Array | null = null
  for (let step = 0; step < stepsMax; step++) {
    const answer = await send(await client.respond(challenge))
    if (client.isDone) {
      client.finish(answer.authBytes)
      return answer.sessionLifetimeMs
    }
    challenge = answer.authBytes
  }
  throw new SaslClientError('the exchange has no end')
}

function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, shownLengthMax)
}
