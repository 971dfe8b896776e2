/**
 * Protobuf as Sparkplug uses it: fields of a message one after the other, and bounds for what a message may make of itself. Unknown fields
 * (extensions) are passed over, and known ones of another wire type like unknown ones, as the protobuf specification wants.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/** A payload that cannot be decoded, and why. */
export class PayloadFault extends Error {
  readonly kind: 'malformed' | 'too_large'

  constructor(kind: 'malformed' | 'too_large', reason: string) {
    super(reason)
    this.kind = kind
  }
}

/** Metrics, properties, parameters, columns and elements of rows in one payload: each becomes a few objects. */
export const itemsMax = 32_768
/** Templates in templates, property sets in property sets. */
export const depthMax = 16
/** Characters: with its key and headers it fits what a topic takes by default (1 MiB), unless much of it is not ASCII. */
export const jsonLengthMax = 1_000_000

export function checkLength(json: string): void {
  if (json.length > jsonLengthMax)
    throw new PayloadFault('too_large', `it makes more than ${jsonLengthMax} characters of JSON`)
}

/** Units of work (see `spend`) until a slice is over. */
const sliceUnits = 1500

/** Work in slices: what it yields means nothing, what it returns is the result. Between two slices the loop may turn. */
export type Sliced<T> = Generator<undefined, T, undefined>

/** How a field stands on the wire. */
export type FieldType = WireType

/** Where a part stands. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** Fields of a `value` come in this order in every message that has one. */
export const scalarKinds = ['int', 'long', 'float', 'double', 'boolean', 'string'] as const
export type ScalarKind = (typeof scalarKinds)[number]

export class WireFields {
  readonly bytes: Uint8Array
  private readonly reader: BinaryReader
  private items = 0
  private spentUnits = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.reader = new BinaryReader(bytes)
  }

  get whole(): Span {
    return { start: 0, end: this.reader.len }
  }

  /** One more thing is made of the payload. Throws PayloadFault. */
  count(): void {
    this.items += 1
    if (this.items > itemsMax)
      throw new PayloadFault('too_large', `it has more than ${itemsMax} metrics, properties and elements`)
  }

  /** So much work was done, in about microseconds of a small machine; true = the slice is over. */
  spend(units: number): boolean {
    this.spentUnits += units
    if (this.spentUnits < sliceUnits) return false
    this.spentUnits = 0
    return true
  }

  /** Calls `take` for each field of the message; what it does not take (false) is passed over. Throws PayloadFault or what the reader throws. */
  each({ start, end }: Span, take: (field: number, type: FieldType) => boolean): void {
    const { reader } = this
    reader.pos = start
    while (reader.pos < end) {
      const [field, type] = reader.tag()
      if (!take(field, type)) {
        if (type === WireType.StartGroup) throw new PayloadFault('malformed', 'it has a group, which Sparkplug has not')
        reader.skip(type, field)
      }
    }
    if (reader.pos !== end) throw new PayloadFault('malformed', 'a field ends outside of its message')
  }

  isVarint(type: FieldType): boolean {
    return type === WireType.Varint
  }

  isLengthDelimited(type: FieldType): boolean {
    return type === WireType.LengthDelimited
  }

  uint32(): number {
    return this.reader.uint32()
  }

  /** A bigint only where a number would not be exact. */
  uint64(): number | bigint {
    const value = BigInt(this.reader.uint64())
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  }

  bool(): boolean {
    return this.reader.bool()
  }

  /** What is no UTF-8 in it becomes U+FFFD. */
  text(): string {
    return this.reader.string()
  }

  byteRun(): Uint8Array {
    return this.reader.bytes()
  }

  /** Where the message of the current field stands; it is passed over. */
  span(): Span {
    const length = this.reader.uint32()
    const start = this.reader.pos
    const end = start + length
    if (end > this.reader.len) throw new PayloadFault('malformed', 'a field ends behind the payload')
    this.reader.pos = end
    return { start, end }
  }

  /** The same of one of many. Throws PayloadFault. */
  countedSpan(): Span {
    this.count()
    return this.span()
  }

  /** The value of a kind of `scalarKinds`; undefined = the wire type is another one, and nothing was read. */
  scalar(kind: ScalarKind, type: FieldType): number | bigint | boolean | string | undefined {
    const { reader } = this
    switch (kind) {
      case 'int':
        return type === WireType.Varint ? reader.uint32() : undefined
      case 'long':
        return type === WireType.Varint ? this.uint64() : undefined
      case 'float':
        return type === WireType.Bit32 ? reader.float() : undefined
      case 'double':
        return type === WireType.Bit64 ? reader.double() : undefined
      case 'boolean':
        return type === WireType.Varint ? this.bool() : undefined
      case 'string':
        return type === WireType.LengthDelimited ? reader.string() : undefined
    }
  }

  /** Runs of a repeated uint32, packed or not; false = another wire type. */
  uint32s(type: FieldType, take: (value: number) => void): boolean {
    if (type === WireType.Varint) {
      take(this.uint32())
      return true
    }
    if (type !== WireType.LengthDelimited) return false
    const { start, end } = this.span()
    this.reader.pos = start
    while (this.reader.pos < end) take(this.uint32())
    if (this.reader.pos !== end) throw new PayloadFault('malformed', 'a packed field ends outside of itself')
    return true
  }
}
