/** What a handler of one Kafka API is, and what it is told about the request beside its body. */
import type { AnswerMemory } from '../../broker/fetch-read.ts'

/**
 * Facts of one request. It is valid until the response has been made; a handler that waits keeps it, nothing else does.
 */
export interface RequestContext {
  readonly apiVersion: number
  /** The header's client id: free text from outside, or null. */
  readonly clientId: string | null
  /** Who asks: `User:ANONYMOUS` until a listener authenticates. */
  readonly principal: string
  /** Address of the client, without a port. */
  readonly clientHost: string
  /** The address on our side that the connection came in on. */
  readonly localHost: string
  readonly localPort: number
  /** What a client is told as the address of this broker: configured for the listener, else the address this connection came in on. */
  readonly advertised: AdvertisedAddress
  /** Unique within one run of the daemon, ascending. */
  readonly connectionId: number
  /** For answers as large as their client asks; absent: there is no bound. */
  readonly answerMemory?: AnswerMemory
  /** True once the connection is gone: an answer would be thrown away. */
  isClosed(): boolean
  /**
   * Calls back once when the connection goes while this request is unanswered, so that what waits for it can be given up.
   * The callback is forgotten as soon as the request has its answer.
   */
  onClose(callback: () => void): void
}

export interface AdvertisedAddress {
  readonly host: string
  readonly port: number
}

/** The only thing left to tell a client that has asked for no answer: its connection goes, with the reason in our log. */
export class CloseConnection {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/**
 * Answers one request: the response's body, now or later, or null for no response at all (produce with acks=0).
 *
 * Handlers of one connection are called in the order of its requests, each before the answer to the one before is known: what
 * must keep that order (an append) happens before the first `await`. A handler answers errors of the protocol in the body; to
 * throw, or to reject, is a bug of ours and closes that connection.
 *
 * `Q` is the decoded request (`InferMessage`), `R` the response to encode (`InferInput`). Byte fields of the request are views into
 * the frame, which is memory of its own and belongs to the handler.
 */
export type KafkaHandler<Q, R> = (
  request: Q,
  context: RequestContext,
) => R | null | CloseConnection | Promise<R | null | CloseConnection>

/** A handler whose types the table has forgotten; every `KafkaHandler<Q, R>` is one. */
export type AnyKafkaHandler = KafkaHandler<never, unknown>

/** One row of a table of handlers. */
export type HandlerEntry = readonly [apiKey: number, handler: AnyKafkaHandler]

/** The handlers of a door by API key. An API without a handler is neither advertised nor answered. */
export type HandlerTable = ReadonlyMap<number, AnyKafkaHandler>
