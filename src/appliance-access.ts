/** Fills the operator's view of who may do what: the authenticator and the authorizer of the doors, and the tokens. */
import type { Access, Caller, Outcome, SetUpFacts, TokenFacts, TokenWish } from './admin/access.ts'
import type { ApplianceSetUp } from './appliance-set-up.ts'
import type { Audit } from './base/audit-def.ts'
import { ApplianceError } from './base/errors.ts'
import type { Ports } from './base/ports.ts'
import type { Broker } from './broker/broker.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import { TokenLog } from './broker/token-log.ts'
import { type AccessToken, AccessTokens, accessTokensMax, makeAccessToken } from './security/access-tokens.ts'
import { aclOperation, aclResource, clusterResourceName } from './security/acl.ts'
import { auditTypes } from './security/audit/audit-types.ts'
import type { Authenticator } from './security/authenticator.ts'
import type { Authorizer } from './security/authorizer.ts'
import { certificateNaming, principalOfPeer, userOf, userPrincipal } from './security/principal.ts'
import type { PrincipalMapping } from './security/principal-mapping.ts'
import { roleNames, roles } from './security/roles.ts'
import type { ScramCredentials } from './security/scram-credentials.ts'

export interface AccessParts {
  readonly ports: Pick<Ports, 'clock' | 'entropy'>
  readonly authenticator: Authenticator
  readonly authorizer: Authorizer
  readonly credentials: ScramCredentials
  readonly naming: PrincipalMapping
  readonly tokens: AccessTokens
  readonly tokenLog: TokenLog
  readonly audit: Audit
  readonly setUp: ApplianceSetUp
}

const lifeMsMin = 60_000
const lifeMsMax = 5 * 366 * 86_400_000
const textLengthMax = 200
const tokenMechanism = 'access-token'

/** Reads the tokens, then answers. */
export async function openAccess(
  broker: Broker,
  settings: BrokerSettings,
  parts: Omit<AccessParts, 'naming' | 'tokens' | 'tokenLog'>,
): Promise<Access> {
  const tokens = new AccessTokens()
  const tokenLog = new TokenLog(broker, parts.ports.clock, tokens)
  await tokenLog.load()
  const naming = certificateNaming(settings.text('ssl.principal.mapping.rules'))
  return accessOf({ ...parts, naming, tokens, tokenLog })
}

function accessOf(parts: AccessParts): Access {
  const { authenticator, authorizer, credentials, naming, ports, tokens } = parts
  const may = (caller: Caller, operation: number): boolean => {
    const role = roleNames.find((name) => name === caller.role)
    if (
      role !== undefined &&
      !roles[role].cluster.some((granted) => granted === operation || granted === aclOperation.all)
    ) {
      authorizer.denied(
        { principal: caller.principal, host: caller.client },
        operation,
        aclResource.cluster,
        clusterResourceName,
      )
      return false
    }
    const subject = authorizer.subject(caller.principal, caller.client)
    return subject.demands(operation, aclResource.cluster, clusterResourceName)
  }
  return {
    async checkPassword(client, user, password) {
      const verdict = await authenticator.checkPassword(client, user, password)
      return verdict === 'right' ? { principal: userPrincipal(user), client, role: null, tokenId: null } : verdict
    },
    async checkToken(client, text) {
      const found = await authenticator.checkSecret(client, tokenMechanism, () => {
        const token = tokens.find(text, ports.clock.wallMs())
        return token === null ? null : { user: userOf(token.principal), token }
      })
      if (found === null) return 'wrong'
      const { id, principal, role } = found.token
      return { principal, client, role, tokenId: id }
    },
    ofCertificate(client, certificate) {
      const principal = principalOfPeer({ certificate }, naming)
      return principal === null ? null : { principal, client, role: null, tokenId: null }
    },
    credentialMark: ({ principal, tokenId }) => {
      if (tokenId !== null) {
        const token = tokens.get(tokenId)
        return token !== undefined && ports.clock.wallMs() < token.expiresMs ? token.digest : null
      }
      const own = credentials.ofUser(userOf(principal))
      return own === undefined
        ? null
        : [...own.values()].map(({ storedKey }) => Buffer.from(storedKey).toString('hex')).join()
    },
    mayView: (caller) => may(caller, aclOperation.describe),
    mayAdminister: (caller) => may(caller, aclOperation.alter),
    isSetUp: () => parts.setUp.isDone,
    setUp: (caller) => setUp(parts, caller),
    tokens: () => [...tokens.values()].map(factsOf),
    createToken: (caller, wish) => createToken(parts, caller, wish),
    revokeToken: (caller, id) => revokeToken(parts, caller, id),
  }
}

function factsOf({ id, principal, role, note, createdMs, expiresMs }: AccessToken): TokenFacts {
  return { id, principal, role, note, createdMs, expiresMs }
}

function refuse(reason: string, isRetriable = false): Outcome<never> {
  return { kind: 'refused', reason, isRetriable }
}

function setUp({ setUp: node, audit }: AccessParts, { principal, client }: Caller): Outcome<SetUpFacts> {
  const facts = node.run(principal)
  if (typeof facts === 'string') return refuse(facts)
  const detail = facts.closed.join(' ')
  audit.record(auditTypes.nodeSetUp, principal, { principal, client, outcome: 'done', detail, repeated: 0 })
  return { kind: 'done', value: facts }
}

async function createToken(
  { ports, tokens, tokenLog, audit }: AccessParts,
  { principal: maker, client }: Caller,
  { principal, role, note, lifeMs }: TokenWish,
): Promise<Outcome<TokenFacts & { readonly token: string }>> {
  const known = roleNames.find((name) => name === role)
  if (known === undefined || known === 'device') return refuse('the role is viewer, operator or admin')
  if (!/^User:./.test(principal) || principal.length > textLengthMax)
    return refuse('the principal is written User:NAME')
  if (note.length > textLengthMax) return refuse(`a note has at most ${textLengthMax} characters`)
  if (!(lifeMs >= lifeMsMin && lifeMs <= lifeMsMax)) return refuse('a token lives from a minute to five years')
  const nowMs = ports.clock.wallMs()
  for (const { id, expiresMs } of [...tokens.values()]) if (expiresMs <= nowMs) await tokenLog.revoke(id)
  if (tokens.size >= accessTokensMax) return refuse(`there are ${accessTokensMax} tokens already: revoke some`)
  const facts = { principal, role: known, note, createdMs: nowMs, expiresMs: nowMs + lifeMs }
  const { token, text } = makeAccessToken(facts, ports.entropy)
  const failure = await failureOf(tokenLog.add(token))
  audit.record(auditTypes.tokenCreated, token.id, {
    principal: maker,
    client,
    outcome: failure === null ? 'done' : failure.code,
    detail: `${role} for ${principal}`,
    repeated: 0,
  })
  return failure === null ? { kind: 'done', value: { ...factsOf(token), token: text } } : refuse(failure.message, true)
}

async function revokeToken(
  { tokens, tokenLog, audit }: AccessParts,
  { principal, client }: Caller,
  id: string,
): Promise<Outcome<null>> {
  const token = tokens.get(id)
  if (token === undefined) return refuse('there is no such token')
  const failure = await failureOf(tokenLog.revoke(id))
  const outcome = failure === null ? 'done' : failure.code
  const detail = `${token.role} for ${token.principal}`
  audit.record(auditTypes.tokenRevoked, id, { principal, client, outcome, detail, repeated: 0 })
  return failure === null ? { kind: 'done', value: null } : refuse(failure.message, true)
}

async function failureOf(work: Promise<void>): Promise<ApplianceError | null> {
  try {
    await work
    return null
  } catch (thrown) {
    if (thrown instanceof ApplianceError) return thrown
    throw thrown
  }
}
