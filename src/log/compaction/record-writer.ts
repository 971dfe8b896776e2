/** Puts the kept records of a batch together, in steps: a batch may hold millions of them. */
import { RecordFormatError } from '../../protocol/records/record.ts'
import { varlongBytes, writeVarint, writeVarlong } from '../../protocol/records/varint.ts'
import { RecordSpans } from './record-spans.ts'

/** Most bytes that a record grows by with another timestamp delta: seven of the delta, one of its own length. */
const growthMax = 8
/** What eight bytes of a variable-length number hold, and a double exactly. */
const deltaMax = 2 ** 52 - 1

export class RecordWriter {
  readonly #source: Uint8Array
  readonly #runs: readonly number[]
  readonly #count: number
  /** Added to each timestamp delta; 0 = the records go out as they stand. */
  readonly #shiftMs: number
  readonly #copied: Uint8Array
  #copiedAt = 0
  #run = 0
  #spans: RecordSpans | null = null
  #shifted: Uint8Array = new Uint8Array(0)
  #shiftedAt = 0

  /** `runs`: start and end of each stretch of kept records; `size`: their bytes, `count`: their number. */
  constructor(
    source: Uint8Array,
    kept: { readonly runs: readonly number[]; readonly size: number; readonly count: number },
    shiftMs: number,
  ) {
    this.#source = source
    this.#runs = kept.runs
    this.#count = kept.count
    this.#shiftMs = shiftMs
    this.#copied = new Uint8Array(kept.size)
  }

  /** The records; call it once `step` has answered true. */
  get records(): Uint8Array {
    return this.#shiftMs === 0 ? this.#copied : this.#shifted.subarray(0, this.#shiftedAt)
  }

  /** Does so many stretches or records; true when all is done. */
  step(stepsMax: number): boolean {
    for (let left = stepsMax; left > 0; left--) {
      if (this.#run < this.#runs.length) this.#copyRun()
      else if (this.#shiftMs === 0 || !this.#shiftRecord()) return true
    }
    return false
  }

  #copyRun(): void {
    const run = this.#source.subarray(this.#runs[this.#run], this.#runs[this.#run + 1])
    this.#copied.set(run, this.#copiedAt)
    this.#copiedAt += run.length
    this.#run += 2
  }

  /** False when there is no further record. */
  #shiftRecord(): boolean {
    if (this.#spans === null) {
      this.#spans = new RecordSpans(this.#copied, this.#count)
      this.#shifted = new Uint8Array(this.#copied.length + this.#count * growthMax)
    }
    const spans = this.#spans
    if (!spans.next()) return false
    const delta = spans.timestampDelta + this.#shiftMs
    if (Math.abs(delta) > deltaMax) throw new RecordFormatError('a timestamp out of bounds')
    const rest = this.#copied.subarray(spans.behindTimestamp, spans.end)
    const body = 1 + varlongBytes(delta) + rest.length
    let at = writeVarint(this.#shifted, this.#shiftedAt, body)
    this.#shifted[at] = spans.attributes
    at = writeVarlong(this.#shifted, at + 1, delta)
    this.#shifted.set(rest, at)
    this.#shiftedAt = at + rest.length
    return true
  }
}
