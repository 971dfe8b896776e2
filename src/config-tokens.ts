/** The `oauthbearer` section of the configuration: what Kafka has no name for in SASL/OAUTHBEARER, and what a listener with tokens needs. */
import { z } from 'zod'
import { tokenKeyUrlFault } from './security/tokens/token-options.ts'

const scopeCountMax = 100
/** Each has keys that are fetched and kept. */
const issuerCountMax = 15
const notByHttps = 'judges nothing: the key set is not fetched by https'
const prefix = 'sasl.oauthbearer.'
const urlName = `${prefix}jwks.endpoint.url`

export const oauthbearer = z.strictObject({
  requiredScopes: scopes().describe('Scopes that a token must have, all of them.'),
  whileTimeUnknown: z
    .enum(['refuse', 'accept'])
    .prefault('refuse')
    .describe(
      'Tokens while this node does not know the time: `accept` judges their end by the earliest time that it can be, and such a session lasts five minutes.',
    ),
  jwksCa: authorities(),
  issuers: z
    .array(
      z
        .strictObject({
          issuer: z.string().min(1).max(1024).describe('The claim `iss` of its tokens.'),
          jwksUrl: z
            .string()
            .describe('Where its public keys are: https, http on this machine, or file:///PATH of a JSON Web Key Set.'),
          jwksCa: authorities(),
          audiences: z
            .array(z.string().min(1))
            .max(scopeCountMax)
            .prefault([])
            .describe('Whom its tokens must be for: one of these; none = anybody.'),
          requiredScopes: scopes().describe('Scopes that its tokens must have, all of them.'),
          userPrefix: z
            .string()
            .regex(/^[A-Za-z0-9._-]{0,64}$/, 'a prefix is made of letters, digits, dots, underscores and hyphens')
            .describe(
              'Put before the names of its users. Empty: a name is the same user whichever issuer vouches for it.',
            ),
        })
        .superRefine(({ jwksUrl, jwksCa }, context) => {
          const fault = tokenKeyUrlFault(jwksUrl)
          if (fault !== null) context.addIssue({ code: 'custom', path: ['jwksUrl'], message: fault })
          else if (jwksCa !== null && !jwksUrl.startsWith('https:')) {
            context.addIssue({ code: 'custom', path: ['jwksCa'], message: notByHttps })
          }
        }),
    )
    .max(issuerCountMax)
    .prefault([])
    .describe(
      'Further issuers of tokens, beside the one of the `sasl.oauthbearer` settings, which must then name its issuer too.',
    ),
})

function scopes() {
  return z
    .array(
      z
        .string()
        .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'a scope is made of printable characters without blanks, " and \\'),
    )
    .max(scopeCountMax)
    .prefault([])
}

function authorities() {
  return z
    .string()
    .min(1)
    .nullable()
    .prefault(null)
    .describe(
      "PEM file: the authorities whose signature makes the certificate of the key set's server good; without it the public ones.",
    )
}

interface Written {
  readonly listeners: {
    readonly kafka: readonly { readonly saslMechanisms: readonly string[] }[]
    readonly mqtt: readonly { readonly saslMechanisms: readonly string[]; readonly authentication: string }[]
  }
  readonly kafka: ReadonlyMap<string, string>
  readonly oauthbearer: z.infer<typeof oauthbearer>
}

/** Does a listener let clients in by tokens? */
export function takesTokens({ kafka, mqtt }: Written['listeners']): boolean {
  const isNamed = (listener: { readonly saslMechanisms: readonly string[] }): boolean =>
    listener.saslMechanisms.includes('OAUTHBEARER')
  return kafka.some(isNamed) || mqtt.some((listener) => isNamed(listener) || listener.authentication === 'token')
}

/** Tokens need keys and something that says whom they are for; and what nobody reads is a mistake. */
export function judgeTokens({ listeners, kafka, oauthbearer: section }: Written, context: z.RefinementCtx): void {
  const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message })
  // Where a setting is at fault they are not a map yet; that fault comes first.
  if (!isMap(kafka)) return
  const url = kafka.get(urlName) ?? ''
  if (!takesTokens(listeners)) {
    const idle =
      'means nothing while no listener takes tokens (saslMechanisms: [OAUTHBEARER], or authentication: token)'
    for (const name of kafka.keys()) if (name.startsWith(prefix)) issue(['kafka', name], idle)
    if (section.requiredScopes.length > 0) issue(['oauthbearer', 'requiredScopes'], idle)
    if (section.jwksCa !== null) issue(['oauthbearer', 'jwksCa'], idle)
    if (section.issuers.length > 0) issue(['oauthbearer', 'issuers'], idle)
    return
  }
  if (url === '') issue(['kafka', urlName], 'a listener takes tokens: say where the public keys of their issuer are')
  else if (section.jwksCa !== null && !url.startsWith('https:')) {
    issue(['oauthbearer', 'jwksCa'], notByHttps)
  }
  const isSet = (name: string): boolean => (kafka.get(`${prefix}${name}`) ?? '').trim() !== ''
  if (!isSet('expected.issuer') && !isSet('expected.audience')) {
    const message =
      'without an expected issuer or audience any token that the keys fit would do, also one for another service'
    issue(['kafka', `${prefix}expected.audience`], message)
  }
  if (section.issuers.length === 0) return
  const first = (kafka.get(`${prefix}expected.issuer`) ?? '').trim()
  if (first === '') {
    issue(
      ['kafka', `${prefix}expected.issuer`],
      'with several issuers each must be named: whose tokens are judged by these keys?',
    )
  }
  const known = new Set([first])
  section.issuers.forEach(({ issuer }, index) => {
    if (known.has(issuer)) issue(['oauthbearer', 'issuers', String(index), 'issuer'], `${issuer} is there twice`)
    known.add(issuer)
  })
}

function isMap(written: unknown): written is ReadonlyMap<string, string> {
  return written instanceof Map
}
