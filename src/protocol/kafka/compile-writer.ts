/**
 * Writes the source of an encoder for one message in one version: one pass into an `EncodeSink`, the capacity checked once for every run of
 * fields of fixed size. The input is our own schema only.
 */
import { constantOf, elementOf, fixedBytes, type Source } from './compile-reader.ts'
import { type Field, type Fields, hasVersion, type MessageSchema } from './schema.ts'

const writerTools = 'fail, putUvarint, putString, putBytes, putUuid, putSizeBefore, putUnknown, inline, reference'

/** Most bytes that a length or a count takes. */
const lengthBytesMax = 5

interface Target {
  readonly version: number
  readonly compact: boolean
  names: number
  readonly constants: unknown[]
  /** Depth of tagged fields: inside one, bytes are copied, as its size is put before it afterwards. */
  taggedDepth: number
}

/** The body of `(sink, at, value, tools, constants) => end`. A value that cannot be written is reported through `tools.fail`. */
export function writerSource(message: MessageSchema, version: number): Source {
  const target: Target = {
    version,
    compact: hasVersion(message.flexible, version),
    names: 0,
    constants: [],
    taggedDepth: 0,
  }
  const text = [
    'let p = at, view = sink.view;',
    reserve(structRoom(target, message.fields)),
    writeFields(target, { fields: message.fields, value: 'value', room: 0, path: message.name }),
    'return p;',
  ].join('\n')
  return { text, tools: writerTools, constants: target.constants }
}

function reserve(bytes: number): string {
  return bytes === 0 ? '' : `if (p + ${bytes} > sink.capacity) { p = sink.grow(p, ${bytes}); view = sink.view; }`
}

interface Struct {
  readonly fields: Fields
  /** The variable that holds the value. */
  readonly value: string
  /** Bytes of fixed size behind the struct that are to be reserved with its last field. */
  readonly room: number
  readonly path: string
}

/** Bytes to reserve before the fields of a struct: those up to and with its last one, where a variable field counts as its length. */
function structRoom(target: Target, fields: Fields): number {
  const plain = plainFields(target, fields)
  return plain.reduce((sum, [, field]) => sum + fieldRoom(target, field), target.compact ? lengthBytesMax : 0)
}

function fieldRoom(target: Target, field: Field): number {
  const fixed = fixedBytes[field.wire]
  if (fixed !== undefined) return fixed
  return field.wire === 'struct' ? 1 + structRoom(target, field.fields ?? {}) : lengthBytesMax
}

function plainFields(target: Target, fields: Fields): [string, Field][] {
  return Object.entries(fields).filter(([, field]) => field.tag === null && hasVersion(field.versions, target.version))
}

function writeFields(target: Target, struct: Struct): string {
  const code: string[] = []
  for (const [name, field] of Object.entries(struct.fields)) {
    if (hasVersion(field.versions, target.version) || field.ignorable) continue
    const local = `w${target.names++}`
    code.push(`const ${local} = ${struct.value}.${name};`)
    code.push(
      `if (${local} !== undefined && ${isOther(target, field, local)}) fail('${struct.path}.${name}', 'this version has no such field');`,
    )
  }
  const plain = plainFields(target, struct.fields)
  let room = structRoom(target, struct.fields) + struct.room
  for (const [name, field] of plain) {
    room -= fieldRoom(target, field)
    code.push(writeProperty(target, field, { value: struct.value, name, room, path: `${struct.path}.${name}` }))
  }
  if (target.compact) code.push(writeTagged(target, struct))
  else code.push(refuseUnknown(struct))
  return code.join('\n')
}

function refuseUnknown({ value, path }: Struct): string {
  return `if (${value}.unknownTaggedFields !== undefined) fail('${path}', 'this version has no tagged fields');`
}

interface Property {
  readonly value: string
  readonly name: string
  readonly room: number
  readonly path: string
}

function writeProperty(target: Target, field: Field, property: Property): string {
  const local = `w${target.names++}`
  return `let ${local} = ${property.value}.${property.name}; if (${local} === undefined) ${local} = ${defaultOf(target, field)};
${writeValue(target, field, { local, room: property.room, path: property.path })}`
}

interface Place {
  readonly local: string
  readonly room: number
  readonly path: string
}

function writeValue(target: Target, field: Field, place: Place): string {
  if (fixedBytes[field.wire] !== undefined) return writeFixed(field, place)
  const nullable = hasVersion(field.nullable, target.version)
  const { local, path } = place
  const whenNull = nullable ? writeNull(target, field) : `fail('${path}', 'null is not allowed');`
  return `if (${local} === null) { ${whenNull} } else { ${writePresent(target, field, place, nullable)} }`
}

function writeNull(target: Target, field: Field): string {
  if (field.wire === 'struct') return 'view.setInt8(p, -1); p += 1;'
  if (target.compact) return 'view.setUint8(p, 0); p += 1;'
  return field.wire === 'string' ? 'view.setInt16(p, -1); p += 2;' : 'view.setInt32(p, -1); p += 4;'
}

function writePresent(target: Target, field: Field, { local, room, path }: Place, nullable: boolean): string {
  switch (field.wire) {
    case 'struct': {
      const body = writeFields(target, { fields: field.fields ?? {}, value: local, room, path })
      return nullable ? `view.setInt8(p, 1); p += 1;\n${body}` : body
    }
    case 'string':
      return `p = putString(sink, p, ${local}, ${room}, ${target.compact}); view = sink.view;`
    case 'array':
      return writeElements(target, field, { local, room, path })
    default: {
      const shape = target.taggedDepth > 0 ? 'inline' : 'reference'
      return `p = putBytes(sink, p, ${local}, ${room}, ${shape}[${target.compact ? 1 : 0}]); view = sink.view;`
    }
  }
}

function writeElements(target: Target, field: Field, { local, room, path }: Place): string {
  const element = elementOf(field)
  const index = `w${target.names++}`
  const each = `w${target.names++}`
  const fixed = fixedBytes[element.wire]
  const count = target.compact
    ? `p = putUvarint(sink.bytes, p, ${local}.length + 1);`
    : `view.setInt32(p, ${local}.length); p += 4;`
  const before = fixed === undefined ? '' : reserveMany(local, fixed)
  const inside = fixed === undefined ? reserve(fieldRoom(target, element)) : ''
  return `${count}
${before}
for (let ${index} = 0; ${index} < ${local}.length; ${index}++) {
  const ${each} = ${local}[${index}];
  ${inside}
  ${writeValue(target, element, { local: each, room: 0, path })}
}
${reserve(room)}`
}

function reserveMany(local: string, each: number): string {
  return `if (p + ${local}.length * ${each} > sink.capacity) { p = sink.grow(p, ${local}.length * ${each}); view = sink.view; }`
}

function writeFixed(field: Field, { local, path }: Place): string {
  const checked = (test: string, write: string) =>
    `if (${test}) fail('${path}', 'out of range: ' + ${local}); ${write} p += ${fixedBytes[field.wire]};`
  switch (field.wire) {
    case 'bool':
      return `view.setUint8(p, ${local} ? 1 : 0); p += 1;`
    case 'int8':
      return checked(`${local} << 24 >> 24 !== ${local}`, `view.setInt8(p, ${local});`)
    case 'int16':
      return checked(`${local} << 16 >> 16 !== ${local}`, `view.setInt16(p, ${local});`)
    case 'uint16':
      return checked(`(${local} & 65535) !== ${local}`, `view.setUint16(p, ${local});`)
    case 'int32':
      return checked(`(${local} | 0) !== ${local}`, `view.setInt32(p, ${local});`)
    case 'uint32':
      return checked(`${local} >>> 0 !== ${local}`, `view.setUint32(p, ${local});`)
    case 'int64': {
      const write = `view.setInt32(p, Math.floor(${local} / 4294967296)); view.setUint32(p + 4, ${local} >>> 0);`
      return checked(`!Number.isSafeInteger(${local})`, write)
    }
    case 'bigint64':
      return checked(`BigInt.asIntN(64, ${local}) !== ${local}`, `view.setBigInt64(p, ${local});`)
    case 'float64':
      return `view.setFloat64(p, ${local}); p += 8;`
    default:
      return `p = putUuid(sink, p, ${local});`
  }
}

/** The tagged section: the known fields that differ from their defaults, and between them the unknown ones, by ascending tag. */
function writeTagged(target: Target, { fields, value, room, path }: Struct): string {
  const tagged = Object.entries(fields)
    .filter(([, field]) => field.tag !== null && hasVersion(field.versions, target.version))
    .sort(([, a], [, b]) => (a.tag ?? 0) - (b.tag ?? 0))
  const unknown = `w${target.names++}`
  const next = `w${target.names++}`
  const code = [`const ${unknown} = ${value}.unknownTaggedFields;`]
  const known = tagged.map(([name, field]) => {
    const local = `w${target.names++}`
    const sent = `w${target.names++}`
    code.push(`let ${local} = ${value}.${name};`)
    code.push(`const ${sent} = ${local} !== undefined && ${isOther(target, field, local)};`)
    return { name, field, local, sent }
  })
  const count = known.map(({ sent }) => `${sent} ? 1 : 0`).map((each) => `(${each})`)
  if (known.length === 0) {
    code.push(`if (${unknown} === undefined) view.setUint8(p++, 0); else {`)
  } else {
    code.push('{')
  }
  code.push(`let ${next} = 0;`)
  code.push(
    `p = putUvarint(sink.bytes, p, (${unknown} === undefined ? 0 : ${unknown}.length)${count.map((each) => ` + ${each}`).join('')});`,
  )
  for (const { name, field, local, sent } of known) {
    code.push(
      `if (${unknown} !== undefined) { ${next} = putUnknown(sink, p, ${unknown}, ${next}, ${field.tag}); p = tools.end; view = sink.view; }`,
    )
    code.push(`if (${sent}) {\n${writeTaggedField(target, field, local, `${path}.${name}`)}\n}`)
  }
  code.push(
    `if (${unknown} !== undefined) { putUnknown(sink, p, ${unknown}, ${next}, Infinity); p = tools.end; view = sink.view; }`,
  )
  code.push(known.length === 0 ? `${reserveAfterUnknown(room, unknown)} }` : `${reserve(room)} }`)
  return code.join('\n')
}

function reserveAfterUnknown(room: number, unknown: string): string {
  return room === 0 ? '' : `if (${unknown} !== undefined) { ${reserve(room)} }`
}

function writeTaggedField(target: Target, field: Field, local: string, path: string): string {
  const mark = `w${target.names++}`
  target.taggedDepth++
  const inside = writeValue(target, field, { local, room: 0, path })
  target.taggedDepth--
  return `${reserve(2 * lengthBytesMax + fieldRoom(target, field))}
p = putUvarint(sink.bytes, p, ${field.tag});
const ${mark} = p - sink.start; p += 1;
${inside}
p = putSizeBefore(sink, p, ${mark}); view = sink.view;`
}

function defaultOf(target: Target, field: Field): string {
  return field.wire === 'struct' && field.default === undefined
    ? constantOf(target.constants, {})
    : constantOf(target.constants, field.default)
}

/** Source of a test: the value differs from the field's default. A struct is compared field by field. */
function isOther(target: Target, field: Field, local: string): string {
  const byDefault = field.default
  if (byDefault === null) return `${local} !== null`
  if (field.wire === 'array' || field.wire === 'bytes' || field.wire === 'records') {
    return `(${local} === null || ${local}.length !== 0)`
  }
  if (field.wire !== 'struct') return `${local} !== ${constantOf(target.constants, byDefault)}`
  const parts = Object.entries(field.fields ?? {}).map(([name, each]) => {
    const inner = `${local}.${name}`
    return `(${inner} !== undefined && ${isOther(target, each, inner)})`
  })
  return `(${local} === null || ${local}.unknownTaggedFields !== undefined || ${parts.join(' || ')})`
}
