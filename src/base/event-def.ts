/** Structured log events, declared next to their users in `*-events.ts` tables; docs/log-events.md is printed from them. */

export type EventLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'
export type EventFieldType = 'string' | 'number' | 'boolean'

export interface EventDefinition {
  /** Stable id, kebab-case: `log-recovered`. */
  readonly id: string
  readonly level: EventLevel
  /** One sentence with `{field}` places. */
  readonly sentence: string
  readonly fields: Readonly<Record<string, EventFieldType>>
}

type FieldValue<T extends EventFieldType> = T extends 'string' ? string : T extends 'number' ? number : boolean

/** The values that declared fields take. */
export type FieldValues<F extends Readonly<Record<string, EventFieldType>>> = {
  readonly [K in keyof F]: FieldValue<F[K]>
}

/** The values an event takes. */
export type EventFields<D extends EventDefinition> = FieldValues<D['fields']>

/** Declares a table of events; the result keeps the literal types. */
export function defineEvents<const T extends Readonly<Record<string, EventDefinition>>>(events: T): T {
  return events
}
