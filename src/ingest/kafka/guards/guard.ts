/**
 * What stands between a request and its handler while an authorizer decides: a guard answers what the principal may not do and
 * hands the rest on. A handler knows nothing of it. Each API has a guard; the table is the one place that says which right it needs.
 */
import { aclOperation, aclResource, clusterResourceName } from '../../../security/acl.ts'
import type { Authorizer, Subject } from '../../../security/authorizer.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type { AnyKafkaHandler, HandlerEntry, KafkaHandler, RequestContext } from '../handler.ts'

type Answer<R> = R | null | Promise<R | null>

export interface GuardContext {
  readonly subject: Subject
  readonly request: RequestContext
}

/** Answers, or asks `next` (with all of the request, or with what is allowed of it). */
export type Guard<Q, R> = (request: Q, context: GuardContext, next: (request: Q) => Answer<R>) => Answer<R>

export interface GuardEntry {
  readonly apiKey: number
  /** The rights that the API needs, as the documentation tells them. */
  readonly needs: string
  readonly guard: Guard<never, never>
}

/** One row. */
export function guardEntry<Q, R>(apiKey: number, needs: string, guard: Guard<Q, R>): GuardEntry {
  return { apiKey, needs, guard: guard as unknown as Guard<never, never> }
}

/** The same handlers behind their guards. Throws for an API without a guard: nothing is open because it was forgotten. */
export function guardHandlers(
  handlers: readonly HandlerEntry[],
  guards: readonly GuardEntry[],
  authorizer: Authorizer,
): readonly HandlerEntry[] {
  const byKey = new Map(guards.map((entry) => [entry.apiKey, entry.guard]))
  return handlers.map(([apiKey, handler]): HandlerEntry => {
    const guard = byKey.get(apiKey)
    if (guard === undefined) throw new Error(`API ${apiKey} has no guard`)
    return [apiKey, guarded(guard as unknown as Guard<unknown, unknown>, handler, authorizer)]
  })
}

function guarded(guard: Guard<unknown, unknown>, handler: AnyKafkaHandler, authorizer: Authorizer): AnyKafkaHandler {
  const handle = handler as KafkaHandler<unknown, unknown>
  const wrapped: KafkaHandler<unknown, unknown> = (request, context) => {
    // Set-up may change it while the node runs.
    if (!authorizer.isEnabled) return handle(request, context)
    const subject = authorizer.subject(context.principal, context.clientHost)
    if (subject.isUnlimited) return handle(request, context)
    return guard(request, { subject, request: context }, (allowed) => handle(allowed, context))
  }
  return wrapped
}

export const topicDenied = errorCode('TOPIC_AUTHORIZATION_FAILED')
export const groupDenied = errorCode('GROUP_AUTHORIZATION_FAILED')
export const clusterDenied = errorCode('CLUSTER_AUTHORIZATION_FAILED')

/** A guard of an API that needs nothing, or whose handler asks itself. */
export const open: Guard<unknown, unknown> = (request, _, next) => next(request)

export function mayTopic({ subject }: GuardContext, operation: number, name: string): boolean {
  return subject.demands(operation, aclResource.topic, name)
}

export function mayGroup({ subject }: GuardContext, operation: number, name: string): boolean {
  return subject.demands(operation, aclResource.group, name)
}

export function mayCluster({ subject }: GuardContext, operation: number): boolean {
  return subject.demands(operation, aclResource.cluster, clusterResourceName)
}

/** Does the client see the topic in a list? Nothing is refused when it does not: the audit hears nothing of it. */
export function seesTopic({ subject }: GuardContext, operation: number, name: string): boolean {
  return subject.allows(operation, aclResource.topic, name)
}

export function seesGroup({ subject }: GuardContext, operation: number, name: string): boolean {
  return subject.allows(operation, aclResource.group, name)
}

/** Is there a right to the whole cluster, which makes another one needless? */
export function seesCluster({ subject }: GuardContext, operation: number): boolean {
  return subject.allows(operation, aclResource.cluster, clusterResourceName)
}

/** What may be done, as bits of Kafka's operation numbers: those of `operations` that are allowed. */
export function allowedBits(
  { subject }: GuardContext,
  resource: { readonly type: number; readonly name: string; readonly operations: number },
): number {
  let bits = 0
  for (const operation of Object.values(aclOperation)) {
    const bit = 1 << operation
    if ((resource.operations & bit) !== 0 && subject.allows(operation, resource.type, resource.name)) bits |= bit
  }
  return bits
}

/** Splits a list. Asks once for each, because the audit hears of what is refused; where nothing is, the list stays the one that it was. */
export function split<T>(
  items: readonly T[],
  isAllowed: (item: T) => boolean,
): { readonly allowed: readonly T[]; readonly denied: readonly T[] } {
  const allowed: T[] = []
  const denied: T[] = []
  for (const item of items) (isAllowed(item) ? allowed : denied).push(item)
  return { allowed: denied.length === 0 ? items : allowed, denied }
}

/** The answer to the partitions of refused topics, in the form that most APIs have. */
export function refusedTopics(
  topics: readonly { readonly name: string; readonly partitions: readonly { readonly partitionIndex: number }[] }[],
  errorCode: number,
) {
  return topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
  }))
}
