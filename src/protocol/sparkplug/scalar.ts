/** Values that stand in one field: the same six kinds, in the same order, in metrics, properties, parameters and elements of a DataSet. */
import type { DataTypeName } from './data-types.ts'
import { doubleJson, floatJson, integerJson } from './value-json.ts'
import { type FieldType, type ScalarKind, scalarKinds, type WireFields } from './wire-fields.ts'

export interface Scalar {
  readonly kind: ScalarKind
  readonly value: number | bigint | boolean | string
}

/** The scalar of the field that is the `place`th (from 0) of a message's value; null = it is none, and nothing was read. */
export function readScalar(fields: WireFields, place: number, type: FieldType): Scalar | null {
  const kind = scalarKinds[place]
  const value = kind === undefined ? undefined : fields.scalar(kind, type)
  return kind === undefined || value === undefined ? null : { kind, value }
}

/** A value in another field than its data type asks for is written as what it is. */
export function scalarJson({ kind, value }: Scalar, dataType: DataTypeName | null): string {
  switch (kind) {
    case 'int':
      return integerJson(dataType, value as number, 32)
    case 'long':
      return integerJson(dataType, value as number | bigint, 64)
    case 'float':
      return floatJson(value as number)
    case 'double':
      return doubleJson(value as number)
    case 'boolean':
      return String(value)
    case 'string':
      return JSON.stringify(value)
  }
}
