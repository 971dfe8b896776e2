/** Sections of the configuration that say what we show to others: TLS and a login. Secrets stand in files, never in the configuration. */
import { z } from 'zod'
import type { OutboundSaslFiles } from './security/outbound-credentials.ts'
import { tokenEndpointFault } from './security/tokens/token-options.ts'

const file = () => z.string().min(1).nullable().prefault(null)

export const outboundTls = z
  .strictObject({
    ca: file().describe(
      "PEM file: the authorities whose signature makes the server's certificate good; without it the public ones.",
    ),
    certificate: file().describe(
      'PEM file: what is shown when the server asks for a certificate, and the intermediate ones behind it.',
    ),
    key: file().describe('PEM file: its private key, not encrypted.'),
    serverName: file().describe(
      "Name that the server's certificate must hold; without it the host that is connected to.",
    ),
  })
  .superRefine(({ certificate, key }, context) => {
    if ((certificate === null) === (key === null)) return
    const path = certificate === null ? ['certificate'] : ['key']
    context.addIssue({ code: 'custom', path, message: 'a certificate and its key go together' })
  })
  .nullable()
  .prefault(null)

const byPassword = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

export const outboundSasl = z
  .strictObject({
    mechanism: z
      .enum([...byPassword, 'OAUTHBEARER', 'GSSAPI'])
      .describe(
        'SASL mechanism. `PLAIN` and `OAUTHBEARER` show the secret itself: they need tls. `GSSAPI` is Kerberos.',
      ),
    userName: z.string().min(1).max(255).nullable().prefault(null).describe('Name of the user; of a password.'),
    passwordFile: file().describe('File whose first line is the password; read again for each connection.'),
    tokenFile: file().describe(
      'File whose first line is the token (JWT), for `OAUTHBEARER`; read again for each login.',
    ),
    tokenEndpoint: z
      .url()
      .nullable()
      .prefault(null)
      .describe(
        'URL of an issuer that gives tokens for `OAUTHBEARER` (client credentials grant, RFC 6749): https, or http on this machine. In place of tokenFile.',
      ),
    clientId: z.string().min(1).max(255).nullable().prefault(null).describe('Who we are at the token endpoint.'),
    clientSecretFile: file().describe('File whose first line is the secret of the client; read again for each token.'),
    scope: z.string().min(1).max(1024).nullable().prefault(null).describe('What is asked for at the token endpoint.'),
    tokenEndpointCa: file().describe(
      "PEM file: the authorities whose signature makes the token endpoint's certificate good; without it the public ones.",
    ),
    principal: z
      .string()
      .regex(/^[^@\s]{1,255}@[^@\s]{1,255}$/, 'a principal is NAME@REALM')
      .nullable()
      .prefault(null)
      .describe('Kerberos principal that we are, `NAME@REALM`, for `GSSAPI`.'),
    keytab: file().describe('File with the keys of the principal; tickets are got by it when they are needed.'),
    serviceName: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .nullable()
      .prefault(null)
      .describe(
        "First part of the brokers' principals, `kafka` without; the second one is the host that is connected to.",
      ),
  })
  .transform((written, context) => {
    const verdict = saslOf(written)
    if (!('issue' in verdict)) return verdict
    context.addIssue({ code: 'custom', path: [verdict.key], message: verdict.issue })
    return z.NEVER
  })
  .nullable()
  .prefault(null)

interface WrittenSasl {
  readonly mechanism: (typeof byPassword)[number] | 'OAUTHBEARER' | 'GSSAPI'
  readonly userName: string | null
  readonly passwordFile: string | null
  readonly tokenFile: string | null
  readonly tokenEndpoint: string | null
  readonly clientId: string | null
  readonly clientSecretFile: string | null
  readonly scope: string | null
  readonly tokenEndpointCa: string | null
  readonly principal: string | null
  readonly keytab: string | null
  readonly serviceName: string | null
}
type SaslKey = Exclude<keyof WrittenSasl, 'mechanism'>
interface Issue {
  readonly key: SaslKey
  readonly issue: string
}

const tokenFromIssuer = ['clientId', 'clientSecretFile', 'scope', 'tokenEndpointCa'] as const
const ofTickets = ['principal', 'keytab', 'serviceName'] as const
const ofPasswords = ['userName', 'passwordFile'] as const
const ofTokens = ['tokenFile', 'tokenEndpoint', ...tokenFromIssuer] as const

/** What a login is made of, or which key is in its place or missing. */
function saslOf(written: WrittenSasl): OutboundSaslFiles | Issue {
  const { mechanism } = written
  const given = (keys: readonly SaslKey[], issue: string): Issue | null => {
    const key = keys.find((each) => written[each] !== null)
    return key === undefined ? null : { key, issue }
  }
  if (mechanism === 'OAUTHBEARER') {
    return (
      given(['userName'], 'the token says who it is') ??
      given(['passwordFile', ...ofTickets], 'OAUTHBEARER shows a token') ??
      tokenSourceOf(written)
    )
  }
  if (mechanism === 'GSSAPI') {
    const { principal, keytab, serviceName } = written
    const foreign = given([...ofPasswords, ...ofTokens], 'GSSAPI shows a ticket')
    if (foreign !== null) return foreign
    if (principal === null) return { key: 'principal', issue: 'GSSAPI needs a principal' }
    if (keytab === null) return { key: 'keytab', issue: 'GSSAPI needs the keys of its principal' }
    return { mechanism, principal, keytab, serviceName: serviceName ?? 'kafka' }
  }
  const { userName, passwordFile } = written
  const foreign = given([...ofTokens, ...ofTickets], `${mechanism} shows a password`)
  if (foreign !== null) return foreign
  if (userName === null) return { key: 'userName', issue: `${mechanism} needs a user` }
  if (passwordFile === null) return { key: 'passwordFile', issue: `${mechanism} needs a password` }
  return { mechanism, userName, passwordFile }
}

function tokenSourceOf(written: WrittenSasl): OutboundSaslFiles | Issue {
  const { tokenFile, tokenEndpoint, clientId, clientSecretFile, scope, tokenEndpointCa: caFile } = written
  const mechanism = 'OAUTHBEARER'
  if (tokenEndpoint === null) {
    const idle = tokenFromIssuer.find((key) => written[key] !== null)
    if (idle !== undefined) return { key: idle, issue: 'means nothing without a tokenEndpoint' }
    if (tokenFile !== null) return { mechanism, tokenFile }
    return { key: 'tokenFile', issue: 'OAUTHBEARER needs a token: tokenFile or tokenEndpoint' }
  }
  if (tokenFile !== null) return { key: 'tokenFile', issue: 'there is a tokenEndpoint already' }
  const fault = tokenEndpoint.startsWith('file:') ? 'a file is named by tokenFile' : tokenEndpointFault(tokenEndpoint)
  if (fault !== null) return { key: 'tokenEndpoint', issue: fault }
  if (clientId === null) return { key: 'clientId', issue: 'the issuer asks who wants a token' }
  if (clientSecretFile === null)
    return { key: 'clientSecretFile', issue: 'the issuer asks for the secret of its client' }
  const endpoint = { url: tokenEndpoint, clientId, scope, isHeaderEncoded: true }
  return { mechanism, endpoint, clientSecretFile, caFile }
}

/** A secret that goes as it is must not go in the clear. */
export function judgeOutbound(
  { tls, sasl }: { readonly tls: unknown; readonly sasl: { readonly mechanism: string } | null },
  context: z.RefinementCtx,
): void {
  if (tls !== null || sasl === null || !['PLAIN', 'OAUTHBEARER'].includes(sasl.mechanism)) return
  const message = `${sasl.mechanism} would show the secret to everybody on the way: add tls (\`{}\` is enough), or use SCRAM`
  context.addIssue({ code: 'custom', path: ['sasl', 'mechanism'], message })
}
