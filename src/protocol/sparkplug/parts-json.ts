/** Parts of a metric as JSON text: MetaData, PropertySet, DataSet, parameters of a Template (6.4.7 to 6.4.15). */
import { dataTypeName } from './data-types.ts'
import { readScalar, type Scalar, scalarJson } from './scalar.ts'
import { depthMax, PayloadFault, type Sliced, type Span, type WireFields } from './wire-fields.ts'

export function objectJson(members: readonly (readonly [key: string, text: string | null])[]): string {
  const written = members.flatMap(([key, text]) => (text === null ? [] : [`${JSON.stringify(key)}:${text}`]))
  return `{${written.join(',')}}`
}

/** Keys of MetaData by their fields. */
const metadataKeys = [
  '',
  'isMultiPart',
  'contentType',
  'size',
  'seq',
  'fileName',
  'fileType',
  'md5',
  'description',
] as const

export function metadataJson(fields: WireFields, span: Span): string {
  const members = new Map<string, string>()
  fields.each(span, (field, type) => {
    const key = metadataKeys[field] ?? ''
    if (key === '') return false
    const isNumber = field === 3 || field === 4
    if (fields.isVarint(type) && field === 1) members.set(key, String(fields.bool()))
    else if (fields.isVarint(type) && isNumber) members.set(key, String(fields.uint64()))
    else if (fields.isLengthDelimited(type) && field !== 1 && !isNumber) members.set(key, JSON.stringify(fields.text()))
    else return false
    return true
  })
  return objectJson([...members])
}

/** An object of `{"dataType", "value"}` by key. A key without a value, or the other way round, is left out; of two of a name the last one counts. */
export function* propertySetJson(fields: WireFields, span: Span, depth: number): Sliced<string> {
  if (depth > depthMax) throw new PayloadFault('too_large', `its property sets are nested deeper than ${depthMax}`)
  const keys: string[] = []
  const values: Span[] = []
  fields.each(span, (field, type) => {
    if (!fields.isLengthDelimited(type)) return false
    if (field === 1) keys.push(fields.text())
    else if (field === 2) values.push(fields.span())
    else return false
    fields.count()
    return true
  })
  const members = new Map<string, string>()
  for (const [index, key] of keys.entries()) {
    const value = values[index]
    if (value !== undefined) members.set(key, yield* propertyJson(fields, value, depth))
    if (fields.spend(3)) yield
  }
  return objectJson([...members])
}

function* propertyJson(fields: WireFields, span: Span, depth: number): Sliced<string> {
  const found: { type: number; isNull: boolean; scalar: Scalar | null; set: Span | null; list: Span | null } = {
    type: 0,
    isNull: false,
    scalar: null,
    set: null,
    list: null,
  }
  fields.each(span, (field, type) => {
    if (field === 1 && fields.isVarint(type)) found.type = fields.uint32()
    else if (field === 2 && fields.isVarint(type)) found.isNull = fields.bool()
    else if (field === 9 && fields.isLengthDelimited(type)) found.set = fields.span()
    else if (field === 10 && fields.isLengthDelimited(type)) found.list = fields.span()
    else {
      const scalar = readScalar(fields, field - 3, type)
      if (scalar === null) return false
      found.scalar = scalar
    }
    return true
  })
  const dataType = dataTypeName(found.type)
  let text = 'null'
  if (found.isNull) text = 'null'
  else if (found.scalar !== null) text = scalarJson(found.scalar, dataType)
  else if (found.set !== null) text = yield* propertySetJson(fields, found.set, depth + 1)
  else if (found.list !== null) text = yield* propertySetsJson(fields, found.list, depth + 1)
  return typedJson([], dataType, text)
}

function* propertySetsJson(fields: WireFields, span: Span, depth: number): Sliced<string> {
  const sets: Span[] = []
  fields.each(span, (field, type) => {
    if (field !== 1 || !fields.isLengthDelimited(type)) return false
    fields.count()
    sets.push(fields.span())
    return true
  })
  const written: string[] = []
  for (const set of sets) written.push(yield* propertySetJson(fields, set, depth))
  return `[${written.join(',')}]`
}

/** Rows as arrays; `types` are those of the columns. */
export function* datasetJson(fields: WireFields, span: Span): Sliced<string> {
  const columns: string[] = []
  const types: number[] = []
  const rows: Span[] = []
  const addType = (value: number): void => {
    fields.count()
    types.push(value)
  }
  fields.each(span, (field, type) => {
    if (field === 3) return fields.uint32s(type, addType)
    if (!fields.isLengthDelimited(type)) return false
    if (field === 2) columns.push(JSON.stringify(fields.text()))
    else if (field === 4) rows.push(fields.span())
    else return false
    fields.count()
    return true
  })
  const names = types.map((type) => dataTypeName(type))
  const written: string[] = []
  for (const row of rows) {
    const elements = rowElements(fields, row, names)
    written.push(`[${elements.join(',')}]`)
    if (fields.spend(2 + elements.length)) yield
  }
  const typesText = names.map((name) => (name === null ? 'null' : `"${name}"`))
  return `{"columns":[${columns.join(',')}],"types":[${typesText.join(',')}],"rows":[${written.join(',')}]}`
}

function rowElements(
  fields: WireFields,
  span: Span,
  types: readonly (ReturnType<typeof dataTypeName> | undefined)[],
): readonly string[] {
  const elements: Span[] = []
  fields.each(span, (field, type) => {
    if (field !== 1 || !fields.isLengthDelimited(type)) return false
    fields.count()
    elements.push(fields.span())
    return true
  })
  return elements.map((element, index) => {
    const found: { scalar: Scalar | null } = { scalar: null }
    fields.each(element, (field, type) => {
      const scalar = readScalar(fields, field - 1, type)
      if (scalar !== null) found.scalar = scalar
      return scalar !== null
    })
    return found.scalar === null ? 'null' : scalarJson(found.scalar, types[index] ?? null)
  })
}

/** A parameter of a Template: `{"name", "dataType", "value"}`. */
export function parameterJson(fields: WireFields, span: Span): string {
  const found: { name: string | null; type: number; scalar: Scalar | null } = { name: null, type: 0, scalar: null }
  fields.each(span, (field, type) => {
    if (field === 1 && fields.isLengthDelimited(type)) found.name = fields.text()
    else if (field === 2 && fields.isVarint(type)) found.type = fields.uint32()
    else {
      const scalar = readScalar(fields, field - 3, type)
      if (scalar === null) return false
      found.scalar = scalar
    }
    return true
  })
  const dataType = dataTypeName(found.type)
  const text = found.scalar === null ? 'null' : scalarJson(found.scalar, dataType)
  return typedJson([['name', found.name === null ? null : JSON.stringify(found.name)]], dataType, text)
}

function typedJson(
  before: readonly (readonly [key: string, text: string | null])[],
  dataType: ReturnType<typeof dataTypeName>,
  value: string,
): string {
  return objectJson([...before, ['dataType', dataType === null ? null : `"${dataType}"`], ['value', value]])
}
