/**
 * What stands before a message in a frame. The request header has tagged fields (version 2) from the API's first flexible version on, but
 * its client id is never compact; the response header likewise (version 1), except that of ApiVersions, which is version 0 for ever.
 */
import { clientApiByKey, type KafkaApi } from './apis.ts'
import { decodeMessage, encodeFrame } from './compile.ts'
import { type EncodeSink, putString } from './encode-sink.ts'
import { ProtocolError } from './protocol-error.ts'
import type { InferInput, InferMessage, MessageSchema } from './schema.ts'
import { readUvarint, uvarintEnd } from './uvarint.ts'

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Position of the request itself. */
  readonly end: number
}

const apiVersionsKey = 18

/** Reads the header of a request (a frame without its length). An unknown API is taken for one without tagged fields. Throws a ProtocolError. */
export function decodeRequestHeader(bytes: Uint8Array): RequestHeader {
  if (bytes.length < 10) throw new ProtocolError(`a request of ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const apiKey = view.getInt16(0)
  const apiVersion = view.getInt16(2)
  const correlationId = view.getInt32(4)
  const length = view.getInt16(8)
  let end = 10
  let clientId: string | null = null
  if (length >= 0) {
    end += length
    if (end > bytes.length) throw new ProtocolError('request header: the client id is longer than the request')
    clientId = Buffer.from(bytes.buffer, bytes.byteOffset + 10, length).toString('utf8')
  } else if (length !== -1) {
    throw new ProtocolError('request header: negative length of the client id')
  }
  const api = clientApiByKey.get(apiKey)
  if (api !== undefined && apiVersion >= api.flexibleFrom) end = skipTaggedFields(bytes, end)
  return { apiKey, apiVersion, correlationId, clientId, end }
}

/** What a header of ours says; the client id is sent as it is. */
export interface RequestHead {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/** The bytes of a request header, for whoever puts a frame together by hand. */
export function encodeRequestHeader(header: RequestHead, flexible: boolean): Uint8Array {
  const id = header.clientId === null ? null : Buffer.from(header.clientId, 'utf8')
  const bytes = new Uint8Array(10 + (id?.length ?? 0) + (flexible ? 1 : 0))
  const view = new DataView(bytes.buffer)
  view.setInt16(0, header.apiKey)
  view.setInt16(2, header.apiVersion)
  view.setInt32(4, header.correlationId)
  view.setInt16(8, id?.length ?? -1)
  if (id !== null) bytes.set(id, 10)
  return bytes
}

/** A whole request, its four bytes of length first, as chunks (see `encodeMessage`). */
export function encodeRequest<Q extends MessageSchema>(
  api: KafkaApi<Q>,
  version: number,
  correlationId: number,
  clientId: string | null,
  value: InferInput<Q>,
): Uint8Array[] {
  const write = (sink: EncodeSink, start: number): number => {
    let at = start + 14 > sink.capacity ? sink.grow(start, 14) : start
    sink.view.setInt16(at, api.key)
    sink.view.setInt16(at + 2, version)
    sink.view.setInt32(at + 4, correlationId)
    at += 8
    if (clientId === null) {
      sink.view.setInt16(at, -1)
      at += 2
    } else {
      at = putString(sink, at, clientId, 1, false)
    }
    if (version >= api.flexibleFrom) sink.bytes[at++] = 0
    return at
  }
  return encodeFrame(api.request, version, value, { write })
}

/** A whole response, its four bytes of length first, as chunks (see `encodeMessage`). Throws a ProtocolError when the value does not fit the version. */
export function encodeResponse<R extends MessageSchema>(
  api: KafkaApi<MessageSchema, R>,
  version: number,
  correlationId: number,
  value: InferInput<R>,
): Uint8Array[] {
  const write = (sink: EncodeSink, start: number): number => {
    const at = start + 5 > sink.capacity ? sink.grow(start, 5) : start
    sink.view.setInt32(at, correlationId)
    if (!hasTaggedHeader(api, version)) return at + 4
    sink.bytes[at + 4] = 0
    return at + 5
  }
  return encodeFrame(api.response, version, value, { write })
}

/** The correlation id of a response (a frame without its length). Throws a ProtocolError when there is none. */
export function responseCorrelationId(bytes: Uint8Array): number {
  if (bytes.length < 4) throw new ProtocolError(`a response of ${bytes.length} bytes`)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0)
}

/** Reads a response (a frame without its length). Byte fields are views into it. Throws a ProtocolError, also on bytes behind the response. */
export function decodeResponse<R extends MessageSchema>(
  api: KafkaApi<MessageSchema, R>,
  version: number,
  bytes: Uint8Array,
): { readonly correlationId: number; readonly value: InferMessage<R> } {
  const correlationId = responseCorrelationId(bytes)
  const at = hasTaggedHeader(api, version) ? skipTaggedFields(bytes, 4) : 4
  const { value, end } = decodeMessage(api.response, version, bytes, at)
  if (end !== bytes.length) throw new ProtocolError(`${api.response.name}: ${bytes.length - end} bytes too many`)
  return { correlationId, value }
}

function hasTaggedHeader(api: KafkaApi, version: number): boolean {
  return version >= api.flexibleFrom && api.key !== apiVersionsKey
}

/** Headers have no tagged field that we know. Nothing is made of them: a stranger may send thousands. */
function skipTaggedFields(bytes: Uint8Array, start: number): number {
  if (bytes[start] === 0) return start + 1
  const count = readUvarint(bytes, start)
  if (count.value > (bytes.length - count.end) / 2) throw new ProtocolError('header: more tagged fields than bytes')
  let at = count.end
  for (let left = count.value; left > 0; left--) {
    at = uvarintEnd(bytes, at)
    const sizeAt = at
    at = uvarintEnd(bytes, at)
    at += at === sizeAt + 1 ? (bytes[sizeAt] as number) : readUvarint(bytes, sizeAt).value
    if (at > bytes.length) throw new ProtocolError('header: a tagged field is longer than the frame')
  }
  return at
}
