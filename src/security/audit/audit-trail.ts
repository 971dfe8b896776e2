/**
 * The audit: records are queued by whoever sees something, and written by one writer, first to the file, then to the topic, as one chain.
 * Nobody waits for it, and the file does not wait for the topic. What the queue cannot take is counted, and the chain tells the number.
 *
 * The file is synced before the topic is given the same records: after a power cut the file is never behind, and what the topic lacks is
 * handed to it again. Where the two cannot be brought together (one was deleted, or edited) the chain goes on from the longer one, and
 * its next record says so.
 */
import type { Audit, AuditDefinition, AuditFields } from '../../base/audit-def.ts'
import { asError } from '../../base/errors.ts'
import type { Clock, Disk, Observer, Timer } from '../../base/ports.ts'
import { auditEvents } from './audit-events.ts'
import { type AuditFileOptions, AuditFiles, setBytesMax } from './audit-files.ts'
import {
  type AuditEntry,
  auditGenesis,
  type AuditHead,
  type AuditLine,
  cutAuditFields,
  cutAuditText,
  makeAuditLine,
} from './audit-line.ts'
import { auditMetrics } from './audit-metrics.ts'
import { auditTypes } from './audit-types.ts'
import { RepeatFilter, repeatWindowMs } from './repeat-filter.ts'
import { type AuditTopic, compare, setMax, TopicCopy } from './topic-copy.ts'

export interface AuditTrailParts {
  readonly clock: Clock
  readonly disk: Disk
  readonly observer: Observer
  readonly files: AuditFileOptions
}

/** Records that wait; about 4 MiB at worst. */
const queueMax = 4_096
/** Records gather for this long: one sync for all of them. */
const gatherMs = 200
const retryMsMin = 500
const retryMsMax = 30_000
/** A stop waits no longer for what is not written. */
const stopMs = 2_000

interface Held {
  readonly definition: AuditDefinition
  readonly subject: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

function heldOf(definition: AuditDefinition, subject: string, fields: Held['fields']): Held {
  return { definition, subject: cutAuditText(subject), fields: cutAuditFields(fields) }
}

/** The writer was told to stop while it waited for the disk. */
class Stopped extends Error {}

export class AuditTrail implements Audit {
  readonly #parts: AuditTrailParts
  readonly #files: AuditFiles
  readonly #repeats = new RepeatFilter<Held>()
  #queue: AuditEntry[] = []
  #lost = 0
  #head: AuditHead = auditGenesis
  #topic: TopicCopy | null = null
  #source = ''
  #writer: Promise<void> | null = null
  #isStopping = false
  #sweep: Timer | null = null
  #wake: () => void = () => {}

  constructor(parts: AuditTrailParts) {
    this.#parts = parts
    this.#files = new AuditFiles(parts.disk, parts.files)
  }

  record<D extends AuditDefinition>(definition: D, subject: string, fields: AuditFields<D>): void {
    this.#push(heldOf(definition, subject, fields))
  }

  recordRepeated<D extends AuditDefinition>(
    definition: D,
    subject: string,
    fields: Omit<AuditFields<D>, 'repeated'>,
  ): void {
    // A request that is refused a hundred thousand names costs no more than the queue takes.
    if (this.#queue.length >= queueMax) return this.#lose()
    const held = heldOf(definition, subject, fields)
    const key = JSON.stringify([definition.type, held.subject, held.fields])
    const tell = (what: Held, repeated: number): void => this.#push({ ...what, fields: { ...what.fields, repeated } })
    const repeated = this.#repeats.see(key, held, this.#parts.clock.monotonicMs(), tell)
    if (repeated !== null) tell(held, repeated)
    else this.#planSweep()
  }

  /** Begins to write. Records that came before have waited. */
  start(topic: AuditTopic, source: string): void {
    const { clock, observer } = this.#parts
    this.#topic = new TopicCopy(topic, { clock, observer, files: this.#files, onDue: () => this.#wake() })
    this.#source = source
    this.#writer = this.#write().catch((thrown: unknown) => {
      if (!(thrown instanceof Stopped)) throw thrown
    })
  }

  /** Writes what waits, as far as that is possible in two seconds. */
  async stop(): Promise<void> {
    const { clock } = this.#parts
    this.#tellRepeats(true)
    this.#isStopping = true
    this.#wake()
    if (this.#writer === null) return
    let timer: Timer | null = null
    const late = new Promise<void>((resolve) => {
      timer = clock.schedule(stopMs, resolve)
    })
    await Promise.race([this.#writer, late])
    if (timer !== null) clock.cancel(timer)
    this.#topic?.close()
  }

  // ------------------------------------------------------------------------------------------- the queue

  #push({ definition, subject, fields }: Held): void {
    const { clock } = this.#parts
    if (this.#isStopping) return
    if (this.#queue.length >= queueMax) return this.#lose()
    this.#queue.push({ definition, subject, fields, wallMs: clock.wallMs(), wallTrusted: clock.wallTrusted() })
    this.#wake()
  }

  #lose(): void {
    this.#lost++
    this.#parts.observer.add(auditMetrics.lost, 1)
  }

  /** What was left out is told in the end, also when nothing more of it comes. */
  #planSweep(): void {
    this.#sweep ??= this.#parts.clock.schedule(repeatWindowMs, () => {
      this.#sweep = null
      this.#tellRepeats(false)
      if (this.#repeats.owes) this.#planSweep()
    })
  }

  #tellRepeats(all: boolean): void {
    if (all && this.#sweep !== null) this.#parts.clock.cancel(this.#sweep)
    this.#repeats.sweep(this.#parts.clock.monotonicMs(), all, (held, repeated) =>
      this.#push({ ...held, fields: { ...held.fields, repeated } }),
    )
  }

  // ------------------------------------------------------------------------------------------ the writer

  async #write(): Promise<void> {
    // A node that has nothing to tell writes nothing: the chain begins with its first record.
    await this.#untilSomething()
    if (this.#queue.length === 0) return
    await this.#keepTrying(() => this.#resume())
    for (;;) {
      await this.#untilSomething()
      if (this.#queue.length > 0 || this.#lost > 0) {
        if (!this.#isStopping && this.#queue.length < setMax) await this.#pause(gatherMs)
        await this.#writeLines(this.#takeLines())
      } else if (this.#isStopping) break
      else await this.#payTopic()
    }
    await this.#writeLines([this.#line(this.#entryOf(auditTypes.stopped, {}))])
  }

  async #writeLines(lines: readonly AuditLine[]): Promise<void> {
    await this.#keepTrying(() => this.#files.append(lines))
    this.#parts.observer.add(auditMetrics.records, lines.length)
    this.#topic?.owe(lines)
    await this.#payTopic()
  }

  /** What the topic can never be given is told in the chain, in the record behind the gap. */
  async #payTopic(): Promise<void> {
    const topic = this.#topic
    if (topic === null || !(topic.isDue || this.#isStopping)) return
    const missingInTopic = await topic.pay()
    if (missingInTopic === '') return
    const fields = { clean: true, bytesCut: 0, missingInFile: '', missingInTopic, disagreement: '' }
    await this.#writeLines([this.#line(this.#entryOf(auditTypes.resumed, fields))])
  }

  #takeLines(): readonly AuditLine[] {
    const lines: AuditLine[] = []
    if (this.#lost > 0) {
      lines.push(this.#line(this.#entryOf(auditTypes.lost, { records: this.#lost })))
      this.#lost = 0
    }
    let bytes = 0
    let taken = 0
    for (const entry of this.#queue) {
      if (taken >= setMax || bytes > setBytesMax / 2) break
      const line = this.#line(entry)
      bytes += line.text.length
      lines.push(line)
      taken++
    }
    this.#queue = this.#queue.slice(taken)
    return lines
  }

  #entryOf<D extends AuditDefinition>(definition: D, fields: AuditFields<D>): AuditEntry {
    const { clock } = this.#parts
    return { definition, subject: 'audit', fields, wallMs: clock.wallMs(), wallTrusted: clock.wallTrusted() }
  }

  #line(entry: AuditEntry): AuditLine {
    const line = makeAuditLine(this.#head, entry, this.#source)
    this.#head = line
    return line
  }

  // ---------------------------------------------------------------------------------- where the chain goes on

  async #resume(): Promise<void> {
    const topic = (await this.#topic?.tail()) ?? null
    const file = await this.#files.open(topic?.sequence ?? -1)
    const fileHead = file.last
    if (fileHead === null && topic === null) {
      if (this.#head.sequence < 0) await this.#begin(this.#entryOf(auditTypes.started, {}), auditGenesis)
      return
    }
    const { isOwed, ...missing } = await compare(this.#files, fileHead, topic)
    if (isOwed) this.#topic?.fallBehind()
    const isWhole = missing.missingInFile === '' && missing.disagreement === ''
    if (!isWhole) this.#files.beginNew()
    const isFromTopic = topic !== null && (fileHead === null || topic.sequence >= fileHead.sequence)
    const head = (isFromTopic ? topic : fileHead) ?? auditGenesis
    const clean = file.endsCleanly && isWhole
    if (!clean) {
      const told = [missing.missingInFile, missing.disagreement].filter((text) => text !== '')
      const text = told.length === 0 ? 'nothing is known to be missing' : told.join('; ')
      this.#parts.observer.event(auditEvents.resumed, { sequence: head.sequence, missing: text })
    }
    const fields = { clean, bytesCut: file.bytesCut, ...missing, missingInTopic: '' }
    await this.#begin(this.#entryOf(auditTypes.resumed, fields), head)
  }

  async #begin(entry: AuditEntry, head: AuditHead): Promise<void> {
    this.#head = head
    await this.#writeLines([this.#line(entry)])
  }

  // ------------------------------------------------------------------------------------------- waiting

  /** Tries until it works; a stop ends it. */
  async #keepTrying(work: () => Promise<void>): Promise<void> {
    let hasFailed = false
    for (let waitMs = retryMsMin; ; waitMs = Math.min(2 * waitMs, retryMsMax)) {
      try {
        await work()
        if (hasFailed) this.#parts.observer.event(auditEvents.recovered, {})
        return
      } catch (thrown) {
        if (thrown instanceof Stopped || this.#isStopping) throw new Stopped()
        if (!hasFailed) this.#parts.observer.event(auditEvents.stalled, { reason: asError(thrown).message })
        hasFailed = true
        await this.#pause(waitMs)
      }
    }
  }

  #untilSomething(): Promise<void> {
    if (this.#queue.length > 0 || this.#lost > 0 || this.#isStopping || this.#topic?.isDue === true)
      return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = () => {}
        resolve()
      }
    })
  }

  /** Shorter when a stop comes, or when the queue is half full. */
  #pause(ms: number): Promise<void> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      const end = (): void => {
        this.#wake = () => {}
        clock.cancel(timer)
        resolve()
      }
      const timer = clock.schedule(ms, end)
      this.#wake = () => {
        if (this.#isStopping || (ms === gatherMs && this.#queue.length >= setMax)) end()
      }
      if (this.#isStopping) end()
    })
  }
}
