/** Follows a chain of audit records line by line and tells the first place where it is not whole. Pure. */
import { type AuditHead, readAuditLine } from './audit-line.ts'
import { auditTypes } from './audit-types.ts'

export interface ChainFault {
  /** Counted from 1, over everything that was handed over. */
  readonly line: number
  /** `file:line` or `offset N`. */
  readonly place: string
  readonly reason: string
}

/** A gap that the chain itself tells of. */
export interface ChainGap {
  readonly place: string
  readonly reason: string
}

export class ChainCheck {
  #head: AuditHead | null = null
  #firstSequence: number | null = null
  #lines = 0
  #records = 0
  #uncleanStops = 0
  #lost = 0
  #fault: ChainFault | null = null
  readonly #gaps: ChainGap[] = []
  readonly #anchor: AuditHead | null
  #anchorSeen = false
  /** Where a last record is not finished; set by whoever hands the lines over. */
  unfinished: string | null = null

  /** `anchor`: a record that was noted down elsewhere and must be in the chain as it was. */
  constructor(anchor: AuditHead | null = null) {
    this.#anchor = anchor
  }

  get head(): AuditHead | null {
    return this.#head
  }

  get firstSequence(): number | null {
    return this.#firstSequence
  }

  get records(): number {
    return this.#records
  }

  get uncleanStops(): number {
    return this.#uncleanStops
  }

  /** Records that the chain says could not be kept. */
  get lost(): number {
    return this.#lost
  }

  get gaps(): readonly ChainGap[] {
    return this.#gaps
  }

  /** The first place that is not whole; null = the chain is. */
  get fault(): ChainFault | null {
    return this.#fault
  }

  /** To be asked after the last line. */
  get anchorFault(): string | null {
    if (this.#anchor === null || this.#anchorSeen) return null
    return `record ${this.#anchor.sequence} is not there with the hash that was given`
  }

  /** The next line; nothing is looked at behind a fault. */
  line(text: string, place: string): void {
    this.#lines++
    if (this.#fault !== null) return
    const read = readAuditLine(text)
    if (typeof read === 'string') return this.#fail(place, read)
    const { sequence, hash, previousHash, type, data } = read
    const head = this.#head
    // A record that was handed over twice, because it was not known whether it had arrived.
    if (head?.sequence === sequence && head.hash === hash) return
    if (this.#anchor?.sequence === sequence) {
      if (this.#anchor.hash !== hash) return this.#fail(place, 'it is another record than the one that was noted down')
      this.#anchorSeen = true
    }
    if (head !== null && (sequence !== head.sequence + 1 || previousHash !== head.hash)) {
      const reason = breakBetween(head, sequence)
      if (!isDeclared(type, data)) return this.#fail(place, reason)
      this.#gaps.push({ place, reason })
    }
    if (type === auditTypes.resumed.type && data['clean'] !== true) this.#uncleanStops++
    if (type === auditTypes.lost.type) this.#lost += Number(data['records']) || 0
    this.#firstSequence ??= sequence
    this.#records++
    this.#head = { sequence, hash }
  }

  #fail(place: string, reason: string): void {
    this.#fault = { line: this.#lines, place, reason }
  }
}

function breakBetween(head: AuditHead, sequence: number): string {
  if (sequence > head.sequence + 1) return `records ${head.sequence + 1} to ${sequence - 1} are missing`
  if (sequence <= head.sequence) return `record ${sequence} comes after record ${head.sequence}`
  return `it does not follow from record ${head.sequence}: one of them was changed`
}

/** After a stop a chain says itself what it lacks. */
function isDeclared(type: string, data: Readonly<Record<string, unknown>>): boolean {
  if (type !== auditTypes.resumed.type) return false
  return [data['missingInFile'], data['missingInTopic'], data['disagreement']].some(
    (text) => typeof text === 'string' && text !== '',
  )
}
