/**
 * Which parts of a log cannot be trusted: ranges of offsets, each with the bytes of the file that hold them. A range is refused to
 * readers; what lies before and behind it is served. Kept in memory only: a start, a reader or the scrub finds a damage again.
 */

export interface DamagedRange {
  readonly fromOffset: number
  /** Exclusive. Equal to `fromOffset` when only bytes between two batches are bad. */
  readonly endOffset: number
  /** The segment file. */
  readonly path: string
  readonly position: number
  /** Exclusive: where the next good batch begins, or the end of the file. */
  readonly endPosition: number
  readonly reason: string
}

/** Ranges of one log; beyond it a new one is joined with the one before it. A medium with more is beyond repair. */
const rangesMax = 256

export class DamageMap {
  /** By offset, then position. */
  #ranges: DamagedRange[] = []

  get ranges(): readonly DamagedRange[] {
    return this.#ranges
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** The range that holds the offset, or null. */
  at(offset: number): DamagedRange | null {
    return this.#ranges.find((range) => offset >= range.fromOffset && offset < range.endOffset) ?? null
  }

  /** The range of a file that holds the position, or null. */
  inFile(path: string, position: number): DamagedRange | null {
    const holds = (range: DamagedRange): boolean =>
      range.path === path && position >= range.position && position < range.endPosition
    return this.#ranges.find(holds) ?? null
  }

  /** Where the next range of a file begins behind the position. */
  nextInFile(path: string, position: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const range of this.#ranges) {
      if (range.path === path && range.position > position) next = Math.min(next, range.position)
    }
    return next
  }

  touches(path: string): boolean {
    return this.#ranges.some((range) => range.path === path)
  }

  /** What has been found in a file takes the place of what was known of it. Answers the ranges that are new. */
  replace(path: string, found: readonly DamagedRange[]): readonly DamagedRange[] {
    const known = this.#ranges.filter((range) => range.path === path)
    const news = found.filter((range) => !known.some((old) => isSame(old, range)))
    const others = this.#ranges.filter((range) => range.path !== path)
    this.#ranges = joined([...others, ...found].sort((a, b) => a.fromOffset - b.fromOffset || a.position - b.position))
    return news
  }

  /** Nothing below the offset is of interest any more. */
  forgetBelow(offset: number): void {
    this.#ranges = this.#ranges.filter((range) => range.endOffset > offset)
  }
}

function isSame(a: DamagedRange, b: DamagedRange): boolean {
  return a.fromOffset === b.fromOffset && a.endOffset === b.endOffset && a.position === b.position
}

function joined(ranges: DamagedRange[]): DamagedRange[] {
  while (ranges.length > rangesMax) {
    const last = ranges.pop() as DamagedRange
    const before = ranges.pop() as DamagedRange
    const position = before.path === last.path ? before.position : 0
    ranges.push({ ...last, position, fromOffset: before.fromOffset })
  }
  return ranges
}
