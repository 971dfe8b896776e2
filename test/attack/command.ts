/** Which daemon is attacked: this checkout, or a copy of it with one deliberate bug. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../interop/headwater.ts'
import type { Mutant } from './mutants.ts'

let command: readonly string[] | null = null

/** Options for `startHeadwater`. */
export function daemonCommand(): { readonly command?: readonly string[] } {
  return command === null ? {} : { command }
}

/** From now on every daemon is started from a copy of the source, made in `folder`, with this bug. */
export function useMutant(folder: string, mutant: Mutant): void {
  const copy = join(folder, 'mutated')
  mkdirSync(copy)
  for (const part of ['src', 'tools', 'package.json'])
    cpSync(join(repositoryRoot, part), join(copy, part), { recursive: true })
  symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'))
  for (const { file, from, to } of mutant.edits) {
    const path = join(copy, file)
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (!text.includes(from)) throw new Error(`mutant ${mutant.name}: ${file} has no «${from}»`)
    writeFileSync(path, text.replace(from, to))
  }
  command = ['sh', join(copy, 'tools/with-node'), 'node', join(copy, 'src/main.ts')]
}
