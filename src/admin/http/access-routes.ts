/** The paths of sessions and tokens. */
import { ApplianceError, type ErrorDefinition } from '../../base/errors.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import { httpErrors } from './http-errors.ts'
import { sessionCookie, sessionIdOf } from './http-sessions.ts'
import type { Route, RouteCall } from './route.ts'

const bodyBytesMax = 16_384
const dayMs = 86_400_000
const usualLifeDays = 90

export const accessRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/session',
    shows: 'begins a session for a browser: a cookie, for who shows a password or a token',
    // A session that could begin another one would never be over.
    needs: 'secret',
    answer: (call) => {
      const { request, reply, caller, sessions } = call
      const mark = accessOf(call).credentialMark(caller)
      if (mark === null) throw refused(401, httpErrors.unauthorized)
      const attributes = ['Path=/', 'HttpOnly', 'SameSite=Strict', ...(request.protocol === 'https' ? ['Secure'] : [])]
      const cookie = [`${sessionCookie}=${sessions.begin(caller, mark)}`, ...attributes].join('; ')
      return reply.code(201).header('set-cookie', cookie).send({ principal: caller.principal, role: caller.role })
    },
  },
  {
    method: 'DELETE',
    path: '/api/session',
    shows: 'ends the session',
    needs: 'name',
    answer: ({ request, reply, sessions }) => {
      const id = sessionIdOf(request.headers.cookie)
      if (id !== null) sessions.end(id)
      return reply
        .code(204)
        .header('set-cookie', `${sessionCookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`)
        .send()
    },
  },
  {
    method: 'POST',
    path: '/api/setup',
    shows: 'closes the listeners that ask for no name, at once; whoever asks is the admin (`headwater setup`)',
    needs: 'administer',
    answer: (call) => {
      if (call.caller.principal === anonymousPrincipal) throw refused(401, httpErrors.unauthorized)
      return settle(call, accessOf(call).setUp(call.caller), 200)
    },
  },
  {
    method: 'GET',
    path: '/api/tokens',
    shows: 'the tokens, without their secrets',
    needs: 'administer',
    answer: (call) => ({ tokens: accessOf(call).tokens() }),
  },
  {
    method: 'POST',
    path: '/api/tokens',
    shows: 'makes a token: role, and if wanted principal, days and note',
    needs: 'administer',
    bodyBytesMax,
    answer: async (call) => {
      const wish = readWish(call)
      const outcome = await accessOf(call).createToken(call.caller, wish)
      return settle(call, outcome, 201)
    },
  },
  {
    method: 'DELETE',
    path: '/api/tokens/:id',
    shows: 'revokes a token',
    needs: 'administer',
    answer: async (call) => {
      const { id } = call.request.params as { readonly id: string }
      return settle(call, await accessOf(call).revokeToken(call.caller, id), 204)
    },
  },
]

function accessOf({ options }: RouteCall) {
  const access = options.access?.() ?? null
  if (access === null) throw new ApplianceError(httpErrors.starting)
  return access
}

function settle(
  { reply }: RouteCall,
  outcome: { kind: 'done'; value: unknown } | { kind: 'refused'; reason: string; isRetriable: boolean },
  status: number,
): unknown {
  if (outcome.kind === 'done') return reply.code(status).send(outcome.value ?? undefined)
  if (outcome.isRetriable) throw new ApplianceError(httpErrors.failed, { detail: outcome.reason })
  return refuse(outcome.reason)
}

/** The answer is 400. */
function refuse(detail: string): never {
  throw refused(400, httpErrors.malformed, { detail })
}

function refused(statusCode: number, definition: ErrorDefinition, fields: Record<string, string> = {}): Error {
  return Object.assign(new ApplianceError(definition, fields), { statusCode })
}

/** What the body asks for; every key that is not known is a fault. Throws HTTP_MALFORMED. */
function readWish({ request, caller }: RouteCall) {
  const body = request.body
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('the body is a JSON object')
  const {
    role,
    principal = caller.principal,
    note = '',
    days = usualLifeDays,
    ...others
  } = body as Record<string, unknown>
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined)
    refuse(`there is no key "${unknown.slice(0, 50)}"; there are role, principal, note and days`)
  if (typeof role !== 'string') return refuse('role is viewer, operator or admin')
  if (typeof principal !== 'string' || typeof note !== 'string') return refuse('principal and note are texts')
  if (typeof days !== 'number' || !(days > 0)) return refuse('days is a number above 0')
  return { role, principal, note, lifeMs: Math.round(days * dayMs) }
}
