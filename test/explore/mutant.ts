/** A deliberate bug of the log engine: it breaks one rule of durability, and some crash state must show it. */
export interface Mutant {
  readonly name: string
  /** The rule it breaks. */
  readonly breaks: string
  /** Another test that fails for it: what it breaks is no matter of crash states, or of too few. */
  readonly test?: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

export const edit = (file: string, from: string, to: string): Mutant['edits'] => [{ file: `src/${file}`, from, to }]
