/** What a birth says of its metrics: messages after it call them by their aliases and leave their data types out (6.4.6). */
export interface KnownMetric {
  /** As JSON text. */
  readonly nameJson: string
  /** 0 = the birth does not say. */
  readonly dataType: number
  /** Of a Template. */
  readonly members: BirthNames | null
}

/** Aliases are 64 bits: a bigint stands where a number would not be exact. */
export interface BirthNames {
  readonly byAlias: ReadonlyMap<number | bigint, KnownMetric>
  readonly byName: ReadonlyMap<string, KnownMetric>
  /** What they take in memory, about. */
  readonly sizeBytes: number
}

export const noBirthNames: BirthNames = { byAlias: new Map(), byName: new Map(), sizeBytes: 0 }
