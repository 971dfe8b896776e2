/** Puts the text of a mutant into a source. */
import type { LoadFnOutput } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Mutant } from './mutant.ts'

/** The address of this checkout. */
export const root = pathToFileURL(join(import.meta.dirname, '..', '..', '/')).href

/** What Node has loaded from there, with the bug in it where the mutant has one. Throws when the text that it breaks is not there. */
export function mutateLoaded(mutant: Mutant, url: string, loaded: LoadFnOutput): LoadFnOutput {
  const file = url.slice(root.length).replace(/\?.*$/, '')
  const edits = mutant.edits.filter((edit) => edit.file === file)
  if (edits.length === 0 || !url.startsWith(root)) return loaded
  let source = String(loaded.source)
  for (const { from, to } of edits) {
    if (!source.includes(from)) throw new Error(`mutant ${mutant.name}: ${file} has no «${from}»`)
    source = source.replace(from, () => to)
  }
  return { ...loaded, source }
}
