/** Numbers and bytes of Sparkplug as JSON text. Integers are exact however large; what JSON has no number for is a string, as ProtoJSON has it. */
import { type DataTypeName, integerTypes } from './data-types.ts'

/**
 * An integer as its data type means it. On the wire it is unsigned, of 32 or 64 bits: a negative one stands there as its two's complement, which some
 * encoders make as wide as the type and others as wide as the field. What the type cannot hold is written as it stands on the wire.
 */
export function integerJson(dataType: DataTypeName | null, wire: number | bigint, wireBits: 32 | 64): string {
  const type = dataType === null ? undefined : integerTypes.get(dataType)
  if (type === undefined) return String(wire)
  const { bits, isSigned } = type
  if (typeof wire === 'number' && wire < 2 ** (bits - 1)) return String(wire)
  const raw = BigInt(wire)
  if (raw < 1n << BigInt(bits)) return String(isSigned ? BigInt.asIntN(bits, raw) : raw)
  const negative = BigInt.asIntN(wireBits, raw)
  if (negative >= 0n || negative < -(1n << BigInt(bits - 1))) return String(raw)
  return String(isSigned ? negative : BigInt.asUintN(bits, raw))
}

/** The shortest decimal that reads back as the same 64 bits. */
export function doubleJson(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
  return `"${value}"`
}

/** Digits of which one number always suffices to tell 32-bit floats apart. */
const floatDigitsMax = 9

/** A decimal that reads back as the same 32 bits, the shortest of those with six digits or more: 0.1, and not 0.10000000149011612. */
export function floatJson(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return doubleJson(value)
  for (let digits = 6; digits < floatDigitsMax; digits += 1) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return String(short)
  }
  return String(Number(value.toPrecision(floatDigitsMax)))
}

export function bytesJson(bytes: Uint8Array): string {
  return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}"`
}
