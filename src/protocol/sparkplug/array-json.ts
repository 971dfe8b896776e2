/** Arrays of Sparkplug (6.4.17), which stand packed in the bytes of a metric. */
import type { DataTypeName } from './data-types.ts'
import { bytesJson, doubleJson, floatJson } from './value-json.ts'
import { checkLength, type Sliced, type WireFields } from './wire-fields.ts'

interface Elements {
  readonly count: number
  /** The element as JSON text. */
  at(index: number): string
}

type PackedReader = (view: DataView, at: number) => string

/** Arrays of one size of element, little-endian. */
const packedArrays: ReadonlyMap<DataTypeName, readonly [size: number, read: PackedReader]> = new Map([
  ['Int8Array', [1, (view, at) => String(view.getInt8(at))]],
  ['Int16Array', [2, (view, at) => String(view.getInt16(at, true))]],
  ['Int32Array', [4, (view, at) => String(view.getInt32(at, true))]],
  ['Int64Array', [8, (view, at) => String(view.getBigInt64(at, true))]],
  ['UInt8Array', [1, (view, at) => String(view.getUint8(at))]],
  ['UInt16Array', [2, (view, at) => String(view.getUint16(at, true))]],
  ['UInt32Array', [4, (view, at) => String(view.getUint32(at, true))]],
  ['UInt64Array', [8, (view, at) => String(view.getBigUint64(at, true))]],
  ['FloatArray', [4, (view, at) => floatJson(view.getFloat32(at, true))]],
  ['DoubleArray', [8, (view, at) => doubleJson(view.getFloat64(at, true))]],
  ['DateTimeArray', [8, (view, at) => String(view.getBigInt64(at, true))]],
])

/** Elements between two looks at the length and the time. */
const stretch = 256

/** Bytes as their data type means them: the elements of an array, else base64. Bytes that are no such array are base64 as well. Throws PayloadFault. */
export function* packedJson(
  fields: Pick<WireFields, 'spend'>,
  dataType: DataTypeName | null,
  bytes: Uint8Array,
): Sliced<string> {
  const elements = dataType === null ? null : elementsOf(dataType, bytes)
  if (elements === null) return bytesJson(bytes)
  let json = ''
  for (let index = 0; index < elements.count; index += 1) {
    json += index === 0 ? elements.at(index) : `,${elements.at(index)}`
    if (index % stretch !== 0) continue
    checkLength(json)
    if (fields.spend(stretch)) yield
  }
  return `[${json}]`
}

function elementsOf(dataType: DataTypeName, bytes: Uint8Array): Elements | null {
  if (dataType === 'BooleanArray') return booleansOf(bytes)
  if (dataType === 'StringArray') return stringsOf(bytes)
  const packed = packedArrays.get(dataType)
  if (packed === undefined) return null
  const [size, read] = packed
  if (bytes.length % size !== 0) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return { count: bytes.length / size, at: (index) => read(view, index * size) }
}

/** A count of four bytes, then bits, the first one the highest of its byte. */
function booleansOf(bytes: Uint8Array): Elements | null {
  if (bytes.length < 4) return null
  const count = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
  if (bytes.length - 4 !== Math.ceil(count / 8)) return null
  return { count, at: (index) => (((bytes[4 + (index >>> 3)] as number) >> (7 - (index & 7))) & 1 ? 'true' : 'false') }
}

/** Each ends with a zero. */
function stringsOf(bytes: Uint8Array): Elements | null {
  if (bytes.length > 0 && bytes.at(-1) !== 0) return null
  let at = 0
  let count = 0
  for (const byte of bytes) if (byte === 0) count += 1
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const next = (): string => {
    const end = text.indexOf(0, at)
    const found = JSON.stringify(text.toString('utf8', at, end))
    at = end + 1
    return found
  }
  return { count, at: next }
}
