/**
 * The configuration's keys as a flat list, read off the schema: what docs/configuration.md, `config print`, the HEADWATER_
 * variables and the hints for misspelt keys are made of.
 */
import { z } from 'zod'
import { configSchema } from './config.ts'

export interface ConfigKey {
  /** Dotted, `listeners.kafka[].listen` inside a list. */
  readonly name: string
  /** `[]` stands for an element of a list. */
  readonly path: readonly string[]
  readonly kind: 'text' | 'number' | 'boolean' | 'list' | 'map'
  readonly description: string
  /** As it would be written; undefined when the key is required. */
  readonly defaultValue: unknown
  /** The section that has to be there before the key means anything; null when it always is. */
  readonly optionalSection: readonly string[] | null
  /** The values a key with a closed set takes. */
  readonly choices: readonly string[]
}

interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

/** Every leaf of the schema. `insideLists` adds the keys of list elements (which have no variable of their own). */
export function configKeys(options: { readonly insideLists?: boolean } = {}): ConfigKey[] {
  const keys: ConfigKey[] = []
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  collect(schema, { path: [], optionalSection: null, insideLists: options.insideLists ?? false }, keys)
  return keys
}

interface Place {
  readonly path: readonly string[]
  readonly optionalSection: readonly string[] | null
  readonly insideLists: boolean
}

function collect(schema: JsonSchema, place: Place, keys: ConfigKey[]): void {
  const { path, optionalSection, insideLists } = place
  if (schema.properties !== undefined) {
    for (const [name, inner] of Object.entries(schema.properties)) {
      collect(inner, { ...place, path: [...path, name] }, keys)
    }
    return
  }
  const some = schema.anyOf?.find((choice) => choice.type !== 'null') ?? schema
  // A section that may be left out: its keys stand for it.
  if (some.properties !== undefined) return collect(some, { ...place, optionalSection: path }, keys)
  keys.push({
    name: path.join('.').replaceAll('.[]', '[]'),
    path,
    kind: kindOf(some),
    description: schema.description ?? some.description ?? '',
    defaultValue: schema.default,
    optionalSection,
    choices: some.enum ?? [],
  })
  if (insideLists && schema.items?.properties !== undefined) {
    collect(schema.items, { ...place, path: [...path, '[]'] }, keys)
  }
}

function kindOf(schema: JsonSchema): ConfigKey['kind'] {
  if (schema.type === 'array') return 'list'
  if (schema.type === 'object') return 'map'
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  if (schema.type === 'boolean') return 'boolean'
  return 'text'
}

/** `HEADWATER_LISTENERS_HTTP_LISTEN` for `listeners.http.listen`. */
export function environmentName(path: readonly string[]): string {
  const words = path.map((part) => part.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/[^A-Za-z0-9]+/g, '_'))
  return `HEADWATER_${words.join('_').toUpperCase()}`
}
