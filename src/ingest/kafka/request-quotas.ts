/**
 * Holds the requests of a door against the quotas of their clients (KIP-13, KIP-124, KIP-219): the answer says how long the client
 * is to pause, and until then nothing more is read from it.
 */
import { userOf } from '../../security/principal.ts'
import type { QuotaKeeper } from '../../security/quotas/quota-keeper.ts'
import type { FetchRequest, FetchResponseInput } from '../../protocol/kafka/messages/fetch.ts'
import type { RequestContext } from './handler.ts'

const produceApi = 0
const fetchApi = 1
/** A client that uses too much of the loop pauses no longer than this at a time, as in Kafka. */
const requestPauseMsMax = 1_000

export interface UsedByRequest {
  readonly apiKey: number
  readonly requestBytes: number
  /** Milliseconds of the loop. */
  readonly busyMs: number
}

export class RequestQuotas {
  readonly #keeper: QuotaKeeper

  constructor(keeper: QuotaKeeper) {
    this.#keeper = keeper
  }

  get isIdle(): boolean {
    return this.#keeper.isIdle
  }

  /** A Fetch asks for no more than its client may have in ten seconds. */
  bounded(apiKey: number, request: unknown, context: RequestContext): unknown {
    if (apiKey !== fetchApi) return request
    const bound = this.#keeper.boundOf(userOf(context.principal), context.clientId ?? '', 'consumer_byte_rate')
    if (bound === null) return request
    const fetch = request as FetchRequest
    return { ...fetch, maxBytes: Math.max(1, Math.min(fetch.maxBytes, bound * 10)) }
  }

  /** Milliseconds for which the client of this request is to pause. */
  pauseMs(response: unknown, used: UsedByRequest, context: RequestContext): number {
    const user = userOf(context.principal)
    const clientId = context.clientId ?? ''
    const busy = this.#keeper.count(user, clientId, 'request_percentage', used.busyMs / 10)
    const pauses = [Math.min(busy, requestPauseMsMax)]
    if (used.apiKey === produceApi)
      pauses.push(this.#keeper.count(user, clientId, 'producer_byte_rate', used.requestBytes))
    if (used.apiKey === fetchApi)
      pauses.push(
        this.#keeper.count(user, clientId, 'consumer_byte_rate', fetchedBytes(response as FetchResponseInput)),
      )
    return Math.max(...pauses)
  }
}

function fetchedBytes({ responses = [] }: FetchResponseInput): number {
  let bytes = 0
  for (const { partitions = [] } of responses) for (const { records } of partitions) bytes += records?.length ?? 0
  return bytes
}
