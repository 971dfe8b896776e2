/**
 * One connection of a Kafka client: frames in, answers out, in order (law 10).
 *
 * Requests begin in the order in which they came, each as soon as the bounds allow; their answers wait for one another in the
 * response queue and leave together, once a turn of the loop. Where a bound is reached the socket is paused, and frames that came
 * with the same read wait here (no more than one read holds).
 */
import type { MemoryPool } from '../../base/memory-pool.ts'
import type { Clock, Connection, Observer, Timer } from '../../base/ports.ts'
import { FrameAssembler } from '../../protocol/kafka/frame.ts'
import type { FetchResponseInput } from '../../protocol/kafka/messages/fetch.ts'
import { ConnectionSecurity, type SaslListener, strangersFrames } from './connection-security.ts'
import { apiKeyOf, type Dispatched, type Dispatcher } from './dispatch.ts'
import { kafkaDoorEvents } from './door-events.ts'
import { kafkaDoorMetrics, labelsOf } from './door-metrics.ts'
import { CloseConnection } from './handler.ts'
import { HeldFrames } from './held-frames.ts'
import type { KafkaDoorOptions } from './door-options.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { OutgoingRecords, recordsOf } from './outgoing-records.ts'
import { type ConnectionFacts, PendingRequest } from './request-context.ts'
import type { RequestQuotas } from './request-quotas.ts'
import { ResponseQueue, type ResponseSlot } from './response-queue.ts'

/** What the door is to its connections. */
export interface ConnectionHost {
  readonly clock: Clock
  readonly observer: Observer
  readonly dispatcher: Dispatcher
  readonly options: KafkaDoorOptions
  /** Null: nothing is held against quotas. */
  readonly quotas: RequestQuotas | null
  readonly frameMemory: MemoryPool
  readonly requestMemory: MemoryBudget
  readonly responseMemory: MemoryBudget
  /** Have `flush` called at the end of this turn. */
  flushLater(connection: KafkaConnection): void
  /** The connection was closed for what its client sent. */
  refused(facts: ConnectionFacts, reason: string): void
  closed(connection: KafkaConnection, reason: CloseReason): void
}

/** What a connection is opened with. */
export interface ConnectionOptions extends Omit<ConnectionFacts, 'isClosed' | 'security' | 'responseMemory'> {
  /** Who it speaks for where no SASL is asked for. */
  readonly principal: string
  readonly sasl: SaslListener | null
}

export type CloseReason = 'client' | 'refused' | 'unauthenticated' | 'failed' | 'idle' | 'stalled' | 'stop'

/** Nobody holds on to the frame of an answered Produce: the log has copied its batches. */
const givesFrameBackApi = 0
/** The answer to a Fetch is as large as its client asks: of these only so many run at a time on one connection. */
const largeAnswerApi = 1
const largeAnswersMax = 2
/** Fetch, JoinGroup and SyncGroup may wait for others as long as their client allows: a stop does not. */
const waitingApis: ReadonlySet<number> = new Set([1, 11, 14])
/** How long a connection that we have ended may take to go before it is cut. */
const lingerMs = 5_000

export class KafkaConnection {
  readonly facts: ConnectionFacts
  readonly #host: ConnectionHost
  readonly #connection: Connection
  readonly #assembler: FrameAssembler
  readonly #security: ConnectionSecurity
  readonly #queue = new ResponseQueue()
  readonly #outgoing: OutgoingRecords
  /** Requests at work, with their API key. */
  readonly #running = new Map<PendingRequest, number>()
  readonly #frames: HeldFrames
  readonly #proceed = (): void => this.#pump()
  /** A large frame waits for memory. */
  #awaitsMemory = false
  #runningLarge = 0
  /** Why nothing more of the stream can be read. */
  #broken: string | null = null
  /** Unsent bytes as the door's budget knows them. */
  #countedUnsent = 0
  /** Until then nothing begins: the client is above a quota. */
  #pausedUntilMs = 0
  #quotaTimer: Timer | null = null
  #isFlushScheduled = false
  #isPaused = false
  #isStopping = false
  #closeReason: CloseReason | null = null
  #linger: Timer | null = null
  #isClosed = false
  #activeAtMs: number
  #progressBacklog = 0

  constructor(connection: Connection, { principal, sasl, ...facts }: ConnectionOptions, host: ConnectionHost) {
    const { clock, options } = host
    this.#host = host
    this.#connection = connection
    this.#frames = new HeldFrames(host.requestMemory)
    this.#outgoing = new OutgoingRecords(connection)
    this.#security = new ConnectionSecurity({
      sasl,
      principal,
      clock,
      host: facts.clientHost,
      openingMs: connection.peer.openingMs,
      onOpen: () => this.#assembler.trust(options.requestBytesMax),
      onLate: () => this.#refuse('no authentication in time', 'unauthenticated'),
    })
    const { responseMemory } = host
    this.facts = { ...facts, responseMemory, security: this.#security, isClosed: () => this.#isClosed }
    this.#activeAtMs = clock.monotonicMs()
    this.#assembler = new FrameAssembler({
      ...(sasl === null ? { frameBytesMax: options.requestBytesMax } : strangersFrames(options.requestBytesMax)),
      memory: host.frameMemory,
      onFrame: (frame) => this.#framed(frame),
      onOversize: (length) => {
        this.#broken = `a frame of ${length} bytes, the limit is ${this.#assembler.frameBytesMax}`
      },
    })
    connection.start({
      onBytes: (bytes) => this.#received(bytes),
      onDrain: () => this.#drained(),
      onClose: () => this.#closed(),
      window: () => this.#window(),
    })
  }

  /** Requests that have begun and are not answered. */
  get runningCount(): number {
    return this.#running.size
  }

  /** Hands every answer whose turn has come to the network, in one send. */
  flush(): void {
    this.#isFlushScheduled = false
    if (this.#isClosed) return
    const ready = this.#queue.takeReady()
    if (ready !== null) {
      this.#activeAtMs = this.#host.clock.monotonicMs()
      this.#host.observer.add(kafkaDoorMetrics.sentBytes, ready.bytes)
      this.#outgoing.send(ready.chunks, ready.own)
    }
    this.#countUnsent()
    this.#pump()
    this.#endIfDone()
  }

  /** No further request begins; the connection ends when the running ones are answered. */
  stop(): void {
    this.#isStopping = true
    this.#frames.drop()
    this.#setPaused(true)
    // It has ended already, and only its client's side is open.
    if (this.#closeReason !== null && this.#connection.backlogBytes === 0) return this.#connection.destroy()
    this.#endIfDone()
  }

  /** While stopping: closes when nothing runs but requests that wait for others. */
  cutWaiting(): void {
    if (this.#isStopping && [...this.#running.values()].every((apiKey) => waitingApis.has(apiKey))) this.#end('stop')
  }

  /** Closes at once. */
  destroy(reason: CloseReason): void {
    this.#closeReason ??= reason
    this.#connection.destroy()
  }

  /**
   * Looked at now and then: closes a connection that nobody uses, and, while others wait for the memory that it holds, one that does
   * not move.
   */
  inspect(nowMs: number, limits: { readonly idleMs: number; readonly stallMs: number }): void {
    const backlog = this.#connection.backlogBytes
    if (backlog < this.#progressBacklog) this.#activeAtMs = nowMs
    this.#progressBacklog = backlog
    this.#countUnsent()
    const quietMs = nowMs - this.#activeAtMs
    if (this.#closeReason !== null) return
    if (quietMs >= limits.idleMs && (this.#running.size === 0 || backlog > 0)) return this.destroy('idle')
    if (quietMs >= limits.stallMs && this.#blocksOthers()) {
      const { connectionId, clientHost } = this.facts
      const bytes = this.#countedUnsent + this.#frames.blockingBytes
      this.#host.observer.event(kafkaDoorEvents.connectionStalled, {
        connection: connectionId,
        client: clientHost,
        bytes,
      })
      this.destroy('stalled')
    }
  }

  #blocksOthers(): boolean {
    const { requestMemory, responseMemory } = this.#host
    return (
      (responseMemory.hasWaiting && this.#connection.backlogBytes > 0) ||
      (requestMemory.hasWaiting && this.#frames.blockingBytes > 0)
    )
  }

  // ---------------------------------------------------------------------------------------------- receiving

  #received(bytes: Uint8Array): void {
    if (this.#closeReason !== null || this.#isStopping) return
    this.#activeAtMs = this.#host.clock.monotonicMs()
    this.#host.observer.add(kafkaDoorMetrics.receivedBytes, bytes.length)
    this.#assembler.push(bytes)
    this.#pump()
    if (this.#broken !== null) this.#refuse(this.#broken)
  }

  /** Memory for a large frame that has begun. It is reserved from the common budget, or the socket waits for some. */
  #window(): Uint8Array | null {
    const window = this.#closeReason === null ? this.#assembler.window() : null
    if (window !== null && !this.#frames.reserve(window.buffer.byteLength)) {
      this.#awaitsMemory = true
      this.#host.requestMemory.wait(this.#proceed)
      this.#setPaused(true)
    }
    return window
  }

  #framed(frame: Uint8Array): void {
    this.#frames.push(frame)
    if (this.#closeReason !== null || this.#isStopping) this.#frames.drop()
  }

  /** Begins what may begin; pauses the socket when something may not. */
  #pump(): void {
    if (this.#isClosed) return
    if (this.#awaitsMemory) {
      this.#awaitsMemory = false
      this.#window()
    }
    this.#frames.beginEach(
      (frame) => this.#closeReason === null && this.#mayBegin(frame),
      (frame) => this.#begin(frame),
    )
    if (this.#closeReason === null && !this.#isStopping)
      this.#setPaused(this.#frames.waitingCount > 0 || this.#awaitsMemory)
  }

  #mayBegin(frame: Uint8Array): boolean {
    const { options, requestMemory, responseMemory } = this.#host
    if (this.#security.isBusy || this.#isAboveQuota()) return false
    if (this.#queue.pendingCount >= options.pendingRequestsMax) return false
    const unsentBytes = this.#queue.heldBytes + this.#connection.backlogBytes
    if (unsentBytes >= options.unsentBytesMax) return false
    // Whoever has answers to take gets no more while there is no memory for any.
    if (unsentBytes > 0 && responseMemory.isExhausted) {
      responseMemory.wait(this.#proceed)
      return false
    }
    // Whoever runs nothing may always begin, so that everybody gets on.
    if (this.#running.size > 0 && !requestMemory.fits(0)) {
      requestMemory.wait(this.#proceed)
      return false
    }
    if (apiKeyOf(frame) !== largeAnswerApi) return true
    if (this.#runningLarge >= largeAnswersMax) return false
    if (!responseMemory.isExhausted) return true
    responseMemory.wait(this.#proceed)
    return false
  }

  #setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#connection.pause()
    else this.#connection.resume()
  }

  // ----------------------------------------------------------------------------------------------- answering

  #begin(frame: Uint8Array): void {
    const verdict = this.#security.judge(apiKeyOf(frame))
    if (verdict === 'token') return this.#beginToken(frame)
    const dispatched =
      verdict === 'request'
        ? this.#host.dispatcher.read(frame)
        : ({ kind: 'refused', reason: verdict.refused } as const)
    if (dispatched.kind === 'request') return this.#run(dispatched, frame)
    this.#frames.release(frame)
    if (dispatched.kind === 'answered') return this.#settle(this.#queue.open(), dispatched.chunks)
    this.#refuse(dispatched.reason, verdict === 'request' ? 'refused' : 'unauthenticated')
  }

  #run(dispatched: Run['dispatched'], frame: Uint8Array): void {
    const { clock, observer } = this.#host
    const slot = this.#queue.open()
    const request = new PendingRequest(this.facts, dispatched.apiVersion, dispatched.clientId)
    const beganMs = clock.monotonicMs()
    const run: Run = { dispatched, request, slot, frame, beganMs, busyMs: 0 }
    this.#running.set(request, dispatched.api.key)
    if (dispatched.api.key === largeAnswerApi) this.#runningLarge++
    observer.add(kafkaDoorMetrics.requests, 1, labelsOf(dispatched.api.name))
    try {
      const asked = this.#host.quotas?.bounded(dispatched.api.key, dispatched.request, request) ?? dispatched.request
      const response = dispatched.handler(asked, request)
      run.busyMs = clock.monotonicMs() - beganMs
      if (!isPromise(response)) return this.#answer(run, response)
      response.then(
        (answer) => {
          this.#answer(run, answer)
          request.ended()
        },
        (thrown: unknown) => {
          this.#failed(run, thrown)
          request.ended()
        },
      )
    } catch (thrown) {
      this.#failed(run, thrown)
    }
  }

  /** A token of SASL without a request around it: so is its answer. */
  #beginToken(frame: Uint8Array): void {
    const slot = this.#queue.open()
    this.#security.token(frame).then(
      (token) => {
        this.#frames.release(frame)
        if (this.#isClosed) return
        const length = Buffer.alloc(4)
        length.writeInt32BE(token?.length ?? 0)
        this.#settle(slot, token === null ? null : [length, token])
        if (this.#security.hasFailed) this.#end('unauthenticated')
      },
      (thrown: unknown) => {
        this.#frames.release(frame)
        this.#refuse(`authentication broke off: ${String(thrown)}`, 'failed')
      },
    )
  }

  #answer(run: Run, response: unknown): void {
    const own = run.dispatched.api.key === largeAnswerApi ? recordsOf(response as FetchResponseInput) : null
    if (!this.#finish(run)) return this.#giveBack(run, own)
    const { clock, dispatcher, observer } = this.#host
    observer.observe(
      kafkaDoorMetrics.requestSeconds,
      (clock.monotonicMs() - run.beganMs) / 1_000,
      labelsOf(run.dispatched.api.name),
    )
    if (response instanceof CloseConnection) return this.#refuse(response.reason)
    let chunks: readonly Uint8Array[] | null
    try {
      const answer = this.#held(run, response)
      chunks = answer === null ? null : dispatcher.encode(run.dispatched, answer)
    } catch (thrown) {
      return this.#reportFailure(run, thrown)
    }
    this.#giveBack(run, null)
    this.#settle(run.slot, chunks, own)
    if (this.#security.hasFailed) this.#end('unauthenticated')
  }

  /** Memory that only this request had, `unsent` of its answer. */
  #giveBack({ dispatched, frame }: Run, unsent: readonly Uint8Array[] | null): void {
    if (dispatched.api.key === givesFrameBackApi) this.#host.frameMemory.give(frame)
    if (unsent !== null) this.#outgoing.close(unsent)
  }

  #isAboveQuota(): boolean {
    const { clock } = this.#host
    const leftMs = this.#pausedUntilMs - clock.monotonicMs()
    if (leftMs <= 0) return false
    this.#quotaTimer ??= clock.schedule(leftMs, () => {
      this.#quotaTimer = null
      this.#pump()
    })
    return true
  }

  /** The answer, with the pause that the quotas of its client ask for; nothing is read meanwhile. */
  #held(run: Run, response: unknown): unknown {
    const { quotas } = this.#host
    if (quotas === null || quotas.isIdle) return response
    const { dispatched, request, frame, busyMs } = run
    const used = { apiKey: dispatched.api.key, requestBytes: frame.length, busyMs }
    const throttleTimeMs = quotas.pauseMs(response, used, request)
    if (throttleTimeMs <= 0) return response
    const { clock, observer } = this.#host
    observer.add(kafkaDoorMetrics.throttledSeconds, throttleTimeMs / 1000)
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, clock.monotonicMs() + throttleTimeMs)
    this.#activeAtMs = this.#pausedUntilMs
    return response === null ? null : { ...(response as object), throttleTimeMs }
  }

  #settle(slot: ResponseSlot, chunks: readonly Uint8Array[] | null, own: readonly Uint8Array[] | null = null): void {
    this.#queue.settle(slot, chunks, own)
    this.#countUnsent()
    this.#flushLater()
  }

  #failed(run: Run, thrown: unknown): void {
    if (this.#finish(run)) this.#reportFailure(run, thrown)
  }

  /** The request no longer runs, whether anybody waits for it or not. False when its connection is gone. */
  #finish(run: Run): boolean {
    this.#frames.release(run.frame)
    if (!this.#running.delete(run.request)) return false
    run.request.answered()
    if (run.dispatched.api.key === largeAnswerApi) this.#runningLarge--
    return !this.#isClosed
  }

  /** To throw is a bug of a handler; what its client would make of an invented answer is unknown, so the connection goes. */
  #reportFailure(run: Run, thrown: unknown): void {
    const { connectionId, clientHost } = this.facts
    this.#host.observer.event(kafkaDoorEvents.requestFailed, {
      connection: connectionId,
      client: clientHost,
      api: run.dispatched.api.name,
      version: run.dispatched.apiVersion,
      error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
    })
    this.#end('failed')
  }

  #flushLater(): void {
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    this.#host.flushLater(this)
  }

  #drained(): void {
    this.#activeAtMs = this.#host.clock.monotonicMs()
    this.#countUnsent()
    this.#pump()
    this.#endIfDone()
  }

  /** Tells the common budget what this connection holds now. */
  #countUnsent(): void {
    this.#outgoing.release()
    const unsent = this.#isClosed ? 0 : this.#queue.heldBytes + this.#connection.backlogBytes
    const change = unsent - this.#countedUnsent
    this.#countedUnsent = unsent
    if (change !== 0) this.#host.responseMemory.add(change)
  }

  // ------------------------------------------------------------------------------------------------- ending

  #refuse(reason: string, kind: CloseReason = 'refused'): void {
    if (this.#closeReason !== null || this.#isClosed) return
    this.#host.refused(this.facts, reason)
    this.#end(kind)
  }

  /** Sends what is ready and closes. What still comes is read, so that the end of the other side is seen, and thrown away. */
  #end(reason: CloseReason): void {
    if (this.#closeReason !== null) return
    this.#closeReason = reason
    this.#frames.drop()
    this.flush()
    this.#connection.end()
    this.#setPaused(false)
    // A client that does not close its side must not keep the connection.
    this.#linger = this.#host.clock.schedule(lingerMs, () => this.#connection.destroy())
  }

  #endIfDone(): void {
    if (this.#isStopping && this.#queue.pendingCount === 0) this.#end('stop')
  }

  #closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#security.close()
    for (const timer of [this.#linger, this.#quotaTimer]) if (timer !== null) this.#host.clock.cancel(timer)
    const { requestMemory, responseMemory } = this.#host
    requestMemory.forget(this.#proceed)
    responseMemory.forget(this.#proceed)
    this.#frames.drop()
    this.#outgoing.close(this.#queue.takeOwn())
    this.#countUnsent()
    const abandoned = [...this.#running.keys()]
    this.#running.clear()
    for (const request of abandoned) request.abandoned()
    this.#host.closed(this, this.#closeReason ?? 'client')
  }
}

/** A request with a handler at work. */
interface Run {
  readonly dispatched: Dispatched & { readonly kind: 'request' }
  readonly request: PendingRequest
  readonly slot: ResponseSlot
  readonly frame: Uint8Array
  readonly beganMs: number
  /** Of the loop, by its handler. */
  busyMs: number
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
