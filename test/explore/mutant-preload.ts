/** Imported by a test's process ahead of everything else, as `mutant-preload.ts?NAME`: its sources get the bug of this mutant as Node loads them. */
import { registerHooks } from 'node:module'
import { mutateLoaded } from './mutant-text.ts'
import { mutants } from './mutants.ts'

const name = new URL(import.meta.url).search.slice(1)
const mutant = mutants.find((each) => each.name === name)
if (mutant === undefined) throw new Error(`no mutant ${name}`)

registerHooks({ load: (url, context, nextLoad) => mutateLoaded(mutant, url, nextLoad(url, context)) })
