/** From a frame to a handler, and from its answer back to bytes. */
import { type KafkaApi, kafkaApis } from '../../protocol/kafka/apis.ts'
import { decodeMessage } from '../../protocol/kafka/compile.ts'
import { decodeRequestHeader, encodeResponse } from '../../protocol/kafka/header.ts'
import type { AnyKafkaHandler, HandlerTable, KafkaHandler } from './handler.ts'
import { apiVersionsKey, refuseApiVersions } from './handlers/api-versions.ts'

/** What a frame is: a request for a handler, a request that has its answer already, or none at all. */
export type Dispatched =
  | {
      readonly kind: 'request'
      readonly api: KafkaApi
      readonly apiVersion: number
      readonly correlationId: number
      readonly clientId: string | null
      readonly request: unknown
      readonly handler: KafkaHandler<unknown, unknown>
    }
  | { readonly kind: 'answered'; readonly chunks: readonly Uint8Array[] }
  | { readonly kind: 'refused'; readonly reason: string }

interface Route {
  readonly api: KafkaApi
  readonly handler: AnyKafkaHandler
}

/** Fewest bytes of a request: API key, version, correlation id. */
const headerBytesMin = 8
/**
 * Members of all lists of a request together: each thing that it names is work of the loop and bytes of an answer, and a frame has room for
 * millions. A node has 20,000 partitions at most: each may stand in a topic of its own, with a list of its one replica.
 */
const namedMax = 60_000

export class Dispatcher {
  readonly #routes = new Map<number, Route>()

  constructor(handlers: HandlerTable) {
    for (const api of kafkaApis) {
      const handler = handlers.get(api.key)
      if (handler !== undefined) this.#routes.set(api.key, { api, handler })
    }
  }

  /**
   * Reads a frame (without its length). A request for an API or a version that is not served, or one that cannot be read, is
   * refused: there is no answer that its sender would understand, so the connection is closed, as Apache Kafka does. The one
   * exception is ApiVersions, by which a client finds out (KIP-511).
   */
  read(frame: Uint8Array): Dispatched {
    if (frame.length < headerBytesMin) return { kind: 'refused', reason: `a request of ${frame.length} bytes` }
    const key = apiKeyOf(frame)
    const version = int16At(frame, 2)
    const route = this.#routes.get(key)
    if (route === undefined) return { kind: 'refused', reason: `unknown API key ${key}` }
    const { api } = route
    if (version < api.minVersion || version > api.maxVersion) {
      if (key !== apiVersionsKey) return { kind: 'refused', reason: `${api.name} version ${version} is not served` }
      return { kind: 'answered', chunks: encodeResponse(api, 0, int32At(frame, 4), refuseApiVersions(api)) }
    }
    try {
      const header = decodeRequestHeader(frame)
      const { value, members } = decodeMessage(api.request, version, frame, header.end)
      if (members > namedMax) {
        return { kind: 'refused', reason: `${api.name} names more than ${namedMax} things in one request` }
      }
      return {
        kind: 'request',
        api,
        apiVersion: version,
        correlationId: header.correlationId,
        clientId: header.clientId,
        request: value,
        handler: route.handler as KafkaHandler<unknown, unknown>,
      }
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown)
      return { kind: 'refused', reason: `${api.name} version ${version} cannot be read: ${why}` }
    }
  }

  /** The bytes of an answer, with their length. Throws when the handler's answer is not one. */
  encode(request: Dispatched & { readonly kind: 'request' }, response: unknown): readonly Uint8Array[] {
    return encodeResponse(request.api, request.apiVersion, request.correlationId, response as object)
  }
}

/** The API key of a frame of at least two bytes; -1 for a shorter one. */
export function apiKeyOf(frame: Uint8Array): number {
  return frame.length < 2 ? -1 : int16At(frame, 0)
}

function int16At(bytes: Uint8Array, at: number): number {
  return ((((bytes[at] as number) << 8) | (bytes[at + 1] as number)) << 16) >> 16
}

function int32At(bytes: Uint8Array, at: number): number {
  return (int16At(bytes, at) << 16) | (int16At(bytes, at + 2) & 0xffff)
}
