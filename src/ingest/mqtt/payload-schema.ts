/**
 * JSON Schema (draft-07, 2020-12) for the payloads of a route, compiled once. The work of a check is bounded by the size of the payload, which has a bound of
 * its own: patterns run on an engine whose time is linear, and what could multiply (recursion, comparing all items with each other) is refused with
 * the schema (`schema-bounds.ts`). `format` is an annotation, as both drafts allow. Nothing is ever fetched.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'
import { isTextPayload, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { patternFault, schemaFault } from './schema-bounds.ts'
import type { PayloadCheck } from './payload-check.ts'

/** Characters of what a client is told. */
const reasonLengthMax = 160

/** Ajv's way of asking for a pattern's engine; `code` would stand in a generated file, of which there is none. */
const linearEngine = Object.assign(
  (pattern: string): { test(text: string): boolean; toString(): string } => {
    const fault = patternFault(pattern)
    if (fault !== null) throw new Error(fault)
    const compiled = compilePattern(pattern)
    return { test: (text) => compiled.test(text), toString: () => pattern }
  },
  { code: 'linear' },
)

function compilePattern(pattern: string): RE2JS {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the pattern "${pattern}" has no linear time or is none: ${reason}`, { cause: error })
  }
}

const options: Options = {
  strict: false,
  // A misspelt keyword would check nothing.
  strictSchema: true,
  validateFormats: false,
  // Ajv resolves it, and does not know it.
  keywords: ['$anchor'],
  ownProperties: true,
  logger: false,
  code: { regExp: linearEngine },
}

/** Compiles a schema; answers why it cannot be used. `payloadBytesMax`: larger payloads are refused unread. */
export function compilePayloadSchema(text: string, payloadBytesMax: number): PayloadCheck | string {
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch (error) {
    return `it is no JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  if (schema !== null && typeof schema === 'object' && !Array.isArray(schema)) {
    const draft = draftOf((schema as Record<string, unknown>)['$schema'])
    if (draft === null) return '$schema names neither draft-07 nor 2020-12'
    const fault = schemaFault(schema)
    if (fault !== null) return fault
    try {
      const ajv = draft === '2020-12' ? new Ajv2020(options) : new Ajv(options)
      const validate = ajv.compile(schema)
      return new PayloadSchema(validate, payloadBytesMax)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return 'a schema is an object'
}

function draftOf(name: unknown): '07' | '2020-12' | null {
  if (name === undefined) return '2020-12'
  if (typeof name !== 'string') return null
  if (/^https?:\/\/json-schema\.org\/draft-07\/schema#?$/.test(name)) return '07'
  return /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/.test(name) ? '2020-12' : null
}

class PayloadSchema implements PayloadCheck {
  private readonly validate: ValidateFunction
  private readonly payloadBytesMax: number

  constructor(validate: ValidateFunction, payloadBytesMax: number) {
    this.validate = validate
    this.payloadBytesMax = payloadBytesMax
  }

  fault(source: Uint8Array, start: number, end: number): string | null {
    if (end - start > this.payloadBytesMax)
      return `the payload has ${end - start} bytes, more than the ${this.payloadBytesMax} that are checked`
    if (!isTextPayload(source.subarray(start, end))) return 'the payload is no UTF-8'
    let value: unknown
    try {
      value = JSON.parse(utf8Text(source, start, end))
    } catch {
      return 'the payload is no JSON'
    }
    try {
      return this.validate(value) ? null : faultText(this.validate.errors?.[0])
    } catch (error) {
      // Two items that are nested very deep, and are compared.
      if (error instanceof RangeError) return 'the payload is nested too deep'
      throw error
    }
  }
}

/** The first path at fault and what is wrong there, as text that MQTT can carry. */
function faultText(error: ErrorObject | undefined): string {
  if (error === undefined) return 'the payload does not fit'
  const { instancePath, message = 'does not fit', params } = error
  const extra = (params as { readonly additionalProperty?: unknown })['additionalProperty']
  const text = `${instancePath === '' ? '/' : instancePath} ${message}${typeof extra === 'string' ? ` (${extra})` : ''}`
  const shown = text.length > reasonLengthMax ? `${text.slice(0, reasonLengthMax)}...` : text
  return shown.toWellFormed().replace(/\p{Cc}/gu, '?')
}
