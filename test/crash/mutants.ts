/** Deliberate bugs: each breaks one law in a copy of the source, and the checker must notice. */
export interface Mutant {
  readonly name: string
  /** The law it breaks. */
  readonly breaks: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

export const mutants: readonly Mutant[] = []
