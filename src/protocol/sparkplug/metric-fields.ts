/** The fields of a Payload, a Metric and a Template (6.4.4, 6.4.6, 6.4.13), read in whatever order they come. */
import { readScalar, type Scalar } from './scalar.ts'
import type { FieldType, Span, WireFields } from './wire-fields.ts'

/** A value that is not a scalar, by the number of its field. */
const partKinds = ['bytes', 'dataset', 'template', 'extension'] as const

export interface MetricPart {
  readonly kind: (typeof partKinds)[number]
  readonly span: Span
}

export interface MetricFields {
  name: string | null
  alias: number | bigint | null
  timestamp: number | bigint | null
  /** 0 = it does not say. */
  dataType: number
  isHistorical: boolean
  isTransient: boolean
  isNull: boolean
  metadata: Span | null
  properties: Span | null
  /** One of the two at most: of several values the last one counts. */
  scalar: Scalar | null
  part: MetricPart | null
}

/** Fields of the value. */
const [valueField, partField, lastField] = [10, 16, 19] as const

export function readMetric(fields: WireFields, span: Span): MetricFields {
  const metric: MetricFields = {
    name: null,
    alias: null,
    timestamp: null,
    dataType: 0,
    isHistorical: false,
    isTransient: false,
    isNull: false,
    metadata: null,
    properties: null,
    scalar: null,
    part: null,
  }
  fields.each(span, (field, type) => {
    if (field >= valueField && field <= lastField) return takeValue(fields, metric, field, type)
    if (field === 1 || field === 8 || field === 9) {
      if (!fields.isLengthDelimited(type)) return false
      if (field === 1) metric.name = fields.text()
      else metric[field === 8 ? 'metadata' : 'properties'] = fields.span()
      return true
    }
    if (!fields.isVarint(type)) return false
    if (field === 2) metric.alias = fields.uint64()
    else if (field === 3) metric.timestamp = fields.uint64()
    else if (field === 4) metric.dataType = fields.uint32()
    else if (field === 5) metric.isHistorical = fields.bool()
    else if (field === 6) metric.isTransient = fields.bool()
    else if (field === 7) metric.isNull = fields.bool()
    else return false
    return true
  })
  return metric
}

function takeValue(fields: WireFields, metric: MetricFields, field: number, type: FieldType): boolean {
  if (field < partField) {
    const scalar = readScalar(fields, field - valueField, type)
    if (scalar === null) return false
    metric.scalar = scalar
    metric.part = null
    return true
  }
  if (!fields.isLengthDelimited(type)) return false
  metric.part = { kind: partKinds[field - partField] ?? 'extension', span: fields.span() }
  metric.scalar = null
  return true
}

export interface TemplateFields {
  version: string | null
  templateRef: string | null
  isDefinition: boolean | null
  readonly metrics: Span[]
  readonly parameters: Span[]
}

export function readTemplate(fields: WireFields, span: Span): TemplateFields {
  const template: TemplateFields = { version: null, templateRef: null, isDefinition: null, metrics: [], parameters: [] }
  fields.each(span, (field, type) => {
    if (field === 5 && fields.isVarint(type)) template.isDefinition = fields.bool()
    else if (!fields.isLengthDelimited(type)) return false
    else if (field === 1) template.version = fields.text()
    else if (field === 2) template.metrics.push(fields.countedSpan())
    else if (field === 3) template.parameters.push(fields.countedSpan())
    else if (field === 4) template.templateRef = fields.text()
    else return false
    return true
  })
  return template
}

export interface PayloadFields {
  timestamp: number | bigint | null
  seq: number | bigint | null
  uuid: string | null
  body: Uint8Array | null
  readonly metrics: Span[]
}

export function readPayload(fields: WireFields): PayloadFields {
  const payload: PayloadFields = { timestamp: null, seq: null, uuid: null, body: null, metrics: [] }
  fields.each(fields.whole, (field, type) => {
    if (field === 1 && fields.isVarint(type)) payload.timestamp = fields.uint64()
    else if (field === 2 && fields.isLengthDelimited(type)) payload.metrics.push(fields.countedSpan())
    else if (field === 3 && fields.isVarint(type)) payload.seq = fields.uint64()
    else if (field === 4 && fields.isLengthDelimited(type)) payload.uuid = fields.text()
    else if (field === 5 && fields.isLengthDelimited(type)) payload.body = fields.byteRun()
    else return false
    return true
  })
  return payload
}
