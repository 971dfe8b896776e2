/**
 * Who asks, and may they? Names are those of every door: Basic (user and password), Bearer (an access token), the cookie of a session, or
 * a client certificate. What changes something must come from here and not from a page of somebody else.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { TLSSocket } from 'node:tls'
import { isLocalHost } from '../../base/connection-gate.ts'
import type { ErrorDefinition } from '../../base/errors.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import type { Access, Caller } from '../access.ts'
import { httpErrors } from './http-errors.ts'
import { type HttpSessions, sessionIdOf } from './http-sessions.ts'
import type { RouteNeed } from './route.ts'

export interface HttpAuthentication {
  readonly isRequired: boolean
  /** `/metrics` needs no name. */
  readonly hasOpenMetrics: boolean
  /** Names by which browsers may reach a listener in plain text. */
  readonly hosts: readonly string[]
}

export const noAuthentication: HttpAuthentication = { isRequired: false, hasOpenMetrics: false, hosts: [] }

export interface HttpRefusal {
  readonly status: number
  readonly definition: ErrorDefinition
  readonly fields: Readonly<Record<string, string>>
}

export interface GateParts {
  readonly authentication: HttpAuthentication
  /** Null until the appliance knows its users. */
  readonly access: () => Access | null
  readonly sessions: HttpSessions
}

const credentialsLengthMax = 2_048
/** A header of our own: no page of another origin can send it without asking first. */
const requestHeader = 'x-headwater-request'

/** As configured, or since set-up has run. */
export function asksForNames({ authentication, access }: Pick<GateParts, 'authentication' | 'access'>): boolean {
  return authentication.isRequired || access()?.isSetUp() === true
}

function refuse(status: number, definition: ErrorDefinition, fields: HttpRefusal['fields'] = {}): HttpRefusal {
  return { status, definition, fields }
}

export async function admit(
  request: IncomingMessage,
  needs: RouteNeed,
  parts: GateParts,
): Promise<Caller | HttpRefusal> {
  const { authentication, access: accessNow } = parts
  const misplaced = misplacedFault(request, authentication)
  if (misplaced !== null) return misplaced
  const client = clientOf(request)
  const nobody: Caller = { principal: anonymousPrincipal, client, role: null, tokenId: null }
  if (needs === 'nothing') return nobody
  if (needs === 'metrics' && authentication.hasOpenMetrics) return nobody
  const access = accessNow()
  const isRequired = asksForNames(parts)
  const isOpen = needs !== 'administer' && needs !== 'secret' && !isRequired
  if (access === null) return isOpen ? nobody : refuse(503, httpErrors.starting)
  if (needs === 'secret' && request.headers.authorization === undefined) return refuse(401, httpErrors.unauthorized)
  const named = await identify(request, client, access, parts)
  if (named !== null && 'status' in named) return named
  if (named === null && (isRequired || needs === 'name')) return refuse(401, httpErrors.unauthorized)
  const admitted = named ?? nobody
  if (isOpen || needs === 'name' || needs === 'secret') return admitted
  const may = needs === 'administer' ? access.mayAdminister(admitted) : access.mayView(admitted)
  return may ? admitted : refuse(403, httpErrors.forbidden, { principal: admitted.principal })
}

async function identify(
  request: IncomingMessage,
  client: string,
  access: Access,
  { sessions }: GateParts,
): Promise<Caller | HttpRefusal | null> {
  const { authorization, cookie } = request.headers
  if (authorization !== undefined) {
    if (!isSheltered(request, client)) return refuse(403, httpErrors.plainText)
    const outcome = await judgeHeader(authorization, client, access)
    if (outcome === 'wrong') return refuse(401, httpErrors.unauthorized)
    return outcome === 'busy' ? refuse(503, httpErrors.busy) : outcome
  }
  const id = sessionIdOf(cookie)
  const session = id === null ? null : sessions.find(id, client, (caller) => access.credentialMark(caller))
  if (session !== null) {
    const isChange = request.method !== 'GET' && request.method !== 'HEAD'
    if (isChange && request.headers[requestHeader] === undefined) return refuse(403, httpErrors.crossSite)
    return session
  }
  const certificate = certificateOf(request)
  return certificate === null ? null : access.ofCertificate(client, certificate)
}

async function judgeHeader(header: string, client: string, access: Access): Promise<Caller | 'wrong' | 'busy'> {
  const [, scheme = '', text = ''] = /^(basic|bearer) +([\x21-\x7e]+)$/i.exec(header) ?? []
  if (text === '' || text.length > credentialsLengthMax) return 'wrong'
  if (scheme.toLowerCase() === 'bearer') return access.checkToken(client, text)
  const pair = Buffer.from(text, 'base64').toString('utf8')
  const at = pair.indexOf(':')
  return at < 1 ? 'wrong' : access.checkPassword(client, pair.slice(0, at), pair.slice(at + 1))
}

/** A page of another origin, or a name that somebody has pointed at this machine (DNS rebinding). */
function misplacedFault(request: IncomingMessage, { hosts }: HttpAuthentication): HttpRefusal | null {
  const host = request.headers.host ?? ''
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  const isOurs =
    isEncrypted(request) ||
    isIP(name) !== 0 ||
    name === 'localhost' ||
    name === hostname().toLowerCase() ||
    hosts.includes(name)
  // A certificate says by itself which names are ours.
  if (!isOurs) return refuse(421, httpErrors.hostUnknown, { host: name.slice(0, 255) })
  const { origin, 'sec-fetch-site': site } = request.headers
  if (request.method === 'GET' || request.method === 'HEAD') return null
  const isForeign = origin !== undefined && origin !== `${isEncrypted(request) ? 'https' : 'http'}://${host}`
  return isForeign || site === 'cross-site' || site === 'same-site' ? refuse(403, httpErrors.crossSite) : null
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}

/** May a password come this way? */
function isSheltered(request: IncomingMessage, client: string): boolean {
  return isEncrypted(request) || isLocalHost(client)
}

function certificateOf({ socket }: IncomingMessage): Uint8Array | null {
  const tls = socket as Partial<TLSSocket>
  if (tls.authorized !== true) return null
  return tls.getPeerX509Certificate?.()?.raw ?? null
}

function clientOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
}
