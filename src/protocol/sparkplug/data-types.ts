/** Data types of Sparkplug B 3.0 (6.4.16), by their number. */
export const dataTypeNames = [
  'Unknown',
  'Int8',
  'Int16',
  'Int32',
  'Int64',
  'UInt8',
  'UInt16',
  'UInt32',
  'UInt64',
  'Float',
  'Double',
  'Boolean',
  'String',
  'DateTime',
  'Text',
  'UUID',
  'DataSet',
  'Bytes',
  'File',
  'Template',
  'PropertySet',
  'PropertySetList',
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Int64Array',
  'UInt8Array',
  'UInt16Array',
  'UInt32Array',
  'UInt64Array',
  'FloatArray',
  'DoubleArray',
  'BooleanArray',
  'StringArray',
  'DateTimeArray',
] as const

export type DataTypeName = (typeof dataTypeNames)[number]

/** The name of a data type; null = it is Unknown, or none that we know. */
export function dataTypeName(code: number): DataTypeName | null {
  return code === 0 ? null : (dataTypeNames[code] ?? null)
}

export interface IntegerType {
  readonly bits: 8 | 16 | 32 | 64
  readonly isSigned: boolean
}

/** Integers stand on the wire as unsigned ones. DateTime is one, too: what lies before 1970 is a negative one. */
export const integerTypes: ReadonlyMap<DataTypeName, IntegerType> = new Map([
  ['Int8', { bits: 8, isSigned: true }],
  ['Int16', { bits: 16, isSigned: true }],
  ['Int32', { bits: 32, isSigned: true }],
  ['Int64', { bits: 64, isSigned: true }],
  ['UInt8', { bits: 8, isSigned: false }],
  ['UInt16', { bits: 16, isSigned: false }],
  ['UInt32', { bits: 32, isSigned: false }],
  ['UInt64', { bits: 64, isSigned: false }],
  ['DateTime', { bits: 64, isSigned: true }],
])
