/** C programs of the bench, compiled when needed into `.cache/bench`. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../test/interop/headwater.ts'
import { run } from './measure.ts'

/** Path of the compiled `bench/programs/<name>.c`. */
export async function compiled(name: string): Promise<string> {
  const source = join(repositoryRoot, 'bench/programs', `${name}.c`)
  const folder = join(repositoryRoot, '.cache/bench')
  const binary = join(folder, name)
  mkdirSync(folder, { recursive: true })
  if (!existsSync(binary) || statSync(binary).mtimeMs < statSync(source).mtimeMs) {
    await run('gcc', ['-O2', '-Wall', '-o', binary, source])
  }
  return binary
}
