/**
 * Asks the target where partitions are: drives `resume.ts` over a connection to their leader. Partitions that ask in one turn of the loop
 * share one DescribeProducers.
 */
import { asError } from '../base/errors.ts'
import type { Clock, Compute } from '../base/ports.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { MirrorAnchor } from './anchor.ts'
import { findCommonEnd } from './common-end.ts'
import { Gate } from './gate.ts'
import type { SourcePartition } from './mirror-source.ts'
import { type RefusalAction, refusalAction } from './produce-errors.ts'
import {
  isFenced,
  type ResumePoint,
  resumeByCounting,
  resumeFromProducers,
  TailSearch,
  type TargetBounds,
} from './resume.ts'
import type { ProducersAnswer, TargetConnection, TopicPartitionName } from './target-connection.ts'

export interface ResumeQuestion {
  readonly name: TopicPartitionName
  readonly anchor: MirrorAnchor
  readonly source: SourcePartition
  readonly sourceEndOffset: number
}

export type ResumeAnswer =
  | { readonly kind: 'resolved'; readonly resume: ResumePoint }
  | { readonly kind: 'failed'; readonly action: RefusalAction; readonly reason: string }

/** Tails read back at once: each holds up to 2 MiB. */
const tailsMax = 4
/** Partitions in one DescribeProducers. */
const partitionsPerRequest = 500

/** Errors that mean "I will not tell", after which the tail is read instead. */
const silences: ReadonlySet<KafkaErrorName> = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'UNSUPPORTED_VERSION',
  'INVALID_REQUEST',
])

interface Asked {
  readonly question: ResumeQuestion
  readonly answer: (answer: ResumeAnswer) => void
}

export class ResumeFinder {
  readonly #connection: TargetConnection
  readonly #clock: Clock
  readonly #compute: Compute
  readonly #tails = new Gate(tailsMax)
  #asked: Asked[] = []

  constructor(connection: TargetConnection, clock: Clock, compute: Compute) {
    this.#compute = compute
    this.#connection = connection
    this.#clock = clock
  }

  /** `answer` is called once, unless the connection ends before. */
  ask(question: ResumeQuestion, answer: (answer: ResumeAnswer) => void): void {
    this.#asked.push({ question, answer })
    if (this.#asked.length === 1) this.#clock.defer(() => this.#send())
  }

  #send(): void {
    const asked = this.#asked
    this.#asked = []
    for (let at = 0; at < asked.length; at += partitionsPerRequest) {
      void this.#askProducers(asked.slice(at, at + partitionsPerRequest))
    }
  }

  async #askProducers(asked: readonly Asked[]): Promise<void> {
    let answers: readonly ProducersAnswer[] | null
    try {
      answers = await this.#connection.producers(asked.map((one) => one.question.name))
    } catch (thrown) {
      this.#fail(asked, thrown)
      return
    }
    for (const [index, one] of asked.entries()) this.#conclude(one, answers?.[index] ?? null)
  }

  #conclude(one: Asked, told: ProducersAnswer | null): void {
    const { anchor } = one.question
    if (told !== null && told.error !== 'NONE' && !silences.has(told.error)) {
      one.answer({ kind: 'failed', action: questionAction(told.error), reason: `DescribeProducers: ${told.error}` })
      return
    }
    const producers = told?.producers ?? []
    const resume = resumeFromProducers(anchor, producers)
    const needsNewProducer = isFenced(anchor, producers)
    if (resume !== null && resume.offset <= one.question.sourceEndOffset) {
      one.answer({ kind: 'resolved', resume })
      return
    }
    void this.#tails
      .run(() => this.#readTarget(one.question, resume))
      .then((answer) => {
        const found = answer.kind === 'resolved' && needsNewProducer
        one.answer(found ? { kind: 'resolved', resume: { ...answer.resume, needsNewProducer } } : answer)
      })
      .catch((thrown: unknown) => this.#fail([one], thrown))
  }

  /** Reads the target back: for our place, unless it is known, and for where the records part, when the target is ahead of us. */
  async #readTarget(question: ResumeQuestion, known: ResumePoint | null): Promise<ResumeAnswer> {
    const bounds = await this.#connection.bounds(question.name)
    if (bounds.error !== 'NONE') {
      return { kind: 'failed', action: questionAction(bounds.error), reason: `ListOffsets: ${bounds.error}` }
    }
    const answer: ResumeAnswer =
      known === null ? await this.#searchTail(question, bounds) : { kind: 'resolved', resume: known }
    if (answer.kind === 'failed' || answer.resume.offset <= question.sourceEndOffset) return answer
    const common = await findCommonEnd({ ...question, target: bounds }, this.#connection, this.#compute)
    if (common.kind === 'found') return { kind: 'resolved', resume: { ...answer.resume, commonEnd: common.offset } }
    // Where it may not be read there is nothing better than our end.
    if (silences.has(common.error)) return answer
    return { kind: 'failed', action: questionAction(common.error), reason: `Fetch: ${common.error}` }
  }

  async #searchTail(question: ResumeQuestion, bounds: TargetBounds): Promise<ResumeAnswer> {
    const search = new TailSearch(question.anchor, bounds)
    const counted: ResumeAnswer = {
      kind: 'resolved',
      resume: resumeByCounting(question.anchor, bounds, question.sourceEndOffset),
    }
    for (let step = search.next(); ; step = search.next()) {
      if (step.kind === 'done') return { kind: 'resolved', resume: step.resume }
      if (step.kind === 'gone') return counted
      const { error, bytes } = await this.#connection.fetchTail(question.name, step.fromOffset)
      if (silences.has(error)) return counted
      // The target deletes while we read: look again from new bounds.
      if (error !== 'NONE') return { kind: 'failed', action: questionAction(error), reason: `Fetch: ${error}` }
      search.feed(bytes)
    }
  }

  #fail(asked: readonly Asked[], thrown: unknown): void {
    const reason = asError(thrown).message
    for (const one of asked) one.answer({ kind: 'failed', action: 'retry', reason })
  }
}

/** A question that is refused for good is asked again after a pause all the same: only batches can be too large or out of order. */
export function questionAction(error: KafkaErrorName): RefusalAction {
  const action = refusalAction(error)
  return action === 'moved' || action === 'park' ? action : 'retry'
}
