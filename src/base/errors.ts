/**
 * Three kinds of failure: a programmer error is an assertion, an expected outcome is a value in a result, and a failed world is
 * one of these: a declared error with a stable code, a sentence, what to do about it, and whether trying again may help.
 *
 * Tables live next to their users (`*-errors.ts`); docs/errors.md is printed from them. Codes that Kafka has a name for carry
 * Kafka's name, and `protocol/kafka/error-codes.ts` gives its number.
 */
export interface ErrorDefinition {
  /** UPPER_SNAKE_CASE, unique. */
  readonly code: string
  /** What happened, with `{field}` places. */
  readonly sentence: string
  /** What the operator does about it; may have places too. */
  readonly remedy: string
  readonly retriable: boolean
}

/** Declares a table of errors; the result keeps the literal types. */
export function defineErrors<const T extends Readonly<Record<string, ErrorDefinition>>>(errors: T): T {
  return errors
}

export class ApplianceError extends Error {
  readonly code: string
  readonly remedy: string
  readonly retriable: boolean
  /** What fills the places of the sentence. */
  readonly fields: Readonly<Record<string, string | number>>
  /** `fields` fill the places of sentence and remedy. */
  constructor(
    definition: ErrorDefinition,
    fields: Readonly<Record<string, string | number>> = {},
    options: { readonly cause?: unknown } = {},
  ) {
    super(filled(definition.sentence, fields), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ApplianceError'
    this.code = definition.code
    this.remedy = filled(definition.remedy, fields)
    this.retriable = definition.retriable
    this.fields = fields
  }
}

function filled(text: string, fields: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(fields[name] ?? place))
}

/** The failure as an Error, whatever was thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
