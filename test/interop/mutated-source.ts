/** A copy of the source with one law broken on purpose, for suites that must notice it. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './headwater.ts'

export interface SourceMutant {
  readonly name: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

/** Makes the copy in `folder` and answers the command that runs it. Throws when the source has no such place any more. */
export function mutatedSource(folder: string, { name, edits }: SourceMutant): readonly string[] {
  const copy = join(folder, 'mutated')
  mkdirSync(copy)
  for (const part of ['src', 'tools', 'package.json'])
    cpSync(join(repositoryRoot, part), join(copy, part), { recursive: true })
  symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'))
  for (const { file, from, to } of edits) {
    const path = join(copy, file)
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (!text.includes(from)) throw new Error(`mutant ${name}: ${file} has no «${from}»`)
    writeFileSync(path, text.replaceAll(from, to))
  }
  return ['sh', join(copy, 'tools/with-node'), 'node', join(copy, 'src/main.ts')]
}
