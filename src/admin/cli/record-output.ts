/** How a record is shown: bytes that are UTF-8 as text, others as base64. */
import type { RecordView } from '../../protocol/records/record.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Text, or null when the bytes are not UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

/** Text, `base64:...`, or null. */
export function valueForJson(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  return textOf(bytes) ?? `base64:${Buffer.from(bytes).toString('base64')}`
}

/** A record as a JSON object; bytes that are not text are `base64:...`. */
export function recordForJson(record: RecordView): Readonly<Record<string, unknown>> {
  return {
    offset: record.offset,
    timestampMs: record.timestampMs,
    key: valueForJson(record.key),
    value: valueForJson(record.value),
    headers: record.headers.map((header) => [header.key, valueForJson(header.value)]),
  }
}

/** A record as one line. */
export function recordForEyes(record: RecordView): string {
  const time = record.timestampMs < 0 ? '-' : new Date(record.timestampMs).toISOString()
  const headers = record.headers.map((header) => `${header.key}=${valueForJson(header.value) ?? ''}`).join(',')
  const words = [
    `offset ${record.offset}`,
    time,
    `key ${valueForJson(record.key) ?? '-'}`,
    `value ${valueForJson(record.value) ?? '-'}`,
  ]
  return [...words, headers === '' ? '' : `headers ${headers}`].filter((word) => word !== '').join('  ')
}
