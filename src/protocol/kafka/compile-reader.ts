/**
 * Writes the source of a decoder for one message in one version: straight-line reads over a DataView, every length checked against the
 * bytes that remain before anything is made of it. The input is our own schema only, never bytes from outside.
 */
import { type Field, type Fields, hasVersion, type MessageSchema, type WireType } from './schema.ts'

/** Bytes on the wire of the types of fixed size. */
export const fixedBytes: Readonly<Partial<Record<WireType, number>>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  bigint64: 8,
  float64: 8,
  uuid: 16,
}

/** What one decoder is made for. */
interface Target {
  readonly version: number
  readonly compact: boolean
  /** What a client adds to its requests, nobody reads; kept it would take fifty times its bytes. */
  readonly keepsUnknown: boolean
  /** Names of local variables, unique in the function. */
  names: number
  /** Default values that cannot be written as a literal. */
  readonly constants: unknown[]
}

export interface Source {
  readonly text: string
  /** Names of the tools that the text uses. */
  readonly tools: string
  readonly constants: readonly unknown[]
}

/**
 * The body of `(bytes, view, at, cursor, tools, constants) => value`. The end position is left in `cursor.at`, the members of lists are added to
 * `cursor.members`. Reading past the end of the view throws a RangeError, everything else that is wrong is reported through `tools.fail`.
 */
export function readerSource(message: MessageSchema, version: number): Source {
  const target: Target = {
    version,
    compact: hasVersion(message.flexible, version),
    keepsUnknown: !message.name.endsWith('Request'),
    names: 0,
    constants: [],
  }
  const value = readFields(target, message.fields, message.name)
  const text = [
    'const end = bytes.length; let p = at, n = 0, hi = 0;',
    value.code,
    `cursor.at = p; return ${value.expression};`,
  ].join('\n')
  return { text, tools: 'fail, uvarint, text, uuid, slice', constants: target.constants }
}

interface Read {
  /** Statements. */
  readonly code: string
  /** What holds the value after them. */
  readonly expression: string
}

function readFields(target: Target, fields: Fields, path: string): Read {
  const code: string[] = []
  const properties: string[] = []
  const tagged: [Field, string, string][] = []
  for (const [name, field] of Object.entries(fields)) {
    const place = `${path}.${name}`
    const local = `v${target.names++}`
    properties.push(`${name}: ${local}`)
    if (!hasVersion(field.versions, target.version)) {
      code.push(`const ${local} = ${defaultOf(target, field)};`)
    } else if (field.tag !== null) {
      code.push(`let ${local} = ${defaultOf(target, field)};`)
      tagged.push([field, local, place])
    } else {
      code.push(`let ${local};`, readField(target, field, local, place))
    }
  }
  if (!target.compact) return { code: code.join('\n'), expression: `{ ${properties.join(', ')} }` }
  if (!target.keepsUnknown) {
    code.push(readTagged(target, tagged, null, path))
    return { code: code.join('\n'), expression: `{ ${properties.join(', ')} }` }
  }
  const unknown = `v${target.names++}`
  code.push(`let ${unknown} = null;`, readTagged(target, tagged, unknown, path))
  const value = `v${target.names++}`
  code.push(`const ${value} = { ${properties.join(', ')} };`)
  code.push(`if (${unknown} !== null) ${value}.unknownTaggedFields = ${unknown};`)
  return { code: code.join('\n'), expression: value }
}

/** `unknown` names the list of the fields that the schema does not have; null: they are skipped. */
function readTagged(
  target: Target,
  tagged: readonly [Field, string, string][],
  unknown: string | null,
  path: string,
): string {
  const keep = unknown === null ? '' : `(${unknown} ??= []).push({ tag, bytes: slice(bytes, p, tagEnd - p) });`
  const where = JSON.stringify(`${path}: tagged fields`)
  const cases = tagged.map(
    ([field, local, place]) => `case ${field.tag}: {\n${readField(target, field, local, place)}\nbreak; }`,
  )
  return `${readUvarint('n')}
if (n !== 0) {
  if (n > (end - p) / 2) fail(${where}, 'more of them than bytes');
  for (let left = n, last = -1; left > 0; left--) {
    ${readUvarint('n')}
    const tag = n;
    if (tag <= last) fail(${where}, 'not in ascending order');
    last = tag;
    ${readUvarint('n')}
    if (n > end - p) fail(${where}, 'one is longer than the bytes that remain');
    const tagEnd = p + n;
    switch (tag) {
      ${cases.join('\n')}
      default: ${keep} p = tagEnd;
    }
    if (p !== tagEnd) fail(${where}, 'one has another size than it says');
  }
}`
}

/** A varint of one byte is read in place; the longer ones by the tool, which also finds the end of the bytes. */
function readUvarint(into: string): string {
  return `if (bytes[p] < 128) ${into} = bytes[p++]; else { ${into} = uvarint(bytes, p, cursor); p = cursor.at; }`
}

function readField(target: Target, field: Field, into: string, path: string): string {
  const where = JSON.stringify(path)
  const nullable = hasVersion(field.nullable, target.version)
  if (field.wire === 'struct') {
    const { code, expression } = readFields(target, field.fields ?? {}, path)
    if (!nullable) return `{ ${code}\n${into} = ${expression}; }`
    return `if (view.getInt8(p++) < 0) ${into} = null; else { ${code}\n${into} = ${expression}; }`
  }
  if (fixedBytes[field.wire] !== undefined) return readFixed(field, into, where)
  const onNull = nullable ? `${into} = null;` : `fail(${where}, 'null is not allowed');`
  const open = `${readLength(target, field.wire)} if (n < 0) { if (n !== -1) fail(${where}, 'negative length'); ${onNull} } else {`
  if (field.wire === 'array') return `${open} ${readElements(target, field, into, path)} }`
  const longest = field.wire === 'string' ? `if (n > 32767) fail(${where}, 'longer than a text may be'); ` : ''
  const made = field.wire === 'string' ? 'text(bytes, p, n)' : 'slice(bytes, p, n)'
  return `${open} ${longest}if (n > end - p) fail(${where}, 'longer than the bytes that remain'); ${into} = ${made}; p += n; }`
}

/** Leaves the length in `n`, -1 for null. */
function readLength(target: Target, wire: WireType): string {
  if (target.compact) return `${readUvarint('n')} n -= 1;`
  return wire === 'string' ? 'n = view.getInt16(p); p += 2;' : 'n = view.getInt32(p); p += 4;'
}

function readElements(target: Target, field: Field, into: string, path: string): string {
  const element: Field = elementOf(field)
  const each = `v${target.names++}`
  const count = `v${target.names++}`
  const index = `v${target.names++}`
  return `if (n > (end - p) / ${elementBytesMin(target, element)}) fail(${JSON.stringify(path)}, 'more elements than bytes');
const ${count} = n; ${into} = new Array(${count}); cursor.members += ${count};
for (let ${index} = 0; ${index} < ${count}; ${index}++) {
  let ${each}; ${readField(target, element, each, path)}
  ${into}[${index}] = ${each};
}`
}

/** The elements of an array as a field of their own. */
export function elementOf(array: Field): Field {
  return { ...array, wire: array.element ?? 'struct', element: null, nullable: null, tag: null }
}

function readFixed({ wire, saturates }: Field, into: string, where: string): string {
  switch (wire) {
    case 'bool':
      return `${into} = view.getUint8(p) !== 0; p += 1;`
    case 'int8':
      return `${into} = view.getInt8(p); p += 1;`
    case 'int16':
      return `${into} = view.getInt16(p); p += 2;`
    case 'uint16':
      return `${into} = view.getUint16(p); p += 2;`
    case 'int32':
      return `${into} = view.getInt32(p); p += 4;`
    case 'uint32':
      return `${into} = view.getUint32(p); p += 4;`
    case 'int64':
      return `hi = view.getInt32(p); ${into} = hi * 4294967296 + view.getUint32(p + 4); p += 8;
if (hi > 2097151 || hi < -2097152) ${saturates ? nearest(into) : `fail(${where}, 'beyond 2^53');`}`
    case 'bigint64':
      return `${into} = view.getBigInt64(p); p += 8;`
    case 'float64':
      return `${into} = view.getFloat64(p); p += 8;`
    default:
      return `if (end - p < 16) fail(${where}, 'ends early'); ${into} = uuid(bytes, view, p); p += 16;`
  }
}

/** `hi` holds the upper half. */
function nearest(into: string): string {
  return `${into} = hi < 0 ? ${Number.MIN_SAFE_INTEGER} : ${Number.MAX_SAFE_INTEGER};`
}

/** The least number of bytes an element takes; at least one, so that a count is always bounded by the bytes that remain. */
function elementBytesMin(target: Target, element: Field): number {
  return Math.max(1, bytesMin(target, element))
}

function bytesMin(target: Target, field: Field): number {
  const fixed = fixedBytes[field.wire]
  if (fixed !== undefined) return fixed
  if (field.wire !== 'struct') return target.compact ? 1 : field.wire === 'string' ? 2 : 4
  if (hasVersion(field.nullable, target.version)) return 1
  const present = Object.values(field.fields ?? {}).filter(
    (each) => each.tag === null && hasVersion(each.versions, target.version),
  )
  return present.reduce((sum, each) => sum + bytesMin(target, each), target.compact ? 1 : 0)
}

/** Source of a field's default value; a struct's is made anew each time, the others are shared constants. */
function defaultOf(target: Target, field: Field): string {
  if (field.wire === 'struct' && field.default === undefined) {
    const properties = Object.entries(field.fields ?? {}).map(([name, each]) => `${name}: ${defaultOf(target, each)}`)
    return `{ ${properties.join(', ')} }`
  }
  return constantOf(target.constants, field.default)
}

/** A literal, or a place in the list of constants. */
export function constantOf(constants: unknown[], value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return String(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value)
  constants.push(value)
  return `constants[${constants.length - 1}]`
}
