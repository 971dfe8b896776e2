/**
 * The language in which a Kafka message is declared: one table of fields for all versions, from which the types, the codecs
 * (`compile.ts`) and the canonical text (`layout.ts`) are derived.
 *
 * A field says its wire type, the versions that carry it, and what differs from the ordinary: where it may be null, its tag (KIP-482),
 * its default, and whether its value may be dropped by a version that lacks it.
 */

/** `3`, `3-5` or `3+`. */
export type Versions = `${number}` | `${number}-${number}` | `${number}+`

/** Both ends inclusive; `last` is Infinity for an open range. */
export interface VersionRange {
  readonly first: number
  readonly last: number
}

export type WireType =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'bigint64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'
  | 'struct'
  | 'array'

/** A tagged field that this build does not know: kept when read and written again as it came. */
export interface TaggedField {
  readonly tag: number
  readonly bytes: Uint8Array
}

/** `Out` is what decoding gives, `In` what encoding takes. `infer` exists for the type checker only. */
export interface Field<Out = unknown, In = Out> {
  readonly wire: WireType
  readonly versions: VersionRange
  /** Versions in which null may be sent; null = in none. */
  readonly nullable: VersionRange | null
  /** Sent in the tagged section, and only when it differs from the default; null = an ordinary field. */
  readonly tag: number | null
  /** Value of a version that lacks the field, and of a missing property; undefined for a struct (made of its fields' defaults). */
  readonly default: unknown
  /** A value other than the default is dropped without a word by a version that lacks the field. */
  readonly ignorable: boolean
  /** An int64 beyond 2^53 is read as the nearest safe integer instead of refused. */
  readonly saturates: boolean
  /** Fields of a struct, or of the structs in an array. */
  readonly fields: Fields | null
  /** Wire type of an array's elements. */
  readonly element: WireType | null
  readonly infer?: { readonly out: Out; readonly in: In }
}

export interface Fields {
  readonly [name: string]: Field
}

interface CommonOptions {
  readonly tag?: number
  readonly ignorable?: boolean
}

interface NumberOptions<T> extends CommonOptions {
  readonly default?: T
  readonly saturates?: boolean
}

interface NullableOptions<T> extends CommonOptions {
  readonly nullable?: Versions
  readonly default?: T | null
}

type OrNull<O, T> = O extends { readonly nullable: Versions } ? T | null : T

/** The decoded form of a set of fields. */
export type OutOf<F extends Fields> = {
  readonly [K in keyof F]: NonNullable<F[K]['infer']>['out']
} & { readonly unknownTaggedFields?: readonly TaggedField[] }

/** The form that encoding takes: what is missing takes its default. */
export type InOf<F extends Fields> = {
  readonly [K in keyof F]?: NonNullable<F[K]['infer']>['in']
} & { readonly unknownTaggedFields?: readonly TaggedField[] }

export interface MessageSchema<F extends Fields = Fields> {
  readonly name: string
  /** Of the API, or of the kind of record; -1 for a message that has none. */
  readonly apiKey: number
  readonly versions: VersionRange
  /** Versions with compact lengths and tagged fields; null = none. */
  readonly flexible: VersionRange | null
  readonly fields: F
  /** Codecs by version, filled by `compile.ts` on first use. */
  readonly codecs: unknown[]
}

/** What decoding a message gives: every field present. */
export type InferMessage<M extends MessageSchema> = OutOf<M['fields']>

/** What encoding a message takes: every field optional. */
export type InferInput<M extends MessageSchema> = InOf<M['fields']>

export interface MessageDeclaration<F extends Fields> {
  readonly name: string
  readonly apiKey?: number
  readonly versions: Versions
  readonly flexible: Versions | 'none'
  readonly fields: F
}

/** Declares a message. */
export function message<const F extends Fields>(declaration: MessageDeclaration<F>): MessageSchema<F> {
  const { name, apiKey = -1, flexible, fields } = declaration
  return {
    name,
    apiKey,
    versions: parseVersions(declaration.versions),
    flexible: flexible === 'none' ? null : parseVersions(flexible),
    fields,
    codecs: [],
  }
}

/** One byte, 0 or 1. */
export const bool = scalar<boolean>('bool', false)
export const int8 = scalar<number>('int8', 0)
export const int16 = scalar<number>('int16', 0)
export const uint16 = scalar<number>('uint16', 0)
export const int32 = scalar<number>('int32', 0)
export const uint32 = scalar<number>('uint32', 0)
export const float64 = scalar<number>('float64', 0)
/**
 * A safe integer: values beyond 2^53 are refused in both directions. With `saturates`, for what a client may ask for at the end of time or of
 * a log (`Long.MAX_VALUE`), they are read as the last safe one, which no log has either.
 */
export const int64 = scalar<number>('int64', 0)
/** For the few fields whose values lie beyond 2^53. */
export const bigint64 = scalar<bigint>('bigint64', 0n)
/** 16 bytes, as 22 characters of URL-safe base64 (`base/ids.ts`). */
export const uuid = scalar<string>('uuid', 'AAAAAAAAAAAAAAAAAAAAAA')

/** UTF-8 text of at most 32767 bytes. */
export function string<const O extends NullableOptions<string> = Record<never, never>>(
  versions: Versions = '0+',
  options?: O,
): Field<OrNull<O, string>> {
  return field('string', versions, '', options)
}

const noBytes = new Uint8Array(0)

/** Opaque bytes; when decoded, a view into the message. */
export function bytes<const O extends NullableOptions<Uint8Array> = Record<never, never>>(
  versions: Versions = '0+',
  options?: O,
): Field<OrNull<O, Uint8Array>> {
  return field('bytes', versions, noBytes, options)
}

/** Record batches; on the wire the same as `bytes`, null unless given. */
export function records<const O extends NullableOptions<Uint8Array> = Record<never, never>>(
  versions: Versions = '0+',
  options?: O,
): Field<OrNull<O, Uint8Array>> {
  return field('records', versions, null, options)
}

/** A nested set of fields. */
export function struct<const F extends Fields, const O extends NullableOptions<never> = Record<never, never>>(
  versions: Versions,
  fields: F,
  options?: O,
): Field<OrNull<O, OutOf<F>>, OrNull<O, InOf<F>>> {
  return { ...field<OrNull<O, OutOf<F>>, OrNull<O, InOf<F>>>('struct', versions, undefined, options), fields }
}

const emptyArray: readonly never[] = Object.freeze([])

/** A list of nested sets of fields. */
export function array<const F extends Fields, const O extends NullableOptions<never> = Record<never, never>>(
  versions: Versions,
  fields: F,
  options?: O,
): Field<OrNull<O, readonly OutOf<F>[]>, OrNull<O, readonly InOf<F>[]>> {
  const list = field<OrNull<O, readonly OutOf<F>[]>, OrNull<O, readonly InOf<F>[]>>(
    'array',
    versions,
    emptyArray,
    options,
  )
  return { ...list, fields, element: 'struct' }
}

export const int8Array = listOf<number>('int8')
export const int16Array = listOf<number>('int16')
export const int32Array = listOf<number>('int32')
export const int64Array = listOf<number>('int64')
export const uuidArray = listOf<string>('uuid')
export const stringArray = listOf<string>('string')

function scalar<T>(wire: WireType, zero: T) {
  return (versions: Versions = '0+', options?: NumberOptions<T>): Field<T> => field(wire, versions, zero, options)
}

function listOf<T>(element: WireType) {
  return <const O extends NullableOptions<never> = Record<never, never>>(
    versions: Versions = '0+',
    options?: O,
  ): Field<OrNull<O, readonly T[]>> => ({
    ...field<OrNull<O, readonly T[]>, OrNull<O, readonly T[]>>('array', versions, emptyArray, options),
    element,
  })
}

function field<Out, In>(
  wire: WireType,
  versions: Versions,
  zero: unknown,
  options: (NullableOptions<unknown> & CommonOptions & { readonly saturates?: boolean }) | undefined,
): Field<Out, In> {
  return {
    wire,
    versions: parseVersions(versions),
    nullable: options?.nullable === undefined ? null : parseVersions(options.nullable),
    tag: options?.tag ?? null,
    default: options !== undefined && 'default' in options ? options.default : zero,
    ignorable: options?.ignorable ?? false,
    saturates: options?.saturates ?? false,
    fields: null,
    element: null,
  }
}

/** Reads `3`, `3-5` or `3+`. */
export function parseVersions(text: Versions): VersionRange {
  if (text.endsWith('+')) return { first: Number(text.slice(0, -1)), last: Number.POSITIVE_INFINITY }
  const [first, last] = text.split('-').map(Number)
  return { first: first ?? 0, last: last ?? first ?? 0 }
}

/** True when `version` lies in `range`; a null range holds no version. */
export function hasVersion(range: VersionRange | null, version: number): boolean {
  return range !== null && version >= range.first && version <= range.last
}
