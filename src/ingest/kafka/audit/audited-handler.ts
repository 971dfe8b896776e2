/**
 * What stands in front of the guards where an audit is kept: it tells the audit what a request was to change and what came of it. The
 * handler knows nothing of it, and the answer does not wait.
 */
import type { Audit, AuditDefinition } from '../../../base/audit-def.ts'
import type { auditTypes } from '../../../security/audit/audit-types.ts'
import { errorName } from '../../../protocol/kafka/error-codes.ts'
import { type AnyKafkaHandler, CloseConnection, type HandlerEntry, type KafkaHandler } from '../handler.ts'

/** A type whose fields are those of a change. */
type ChangeDefinition = AuditDefinition & { readonly fields: (typeof auditTypes)['topicCreated']['fields'] }

export interface Change {
  readonly definition: ChangeDefinition
  readonly subject: string
  /** Kafka's number; 0 = it was done. */
  readonly errorCode: number
  readonly detail: string
}

export interface AuditedApi {
  readonly apiKey: number
  /** What a request was to change, and what the answer says of it. Nothing secret may be in it. */
  readonly changes: (request: never, answer: never) => readonly Change[]
}

/** The same handlers, those of the table with the audit in front. */
export function auditHandlers(
  handlers: readonly HandlerEntry[],
  apis: readonly AuditedApi[],
  audit: Audit | null,
): readonly HandlerEntry[] {
  if (audit === null) return handlers
  const byKey = new Map(apis.map(({ apiKey, changes }) => [apiKey, changes]))
  return handlers.map(([apiKey, handler]): HandlerEntry => {
    const changes = byKey.get(apiKey)
    return changes === undefined ? [apiKey, handler] : [apiKey, audited(changes, handler, audit)]
  })
}

function audited(changes: AuditedApi['changes'], handler: AnyKafkaHandler, audit: Audit): AnyKafkaHandler {
  const handle = handler as KafkaHandler<unknown, unknown>
  const wrapped: KafkaHandler<unknown, unknown> = async (request, context) => {
    const { principal, clientHost } = context
    const answer = await handle(request, context)
    if (answer === null || answer instanceof CloseConnection) return answer
    const all = changes(request as never, answer as never)
    for (const { definition, subject, errorCode, detail } of bounded(all)) {
      const fields = { principal, client: clientHost, outcome: errorCode === 0 ? 'done' : errorName(errorCode), detail }
      // Refusals may come in floods; what was done was not for nothing.
      if (errorCode === 0) audit.record(definition, subject, { ...fields, repeated: 0 })
      else audit.recordRepeated(definition, subject, fields)
    }
    return answer
  }
  return wrapped
}

/** Changes of one request that are told one by one: more are one record, so that a large request does not hold the loop. */
const changesMax = 1_000

function bounded(changes: readonly Change[]): readonly Change[] {
  const last = changes[changesMax - 1]
  if (changes.length <= changesMax || last === undefined) return changes
  const detail = `${changes.length - changesMax + 1} more of the same request`
  return [...changes.slice(0, changesMax - 1), { ...last, subject: '(others)', detail }]
}

/** What a request names, as far as a record holds it. */
export function toldOf(words: readonly string[]): string {
  return words.length <= wordsMax
    ? words.join(', ')
    : `${words.slice(0, wordsMax).join(', ')} and ${words.length - wordsMax} more`
}

const wordsMax = 20
