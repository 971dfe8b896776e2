/** One path of the operator's HTTP listener. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../access.ts'
import type { HttpSurfaceOptions } from './http-surface.ts'
import type { HttpSessions } from './http-sessions.ts'

/**
 * `nothing`: anybody may ask. `metrics`: as `view`, unless scrapers need no name. `secret`: whoever shows a password or a token in this very request.
 * The others: where names are asked for, one with the right.
 */
export type RouteNeed = 'nothing' | 'metrics' | 'view' | 'name' | 'secret' | 'administer'

export interface RouteCall {
  readonly options: HttpSurfaceOptions
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** `User:ANONYMOUS` where nobody has said who it is. */
  readonly caller: Caller
  readonly sessions: HttpSessions
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly shows: string
  readonly needs: RouteNeed
  /** Of the request; 1 when omitted: there is none. */
  readonly bodyBytesMax?: number
  readonly answer: (call: RouteCall) => unknown
}
