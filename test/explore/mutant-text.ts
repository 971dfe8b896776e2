/** Puts the text of a mutant into a source. */
import type { Mutant } from './mutant.ts'

/** The source of this file with the bug in it. Throws when the text that it breaks is not there. */
export function mutate(mutant: Mutant, file: string, source: string): string {
  let mutated = source
  for (const { from, to } of mutant.edits.filter((edit) => edit.file === file)) {
    if (!mutated.includes(from)) throw new Error(`mutant ${mutant.name}: ${file} has no «${from}»`)
    mutated = mutated.replace(from, () => to)
  }
  return mutated
}
