/**
 * The command line proves to a broker who it is, by SCRAM (RFC 5802): the password stays here, and the broker has to prove that it
 * knows the user too.
 */
import { ApplianceError } from '../../base/errors.ts'
import { saslAuthenticateApi, saslHandshakeApi } from '../../protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../protocol/kafka/client-connection.ts'
import { errorName } from '../../protocol/kafka/error-codes.ts'
import { digestOf, hash, hmac, isSame, type ScramMechanism, scramKeysOf } from '../../security/sasl/scram-crypto.ts'
import { cliErrors } from './cli-errors.ts'
import type { ClientPorts } from './kafka-client.ts'

export interface Login {
  readonly user: string
  readonly password: string
  readonly mechanism: ScramMechanism
}

const nonceBytes = 24
/** A broker that asks for more wants to keep us busy. */
const iterationsMax = 1_000_000
const iterationsMin = 4096

/** Throws CLI_LOGIN_REFUSED; the connection is of no use then. */
export async function logIn(connection: KafkaClientConnection, login: Login, ports: ClientPorts): Promise<void> {
  const { user, mechanism } = login
  const refuse = (detail: string): never => {
    throw new ApplianceError(cliErrors.loginRefused, { user, detail })
  }
  const { errorCode, mechanisms } = await connection.send(saslHandshakeApi, { mechanism })
  if (errorCode !== 0) {
    const offered = mechanisms.length === 0 ? '' : `; it offers ${mechanisms.join(', ')}`
    refuse(`${errorName(errorCode)} for ${mechanism}${offered}`)
  }
  const ask = async (text: string): Promise<string> => {
    const answer = await connection.send(saslAuthenticateApi, { authBytes: Buffer.from(text) })
    if (answer.errorCode !== 0) refuse(answer.errorMessage ?? errorName(answer.errorCode))
    return Buffer.from(answer.authBytes).toString('utf8')
  }
  const nonce = Buffer.from(ports.entropy.bytes(nonceBytes)).toString('base64url')
  const first = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const serverFirst = await ask(`n,,${first}`)
  const challenge = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=(\d{1,7})$/.exec(serverFirst)
  const [, serverNonce = '', salt = '', count = '0'] = challenge ?? []
  const iterations = Number(count)
  const isFair = iterations >= iterationsMin && iterations <= iterationsMax
  if (!isFair || !serverNonce.startsWith(nonce) || serverNonce === nonce) refuse('its challenge is malformed')
  const digest = digestOf[mechanism]
  const salted = await ports.compute.deriveKey({
    password: Buffer.from(login.password),
    salt: Buffer.from(salt, 'base64'),
    iterations,
    digest,
  })
  const withoutProof = `c=biws,r=${serverNonce}`
  const signed = `${first},${serverFirst},${withoutProof}`
  const clientKey = hmac(digest, salted, 'Client Key')
  const signature = hmac(digest, hash(digest, clientKey), signed)
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number))).toString('base64')
  const final = await ask(`${withoutProof},p=${proof}`)
  const own = Buffer.from(/^v=([A-Za-z0-9+/=]+)$/.exec(final)?.[1] ?? '', 'base64')
  if (!isSame(own, hmac(digest, scramKeysOf(digest, salted).serverKey, signed))) {
    refuse('the broker does not know the user: it may be another one')
  }
}
