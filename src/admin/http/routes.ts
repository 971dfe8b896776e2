/** The paths of the operator's HTTP listener, as one table, on fastify. Imported at the first request. */
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { ApplianceError, asError, type ErrorDefinition } from '../../base/errors.ts'
import { expositionContentType } from '../exposition.ts'
import type { Caller } from '../access.ts'
import type { HealthReport, Operations } from '../operations.ts'
import { accessRoutes } from './access-routes.ts'
import { admit, asksForNames, noAuthentication } from './gate.ts'
import { httpErrors } from './http-errors.ts'
import { httpEvents } from './http-events.ts'
import { HttpSessions } from './http-sessions.ts'
import type { HttpSurfaceOptions, RequestHandler } from './http-surface.ts'
import type { Route, RouteCall } from './route.ts'

const startingHealth: HealthReport = { live: true, ready: false, reasons: [httpErrors.starting.sentence] }

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/',
    shows: 'this list',
    needs: 'nothing',
    answer: () => ({ paths: routes.map(({ method, path, shows }) => ({ path, shows, method })) }),
  },
  {
    method: 'GET',
    path: '/health/live',
    shows: '200 while the daemon makes progress, else 503: restart it',
    needs: 'nothing',
    answer: (call) => {
      const { live, reasons } = call.options.operations()?.health() ?? startingHealth
      return call.reply.code(live ? 200 : 503).send({ live, ...reasonsFor(call, live ? [] : reasons) })
    },
  },
  {
    method: 'GET',
    path: '/health/ready',
    shows: '200 while clients are served, else 503',
    needs: 'nothing',
    answer: (call) => {
      const { ready, reasons } = call.options.operations()?.health() ?? startingHealth
      return call.reply.code(ready ? 200 : 503).send({ ready, ...reasonsFor(call, reasons) })
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    shows: 'figures for Prometheus',
    needs: 'metrics',
    answer: async ({ options, reply }) => {
      options.operations()?.refreshGauges()
      return reply.header('content-type', expositionContentType).send(await options.metricsText())
    },
  },
  {
    method: 'GET',
    path: '/api/status',
    shows: 'the appliance: identity, listeners, recovery, disk, commits, mirrors',
    needs: 'view',
    answer: ({ options }) => running(options).status(),
  },
  {
    method: 'GET',
    path: '/api/mirrors',
    shows: 'the mirrors with the lag of each partition',
    needs: 'view',
    answer: ({ options }) => running(options).mirrorStatus(),
  },
  ...accessRoutes,
]

/** Whoever has no name where names are asked for is told whether, and not why. */
function reasonsFor({ options }: RouteCall, reasons: readonly string[]): { readonly reasons?: readonly string[] } {
  const { authentication = noAuthentication, access = () => null } = options
  return asksForNames({ authentication, access }) ? {} : { reasons }
}

function running(options: HttpSurfaceOptions): Operations {
  const operations = options.operations()
  if (operations === null) throw new ApplianceError(httpErrors.starting)
  return operations
}

/** Nothing here is a page: what a browser makes of an answer runs nothing, frames nothing, and is kept nowhere. */
const answerHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** Builds the framework once. */
export async function buildHandler(options: HttpSurfaceOptions): Promise<RequestHandler> {
  const app = fastify({
    logger: false,
    bodyLimit: 1,
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: true },
  })
  const sessions = new HttpSessions(() => performance.now())
  const authentication = options.authentication ?? noAuthentication
  const gate = { authentication, access: options.access ?? (() => null), sessions }
  app.addHook('onRequest', async (_request, reply) => void reply.headers(answerHeaders))
  for (const { method, path, needs, bodyBytesMax, answer } of routes) {
    const admitted = new WeakMap<FastifyRequest, Caller>()
    app.route({
      method,
      url: path,
      ...(bodyBytesMax === undefined ? {} : { bodyLimit: bodyBytesMax }),
      // Before the body is read: whoever may not ask is not listened to.
      onRequest: async (request, reply) => {
        const verdict = await admit(request.raw, needs, gate)
        if (!('status' in verdict)) return void admitted.set(request, verdict)
        const { status, definition, fields } = verdict
        if (status === 401)
          reply.header('www-authenticate', 'Basic realm="headwater", charset="UTF-8", Bearer realm="headwater"')
        return refuse(reply, status, definition, fields)
      },
      handler: (request, reply) => {
        const caller = admitted.get(request)
        if (caller === undefined) throw new Error('a request that nobody has admitted')
        return answer({ options, request, reply, sessions, caller })
      },
    })
  }
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const methods = routes.filter((route) => matches(route.path, path)).map(({ method }) => method)
    if (methods.length === 0) return refuse(reply, 404, httpErrors.notFound, { path })
    reply.header('allow', methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', '))
    return refuse(reply, 405, httpErrors.methodNotAllowed, { path, method: request.method })
  })
  app.setErrorHandler((thrown, request, reply) => answerFailure(asError(thrown), request, reply, options))
  await app.ready()
  return (request, response) => app.routing(request, response)
}

function matches(pattern: string, path: string): boolean {
  const parts = path.replace(/\/$/, '').split('/')
  const wanted = pattern.replace(/\/$/, '').split('/')
  return parts.length === wanted.length && wanted.every((part, at) => part.startsWith(':') || part === parts[at])
}

function refuse(
  reply: FastifyReply,
  status: number,
  definition: ErrorDefinition,
  fields: Record<string, string>,
): FastifyReply {
  return answerError(reply, status, new ApplianceError(definition, fields))
}

function answerError(reply: FastifyReply, status: number, error: ApplianceError): FastifyReply {
  return reply.code(status).send({ error: error.code, message: error.message, remedy: error.remedy })
}

function answerFailure(
  error: Error & { readonly statusCode?: number },
  request: FastifyRequest,
  reply: FastifyReply,
  options: HttpSurfaceOptions,
): FastifyReply {
  const { statusCode } = error
  if (error instanceof ApplianceError) return answerError(reply, statusCode ?? 503, error)
  if (statusCode !== undefined && statusCode < 500)
    return refuse(reply, statusCode, httpErrors.malformed, { detail: error.message })
  options.observer.event(httpEvents.requestFailed, { method: request.method, path: request.url, error: error.message })
  return refuse(reply, 500, httpErrors.failed, { detail: error.message })
}
