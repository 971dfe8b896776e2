/** Sections of the configuration that say what we show to others: TLS and a login. Secrets stand in files, never in the configuration. */
import { z } from 'zod'

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
      .enum([...byPassword, 'OAUTHBEARER'])
      .describe('SASL mechanism. `PLAIN` and `OAUTHBEARER` show the secret itself: they need tls.'),
    userName: z.string().min(1).max(255).nullable().prefault(null).describe('Name of the user; of a password.'),
    passwordFile: file().describe('File whose first line is the password; read again for each connection.'),
    tokenFile: file().describe(
      'File whose first line is the token (JWT), for `OAUTHBEARER`; read again for each login.',
    ),
  })
  .transform((written, context) => {
    const { mechanism, userName, passwordFile, tokenFile } = written
    const issue = (path: string, message: string): typeof z.NEVER => {
      context.addIssue({ code: 'custom', path: [path], message })
      return z.NEVER
    }
    if (mechanism === 'OAUTHBEARER') {
      if (userName !== null) return issue('userName', 'the token says who it is')
      if (passwordFile !== null) return issue('passwordFile', 'OAUTHBEARER shows a token')
      return tokenFile === null ? issue('tokenFile', 'OAUTHBEARER needs a token') : { mechanism, tokenFile }
    }
    if (tokenFile !== null) return issue('tokenFile', `${mechanism} shows a password`)
    if (userName === null) return issue('userName', `${mechanism} needs a user`)
    if (passwordFile === null) return issue('passwordFile', `${mechanism} needs a password`)
    return { mechanism, userName, passwordFile }
  })
  .nullable()
  .prefault(null)

/** A secret that goes as it is must not go in the clear. */
export function judgeOutbound(
  { tls, sasl }: { readonly tls: unknown; readonly sasl: { readonly mechanism: string } | null },
  context: z.RefinementCtx,
): void {
  if (tls !== null || sasl === null || !['PLAIN', 'OAUTHBEARER'].includes(sasl.mechanism)) return
  const message = `${sasl.mechanism} would show the secret to everybody on the way: add tls (\`{}\` is enough), or use SCRAM`
  context.addIssue({ code: 'custom', path: ['sasl', 'mechanism'], message })
}
