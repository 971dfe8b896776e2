/** Random values of a declared message in one version. */
import fc from 'fast-check'
import {
  type Field,
  type Fields,
  hasVersion,
  type MessageSchema,
  type WireType,
} from '../../../src/protocol/kafka/schema.ts'

/** Texts of any script, no lone surrogates: those cannot be written as UTF-8. `charactersMin` > 0 makes equal keys unlikely. */
export interface ArbitraryOptions {
  readonly charactersMin?: number
  readonly charactersMax?: number
  readonly elementsMax?: number
}

/** Values as `encodeMessage` takes them and `decodeMessage` gives them: every field present, absent ones at their default. */
export function arbitraryMessage(
  message: MessageSchema,
  version: number,
  options: ArbitraryOptions = {},
): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  return arbitraryFields(message.fields, version, options)
}

function arbitraryFields(
  fields: Fields,
  version: number,
  options: ArbitraryOptions,
): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const entries = Object.entries(fields).map(
    ([name, field]) => [name, arbitraryField(field, version, options)] as const,
  )
  return fc.record(Object.fromEntries(entries), { noNullPrototype: true })
}

function arbitraryField(field: Field, version: number, options: ArbitraryOptions): fc.Arbitrary<unknown> {
  if (!hasVersion(field.versions, version)) return fc.constant(defaultValue(field))
  const present = arbitraryPresent(field, version, options)
  const orDefault = field.tag === null ? present : fc.oneof(present, fc.constant(defaultValue(field)))
  return hasVersion(field.nullable, version) ? fc.option(orDefault, { freq: 3 }) : orDefault
}

function arbitraryPresent(field: Field, version: number, options: ArbitraryOptions): fc.Arbitrary<unknown> {
  if (field.wire === 'struct') return arbitraryFields(field.fields ?? {}, version, options)
  if (field.wire !== 'array') return arbitraryScalar(field.wire, options)
  const element =
    field.element === 'struct'
      ? arbitraryFields(field.fields ?? {}, version, options)
      : arbitraryScalar(field.element ?? 'int8', options)
  return fc.array(element, { maxLength: options.elementsMax ?? 3 })
}

function arbitraryScalar(wire: WireType, options: ArbitraryOptions): fc.Arbitrary<unknown> {
  const int = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 })
  switch (wire) {
    case 'bool':
      return fc.boolean()
    case 'int8':
      return int(8)
    case 'int16':
      return int(16)
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff })
    case 'int32':
      return int(32)
    case 'uint32':
      return fc.integer({ min: 0, max: 0xffff_ffff })
    case 'int64':
      return fc.maxSafeInteger()
    case 'bigint64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case 'float64':
      return fc.double({ noNaN: true })
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url'))
    case 'string':
      return fc.string({
        unit: 'grapheme',
        minLength: options.charactersMin ?? 0,
        maxLength: options.charactersMax ?? 60,
        size: 'max',
      })
    default:
      return fc.uint8Array({ maxLength: 40, size: 'max' }).map((bytes) => new Uint8Array(bytes))
  }
}

/** What decoding gives for a field that the version lacks. */
export function defaultValue(field: Field): unknown {
  if (field.wire !== 'struct' || field.default !== undefined) return field.default
  return Object.fromEntries(Object.entries(field.fields ?? {}).map(([name, each]) => [name, defaultValue(each)]))
}
