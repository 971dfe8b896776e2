/**
 * A payload of Sparkplug B as one JSON object, in the form that the specification itself writes payloads in (6.4.2), with names and data types of the birth
 * where the message leaves them out. Bounded in what it makes: `itemsMax`, `depthMax`, `jsonLengthMax`.
 */
import { packedJson } from './array-json.ts'
import { type BirthNames, type KnownMetric, noBirthNames } from './birth-names.ts'
import { type DataTypeName, dataTypeName } from './data-types.ts'
import { type MetricFields, readMetric, readPayload, readTemplate } from './metric-fields.ts'
import { datasetJson, metadataJson, objectJson, parameterJson, propertySetJson } from './parts-json.ts'
import { scalarJson } from './scalar.ts'
import { bytesJson } from './value-json.ts'
import { checkLength, depthMax, PayloadFault, type Sliced, type Span, WireFields } from './wire-fields.ts'

/** Who says what, as the topic `spBv1.0/GROUP/TYPE/EDGE[/DEVICE]` has it. */
export interface SparkplugSource {
  readonly groupId: string
  readonly messageType: string
  readonly edgeNodeId: string
  /** Null: the edge node itself. */
  readonly deviceId: string | null
}

/** What births say of the names in a message; null = no birth is known. */
export interface KnownNames {
  /** Of the node or device that it is about. */
  readonly own: BirthNames | null
  /** Of its edge node: definitions of Templates stand there. */
  readonly node: BirthNames | null
}

export interface PayloadJson {
  readonly json: string
  /** Metrics that are called by an alias which no known birth has. */
  readonly unnamed: number
}

/** Throws PayloadFault, or what the library throws on bytes that are no protobuf. */
export function payloadJson(bytes: Uint8Array, source: SparkplugSource, names: KnownNames): Sliced<PayloadJson> {
  return new PayloadWriter(bytes, names).write(source)
}

class PayloadWriter {
  private readonly fields: WireFields
  private readonly names: KnownNames
  private unnamed = 0
  private bdSeq: string | null = null

  constructor(bytes: Uint8Array, names: KnownNames) {
    this.fields = new WireFields(bytes)
    this.names = names
  }

  *write({ groupId, messageType, edgeNodeId, deviceId }: SparkplugSource): Sliced<PayloadJson> {
    const { timestamp, seq, uuid, body, metrics } = readPayload(this.fields)
    const list = yield* this.metricsJson(metrics, this.names.own ?? noBirthNames, 1)
    const json = objectJson([
      ['groupId', JSON.stringify(groupId)],
      ['messageType', JSON.stringify(messageType)],
      ['edgeNodeId', JSON.stringify(edgeNodeId)],
      ['deviceId', deviceId === null ? null : JSON.stringify(deviceId)],
      ['timestamp', timestamp === null ? null : String(timestamp)],
      ['seq', seq === null ? null : String(seq)],
      ['bdSeq', this.bdSeq],
      ['uuid', uuid === null ? null : JSON.stringify(uuid)],
      ['metrics', list],
      ['body', body === null ? null : bytesJson(body)],
    ])
    checkLength(json)
    return { json, unnamed: this.unnamed }
  }

  private *metricsJson(spans: readonly Span[], names: BirthNames, depth: number): Sliced<string> {
    let json = ''
    for (const span of spans) {
      const metric = yield* this.metricJson(span, names, depth)
      json += json === '' ? metric : `,${metric}`
      checkLength(json)
      if (this.fields.spend(4)) yield
    }
    return `[${json}]`
  }

  private *metricJson(span: Span, names: BirthNames, depth: number): Sliced<string> {
    const { fields } = this
    const metric = readMetric(fields, span)
    const { name, alias, timestamp, metadata, properties } = metric
    const known = findKnown(names, metric)
    const nameJson = name === null ? known?.nameJson : JSON.stringify(name)
    if (nameJson === undefined && alias !== null) this.unnamed += 1
    const dataType = dataTypeName(metric.dataType === 0 ? (known?.dataType ?? 0) : metric.dataType)
    const value = metric.isNull ? 'null' : yield* this.valueJson(metric, dataType, known, depth)
    if (depth === 1 && name === 'bdSeq' && metric.scalar !== null && !metric.isNull) this.bdSeq = value
    let json = nameJson === undefined ? '' : `"name":${nameJson},`
    if (alias !== null) json += `"alias":${alias},`
    if (timestamp !== null) json += `"timestamp":${timestamp},`
    if (dataType !== null) json += `"dataType":"${dataType}",`
    if (metric.isHistorical) json += '"isHistorical":true,'
    if (metric.isTransient) json += '"isTransient":true,'
    if (metric.isNull) json += '"isNull":true,'
    if (metadata !== null) json += `"metadata":${metadataJson(fields, metadata)},`
    if (properties !== null) json += `"properties":${yield* propertySetJson(fields, properties, 1)},`
    return `{${json}"value":${value}}`
  }

  private *valueJson(
    { scalar, part }: MetricFields,
    dataType: DataTypeName | null,
    known: KnownMetric | undefined,
    depth: number,
  ): Sliced<string> {
    if (scalar !== null) return scalarJson(scalar, dataType)
    if (part === null || part.kind === 'extension') return 'null'
    const { kind, span } = part
    if (kind === 'bytes')
      return yield* packedJson(this.fields, dataType, this.fields.bytes.subarray(span.start, span.end))
    if (kind === 'dataset') return yield* datasetJson(this.fields, span)
    return yield* this.templateJson(span, known?.members ?? null, depth + 1)
  }

  private *templateJson(span: Span, members: BirthNames | null, depth: number): Sliced<string> {
    if (depth > depthMax) throw new PayloadFault('too_large', `its Templates are nested deeper than ${depthMax}`)
    const { version, templateRef, isDefinition, metrics, parameters } = readTemplate(this.fields, span)
    const names = members ?? this.definitionOf(templateRef) ?? noBirthNames
    const written = parameters.map((each) => parameterJson(this.fields, each))
    return objectJson([
      ['version', version === null ? null : JSON.stringify(version)],
      ['templateRef', templateRef === null ? null : JSON.stringify(templateRef)],
      ['isDefinition', isDefinition === null ? null : String(isDefinition)],
      ['parameters', written.length === 0 ? null : `[${written.join(',')}]`],
      ['metrics', yield* this.metricsJson(metrics, names, depth)],
    ])
  }

  /** Definitions of Templates stand in the birth of the edge node. */
  private definitionOf(templateRef: string | null): BirthNames | null {
    return templateRef === null ? null : (this.names.node?.byName.get(templateRef)?.members ?? null)
  }
}

/** What a birth says of a metric: by its alias, which is what messages should have, or by its name. */
function findKnown(names: BirthNames, { name, alias }: MetricFields): KnownMetric | undefined {
  const byAlias = alias === null ? undefined : names.byAlias.get(alias)
  return byAlias ?? (name === null ? undefined : names.byName.get(name))
}
