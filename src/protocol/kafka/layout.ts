/**
 * The canonical text of a message in one version: what lies on the wire, in order, and what happens to the fields that this version lacks.
 * Two declarations with the same text write the same bytes. `test/golden/kafka-layouts.txt` holds all of them.
 *
 *   name:type       an ordinary field; `type?` = may be null, `[type]` = array, `{...}` = struct, `=value` = a default that is not zero
 *   #3 name:type    a tagged field
 *   -name           not in this version, dropped silently; `=value` as above
 *   !name           not in this version, refused unless it has its default
 */
import { type Field, type Fields, hasVersion, type MessageSchema } from './schema.ts'

/** The text of one version, one line. Versions with compact lengths begin with `flexible`. */
export function layoutOf(message: MessageSchema, version: number): string {
  const head = hasVersion(message.flexible, version) ? 'flexible ' : ''
  return head + layoutOfFields(message.fields, version)
}

/** Every version of a message, equal neighbours together: `Name 3-5 text`, one line each. */
export function layoutLines(message: MessageSchema): string[] {
  const runs: { readonly first: number; last: number; readonly text: string }[] = []
  for (let version = message.versions.first; version <= message.versions.last; version++) {
    const text = layoutOf(message, version)
    const run = runs.at(-1)
    if (run?.text === text) run.last = version
    else runs.push({ first: version, last: version, text })
  }
  return runs.map(({ first, last, text }) => {
    const range = first === last ? `${first}` : `${first}-${last}`
    return `${message.name} ${range} ${text}`
  })
}

function layoutOfFields(fields: Fields, version: number): string {
  return Object.entries(fields)
    .map(([name, field]) => layoutOfField(name, field, version))
    .join(' ')
}

function layoutOfField(name: string, field: Field, version: number): string {
  const byDefault = defaultText(field.default)
  if (!hasVersion(field.versions, version)) return `${field.ignorable ? '-' : '!'}${name}${byDefault}`
  const tag = field.tag === null ? '' : `#${field.tag} `
  const nullable = hasVersion(field.nullable, version) ? '?' : ''
  return `${tag}${name}:${layoutOfType(field, version)}${nullable}${byDefault}`
}

function layoutOfType(field: Field, version: number): string {
  if (field.wire === 'bigint64') return 'int64'
  if (field.wire === 'struct') return `{${layoutOfFields(field.fields ?? {}, version)}}`
  if (field.wire !== 'array') return field.wire
  return field.element === 'struct' ? `[${layoutOfFields(field.fields ?? {}, version)}]` : `[${field.element}]`
}

/** Nothing for the zero of the type: 0, false, '', no bytes, no elements, the zero id. */
function defaultText(value: unknown): string {
  if (value === null) return '=null'
  if (value === true || (typeof value === 'number' && value !== 0)) return `=${value}`
  if (typeof value === 'bigint' && value !== 0n) return `=${value}`
  return typeof value === 'string' && value !== '' && !/^A{22}$/.test(value) ? `=${value}` : ''
}
