/** Deliberate bugs: each breaks one promise in a copy of the source, and the rows it names must notice. */
export interface Mutant {
  readonly name: string
  /** Words that choose the rows that must notice. */
  readonly rows: readonly string[]
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

export const mutants: readonly Mutant[] = []
