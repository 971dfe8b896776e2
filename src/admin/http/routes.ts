/** The paths of the operator's HTTP listener, as one table, on fastify. Imported at the first request. */
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import { ApplianceError, asError, type ErrorDefinition } from '../../base/errors.ts'
import { expositionContentType } from '../exposition.ts'
import type { HealthReport, Operations } from '../operations.ts'
import { httpErrors } from './http-errors.ts'
import { httpEvents } from './http-events.ts'
import type { HttpSurfaceOptions, RequestHandler } from './http-surface.ts'

interface Route {
  readonly path: string
  readonly shows: string
  readonly answer: (options: HttpSurfaceOptions, reply: FastifyReply) => unknown
}

const startingHealth: HealthReport = { live: true, ready: false, reasons: [httpErrors.starting.sentence] }

const routes: readonly Route[] = [
  { path: '/', shows: 'this list', answer: () => ({ paths: routes.map(({ path, shows }) => ({ path, shows })) }) },
  {
    path: '/health/live',
    shows: '200 while the daemon makes progress, else 503: restart it',
    answer: (options, reply) => {
      const { live, reasons } = options.operations()?.health() ?? startingHealth
      return reply.code(live ? 200 : 503).send({ live, reasons: live ? [] : reasons })
    },
  },
  {
    path: '/health/ready',
    shows: '200 while clients are served, else 503',
    answer: (options, reply) => {
      const { ready, reasons } = options.operations()?.health() ?? startingHealth
      return reply.code(ready ? 200 : 503).send({ ready, reasons })
    },
  },
  {
    path: '/metrics',
    shows: 'figures for Prometheus',
    answer: async (options, reply) => {
      options.operations()?.refreshGauges()
      return reply.header('content-type', expositionContentType).send(await options.metricsText())
    },
  },
  {
    path: '/api/status',
    shows: 'the appliance: identity, listeners, recovery, disk, commits, mirrors',
    answer: (options) => running(options).status(),
  },
  {
    path: '/api/mirrors',
    shows: 'the mirrors with the lag of each partition',
    answer: (options) => running(options).mirrorStatus(),
  },
]

function running(options: HttpSurfaceOptions): Operations {
  const operations = options.operations()
  if (operations === null) throw new ApplianceError(httpErrors.starting)
  return operations
}

/** Builds the framework once. */
export async function buildHandler(options: HttpSurfaceOptions): Promise<RequestHandler> {
  const app = fastify({
    logger: false,
    bodyLimit: 1,
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: true },
  })
  const paths = new Set(routes.map((route) => route.path))
  for (const route of routes) app.get(route.path, (_request, reply) => route.answer(options, reply))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    if (!paths.has(path)) return refuse(reply, 404, httpErrors.notFound, { path })
    reply.header('allow', 'GET, HEAD')
    return refuse(reply, 405, httpErrors.methodNotAllowed, { path, method: request.method })
  })
  app.setErrorHandler((thrown, request, reply) => answerFailure(asError(thrown), request, reply, options))
  await app.ready()
  return (request, response) => app.routing(request, response)
}

function refuse(
  reply: FastifyReply,
  status: number,
  definition: ErrorDefinition,
  fields: Record<string, string>,
): FastifyReply {
  const error = new ApplianceError(definition, fields)
  return reply.code(status).send({ error: error.code, message: error.message, remedy: error.remedy })
}

function answerFailure(
  error: Error & { readonly statusCode?: number },
  request: FastifyRequest,
  reply: FastifyReply,
  options: HttpSurfaceOptions,
): FastifyReply {
  if (error instanceof ApplianceError) {
    return reply.code(503).send({ error: error.code, message: error.message, remedy: error.remedy })
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return refuse(reply, error.statusCode, httpErrors.malformed, { detail: error.message })
  }
  options.observer.event(httpEvents.requestFailed, { method: request.method, path: request.url, error: error.message })
  return refuse(reply, 500, httpErrors.failed, { detail: error.message })
}
