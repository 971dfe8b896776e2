/**
 * The topic of the audit follows its files: what it does not take now it is owed, and gets later, from memory or, when that was much, from
 * the files. The files do not wait for it.
 */
import { asError } from '../../base/errors.ts'
import type { Clock, Observer, Timer } from '../../base/ports.ts'
import { auditEvents } from './audit-events.ts'
import { type AuditFiles, setBytesMax } from './audit-files.ts'
import type { AuditHead, AuditLine } from './audit-line.ts'

/** The topic that holds the same records. */
export interface AuditTopic {
  /** Its newest record; null = it has none. */
  tail(): Promise<AuditHead | null>
  /** Resolves when they are committed. */
  append(lines: readonly AuditLine[]): Promise<void>
}

export interface TopicCopyParts {
  readonly clock: Clock
  readonly observer: Observer
  readonly files: AuditFiles
  /** It is time to try again. */
  readonly onDue: () => void
}

/** Records of one write. */
export const setMax = 256
/** Records that are owed from memory; beyond, they are read from the files. */
const owedMax = 1_024
const retryMsMin = 500
const retryMsMax = 30_000

export class TopicCopy {
  readonly #topic: AuditTopic
  readonly #parts: TopicCopyParts
  #owed: AuditLine[] = []
  /** It is owed more than is in memory. */
  #isBehind = false
  #hasFailed = false
  #waitMs = retryMsMin
  #retryAtMs = 0
  #timer: Timer | null = null

  constructor(topic: AuditTopic, parts: TopicCopyParts) {
    this.#topic = topic
    this.#parts = parts
  }

  tail(): Promise<AuditHead | null> {
    return this.#topic.tail()
  }

  /** Something is owed, and it is time to try. */
  get isDue(): boolean {
    const owes = this.#isBehind || this.#owed.length > 0
    return owes && this.#parts.clock.monotonicMs() >= this.#retryAtMs
  }

  /** Takes records into the debt; `pay` hands them over. */
  owe(lines: readonly AuditLine[]): void {
    if (this.#isBehind) return
    this.#owed.push(...lines)
    if (this.#owed.length <= owedMax) return
    this.#isBehind = true
    this.#owed = []
  }

  /** Hands over what is owed. Answers what is in the files no more and can never be; empty = all is well, or it has failed again. */
  async pay(): Promise<string> {
    try {
      const missing = this.#isBehind ? await this.#payFromFiles() : await this.#payFromMemory()
      if (this.#hasFailed) this.#parts.observer.event(auditEvents.recovered, {})
      this.#hasFailed = false
      this.#waitMs = retryMsMin
      return missing
    } catch (thrown) {
      this.#failed(asError(thrown).message)
      return ''
    }
  }

  /** The files have records that it lacks, from an earlier life. */
  fallBehind(): void {
    this.#isBehind = true
    this.#owed = []
  }

  close(): void {
    if (this.#timer !== null) this.#parts.clock.cancel(this.#timer)
    this.#timer = null
  }

  async #payFromMemory(): Promise<string> {
    // What has failed may have arrived all the same.
    const arrived = this.#hasFailed ? ((await this.#topic.tail())?.sequence ?? -1) : -1
    this.#owed = this.#owed.filter(({ sequence }) => sequence > arrived)
    while (this.#owed.length > 0) {
      const set = firstSet(this.#owed)
      await this.#topic.append(set)
      this.#owed = this.#owed.slice(set.length)
    }
    return ''
  }

  async #payFromFiles(): Promise<string> {
    const { files } = this.#parts
    let told = (await this.#topic.tail())?.sequence ?? -1
    for (;;) {
      const lines = await files.since(told, owedMax)
      const first = lines[0]
      if (first === undefined) break
      // The gap must stand where a record tells of it: an empty topic may begin anywhere, another goes on with that record.
      if (told >= 0 && first.sequence > told + 1) {
        this.#isBehind = false
        return `${span(told + 1, files.lastSequence)} are not in the topic`
      }
      for (let rest = lines; rest.length > 0; ) {
        const set = firstSet(rest)
        await this.#topic.append(set)
        rest = rest.slice(set.length)
      }
      told = lines.at(-1)?.sequence ?? told
    }
    this.#isBehind = false
    return ''
  }

  #failed(reason: string): void {
    const { clock, observer, onDue } = this.#parts
    if (!this.#hasFailed) observer.event(auditEvents.stalled, { reason })
    this.#hasFailed = true
    this.#retryAtMs = clock.monotonicMs() + this.#waitMs
    this.close()
    this.#timer = clock.schedule(this.#waitMs, () => {
      this.#timer = null
      onDue()
    })
    this.#waitMs = Math.min(2 * this.#waitMs, retryMsMax)
  }
}

function firstSet(lines: readonly AuditLine[]): readonly AuditLine[] {
  let end = 0
  for (let bytes = 0; end < lines.length && end < setMax && bytes < setBytesMax / 2; end++) {
    bytes += lines[end]?.text.length ?? 0
  }
  return lines.slice(0, end)
}

export interface Comparison {
  /** The files have records that the topic is to be given. */
  readonly isOwed: boolean
  readonly missingInFile: string
  readonly disagreement: string
}

const span = (from: number, end: number): string => `records ${from} to ${end}`

/** What the files and the topic lack of each other. `last`: the newest record of the files. */
export async function compare(files: AuditFiles, last: AuditHead | null, topic: AuditHead | null): Promise<Comparison> {
  const none: Comparison = { isOwed: false, missingInFile: '', disagreement: '' }
  const told = topic?.sequence ?? -1
  const end = last?.sequence ?? -1
  if (told > end) return { ...none, missingInFile: `${span(end + 1, told)} are not in the file` }
  const [same] = topic === null ? [] : await files.since(told - 1, 1)
  if (topic !== null && same?.sequence === told && same.hash !== topic.hash) {
    return { ...none, disagreement: `record ${told} is one in the file and another in the topic` }
  }
  return { ...none, isOwed: told < end }
}
