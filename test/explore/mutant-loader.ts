/**
 * Loads the explorer with a deliberate bug in the sources: modules asked for with `?mutant=NAME` are loaded once more under that name,
 * and so is everything of ours that they import, with the mutant's text put in. Nothing is written, and many mutants fit in one process.
 */
import { registerHooks } from 'node:module'
import type * as explorer from './explorer.ts'
import { mutateLoaded, root } from './mutant-text.ts'
import type { Mutant } from './mutant.ts'
import { mutants } from './mutants.ts'

type Explorer = typeof explorer

const mark = '?mutant='

const byName = new Map(mutants.map((mutant) => [mutant.name, mutant]))
let areHooksSet = false

/** The explorer over sources with this mutant's bug. Throws when the text that it breaks is not there. */
export async function explorerWith(mutant: Mutant): Promise<Explorer> {
  setHooks()
  return (await import(`./explorer.ts${mark}${mutant.name}`)) as Explorer
}

function setHooks(): void {
  if (areHooksSet) return
  areHooksSet = true
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context)
      const name = nameOf(context.parentURL ?? '')
      const isOurs = resolved.url.startsWith(root) && !resolved.url.includes('/node_modules/')
      return name === null || !isOurs || resolved.url.includes(mark)
        ? resolved
        : { ...resolved, url: `${resolved.url}${mark}${name}` }
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const mutant = byName.get(nameOf(url) ?? '')
      return mutant === undefined ? loaded : mutateLoaded(mutant, url, loaded)
    },
  })
}

function nameOf(url: string): string | null {
  const at = url.indexOf(mark)
  return at < 0 ? null : url.slice(at + mark.length)
}
