/** Payloads of Sparkplug B as far as the interop cases need them: protobuf written and read by hand, apart from the daemon. */

export interface Metric {
  readonly name: string
  /** An Int64 (datatype 4), or a Boolean (11). */
  readonly value: number | boolean
}

export interface Payload {
  readonly timestampMs: number
  /** Null: NDEATH has none. */
  readonly seq: number | null
  readonly metrics: readonly Metric[]
}

export function encodePayload({ timestampMs, seq, metrics }: Payload): Buffer {
  const parts = [
    varintField(1, timestampMs),
    ...metrics.map((metric) => bytesField(2, encodeMetric(metric, timestampMs))),
  ]
  if (seq !== null) parts.push(varintField(3, seq))
  return Buffer.concat(parts)
}

function encodeMetric({ name, value }: Metric, timestampMs: number): Buffer {
  const isBoolean = typeof value === 'boolean'
  return Buffer.concat([
    bytesField(1, Buffer.from(name)),
    varintField(3, timestampMs),
    varintField(4, isBoolean ? 11 : 4),
    isBoolean ? varintField(14, value ? 1 : 0) : varintField(11, value),
  ])
}

/** Throws when the bytes are not what `encodePayload` makes. */
export function decodePayload(bytes: Uint8Array): Payload {
  const fields = fieldsOf(bytes)
  return {
    timestampMs: numberOf(fields, 1) ?? 0,
    seq: numberOf(fields, 3),
    metrics: fields.filter(({ field }) => field === 2).map(({ bytes: metric }) => decodeMetric(metric)),
  }
}

function decodeMetric(bytes: Uint8Array): Metric {
  const fields = fieldsOf(bytes)
  const name = Buffer.from(fields.find(({ field }) => field === 1)?.bytes ?? []).toString()
  const flag = numberOf(fields, 14)
  return { name, value: flag === null ? (numberOf(fields, 11) ?? 0) : flag === 1 }
}

interface Field {
  readonly field: number
  readonly number: number
  readonly bytes: Uint8Array
}

function numberOf(fields: readonly Field[], wanted: number): number | null {
  return fields.find(({ field }) => field === wanted)?.number ?? null
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('the payload ends early')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const length = varint()
    if ((tag & 7) === 0) fields.push({ field: tag >>> 3, number: length, bytes: new Uint8Array(0) })
    else if ((tag & 7) === 2) {
      fields.push({ field: tag >>> 3, number: 0, bytes: bytes.subarray(at, at + length) })
      at += length
    } else throw new Error(`wire type ${tag & 7}`)
  }
  return fields
}

function varintField(field: number, value: number): Buffer {
  return Buffer.concat([varintOf(field << 3), varintOf(value)])
}

function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varintOf((field << 3) | 2), varintOf(bytes.length), bytes])
}

function varintOf(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) | 0x80)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
