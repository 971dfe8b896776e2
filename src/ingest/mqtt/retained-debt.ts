/**
 * What a kept session is owed of the retained messages of its subscriptions, until all have been sent and acknowledged. The subscription's own record
 * has a mark for as long: a start that finds it walks through them again. Pure.
 */
import { LateMap } from '../../base/late-map.ts'
import { utf8Text } from '../../protocol/mqtt/utf8.ts'
import type { InflightDelivery } from './inflight-delivery.ts'
import type { Delivery } from './session-types.ts'

/** A message that has begun at QoS 2: what the log has of it says so, and a start does not begin it again. */
export interface RetainedMark {
  readonly debt: RetainedDebt
  readonly topic: string
}

export class RetainedDebt {
  readonly id: number
  readonly filter: string
  /** `due`: nobody walks through the messages in this run of the daemon; `ended`: they have been sent, or are not waited for any more. */
  walk: 'due' | 'walking' | 'ended' = 'due'
  /** The log has no mark of it, or has another's: what has begun for it need not be remembered. */
  isOver = false
  /** Topics whose messages had begun at QoS 2 before a restart. */
  private readonly begunBefore = new Set<string>()
  private begun = 0
  private only: ReadonlySet<string> | null

  constructor(id: number, filter: string, left: readonly string[] | null) {
    this.id = id
    this.filter = filter
    this.only = left === null ? null : new Set(left)
  }

  /** Topics whose messages are still owed; null = it is not known of which. */
  get left(): readonly string[] | null {
    return this.only === null ? null : [...this.only]
  }

  /** Messages that have begun at QoS 2: each holds a packet id. */
  get begunCount(): number {
    return this.begun
  }

  /** The message of the topic is still to be sent for it. */
  wants(topic: string): boolean {
    return this.only?.has(topic) !== false && !this.begunBefore.has(topic)
  }

  begin(topic: string): RetainedMark {
    this.begun += 1
    return { debt: this, topic }
  }

  restoreBegun(topic: string): RetainedMark {
    this.begunBefore.add(topic)
    return this.begin(topic)
  }

  endWalk(): void {
    this.walk = 'ended'
    this.begunBefore.clear()
  }

  narrow(topics: Iterable<string>): void {
    this.only = new Set(topics)
  }
}

const none: readonly RetainedDebt[] = []

/** The debts of one session, by the filters of its subscriptions. */
export class RetainedDebts {
  private readonly debts = new LateMap<string, RetainedDebt>()
  private readonly idsMax: number
  private lastId = 0

  /** `idsMax`: ids of finished QoS 2 messages that are held until nothing is owed: the session has no others. */
  constructor(idsMax: number) {
    this.idsMax = idsMax
  }

  of(filter: string): RetainedDebt | undefined {
    return this.debts.get(filter)
  }

  /** The subscription is owed everything, whatever it was owed before. */
  begin(filter: string): RetainedDebt {
    return this.restore(filter, this.lastId + 1, null)
  }

  restore(filter: string, id: number, left: readonly string[] | null): RetainedDebt {
    this.end(filter)
    const debt = new RetainedDebt(id, filter, left)
    this.debts.set(filter, debt)
    this.lastId = Math.max(this.lastId, id)
    return debt
  }

  /** What the log has of a message that had begun before the restart; null = nothing is owed by that debt any more. */
  restoreBegun(id: number, topic: string): RetainedMark | null {
    this.lastId = Math.max(this.lastId, id)
    for (const debt of this.debts.values()) if (debt.id === id) return debt.restoreBegun(topic)
    return null
  }

  /** Nothing is owed under the filter any more. */
  end(filter: string): void {
    const debt = this.debts.get(filter)
    if (debt === undefined) return
    debt.isOver = true
    this.debts.delete(filter)
  }

  /** The log could not be told that it is over. */
  keep(debt: RetainedDebt): void {
    debt.isOver = false
    this.debts.set(debt.filter, debt)
  }

  /** Nobody walks through their messages. */
  due(): RetainedDebt[] {
    return [...this.debts.values()].filter(({ walk }) => walk === 'due')
  }

  /** Sent and acknowledged, or at QoS 2 carried by the log. `begun`: what the session has begun and not finished. */
  paid(begun: Iterable<InflightDelivery>): readonly RetainedDebt[] {
    if (this.debts.size === 0) return none
    const walked = [...this.debts.values()].filter(({ walk }) => walk === 'ended')
    const open = openTopics(begun)
    return walked.filter((debt) => !open.has(debt))
  }

  /** Those of which it is known by now what is left of them: they have all been sent. */
  narrow(begun: Iterable<InflightDelivery>): readonly RetainedDebt[] {
    if (this.debts.size === 0) return none
    const open = [...openTopics(begun)].filter(([{ walk, isOver }]) => walk === 'ended' && !isOver)
    for (const [debt, topics] of open) debt.narrow(topics)
    return open.map(([debt]) => debt)
  }

  /** A message begins at QoS 2; null = it is not remembered, so its debt, if it has one, may not outlive this. */
  mark({ debt, message: { topic } }: Delivery): RetainedMark | null {
    if (debt === undefined || debt.isOver) return null
    let held = 0
    for (const { begunCount } of this.debts.values()) held += begunCount
    return held < this.idsMax ? debt.begin(utf8Text(topic, 0, topic.length)) : null
  }
}

/** What has been sent and is neither acknowledged nor carried by the log. */
function openTopics(begun: Iterable<InflightDelivery>): Map<RetainedDebt, string[]> {
  const open = new Map<RetainedDebt, string[]>()
  for (const { debt, record, message } of begun) {
    if (debt === undefined || record === 'durable') continue
    const topics = open.get(debt) ?? []
    topics.push(utf8Text(message.topic, 0, message.topic.length))
    open.set(debt, topics)
  }
  return open
}
