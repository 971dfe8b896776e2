/**
 * What the audit tells, declared in tables (`audit-types.ts`); docs/audit.md is printed from them. A record is a CloudEvent (1.0, JSON):
 * its data holds the fields of its type and nothing else.
 */
import type { EventFieldType, FieldValues } from './event-def.ts'

export interface AuditDefinition {
  /** `headwater.topic.created`. */
  readonly type: string
  /** What has happened: one sentence for the docs. */
  readonly says: string
  /** What `subject` names. */
  readonly subject: string
  readonly fields: Readonly<Record<string, EventFieldType>>
}

/** The values a type takes. */
export type AuditFields<D extends AuditDefinition> = FieldValues<D['fields']>

/** Declares a table of types; the result keeps the literal types. */
export function defineAuditTypes<const T extends Readonly<Record<string, AuditDefinition>>>(types: T): T {
  return types
}

/** Where records of the audit go. Never waits, never fails: what cannot be kept is counted. */
export interface Audit {
  record<D extends AuditDefinition>(definition: D, subject: string, fields: AuditFields<D>): void
  /** The same, for what may come in floods: the same again within a short time is counted and told with the next one. */
  recordRepeated<D extends AuditDefinition>(
    definition: D,
    subject: string,
    fields: Omit<AuditFields<D>, 'repeated'>,
  ): void
}

/** Keeps nothing. */
export const noAudit: Audit = { record: () => {}, recordRepeated: () => {} }
