/** One comparison: figures of ours and of a peer, taken in alternation in the same run, and their ratio. */
export interface Comparison {
  readonly name: string
  readonly unit: string
  /** One figure a round. */
  readonly ours: readonly number[]
  readonly peer: readonly number[]
  readonly peerName: string
  /** What to reach for the ratio of the medians, ours / peer. */
  readonly reach: { readonly atLeast: number } | { readonly atMost: number } | null
  /** How it is known that the generator was not the limit, and other remarks. */
  readonly note?: string
}

/** A figure of ours alone. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly value: number
  readonly reach: { readonly atLeast: number } | { readonly atMost: number } | null
  readonly note?: string
}

export interface BenchContext {
  /** A folder for this case; removed afterwards. */
  readonly folder: string
  readonly rounds: number
  /** 1 = the full sizes; smaller for a quick look. */
  readonly scale: number
}

export interface BenchCase {
  readonly name: string
  /** Why it cannot run here, in one line; null when it can. */
  missing(): string | null
  run(
    context: BenchContext,
  ): Promise<{ readonly comparisons?: readonly Comparison[]; readonly figures?: readonly Figure[] }>
}
