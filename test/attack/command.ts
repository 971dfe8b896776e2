/** The daemons under attack: of this checkout, or of a copy of it with one deliberate bug. Each is ended with its group at the latest. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type HeadwaterOptions,
  repositoryRoot,
  type RunningHeadwater,
  sourceCommand,
  startHeadwater,
} from '../interop/headwater.ts'
import type { Mutant } from './mutants.ts'

let command: readonly string[] = sourceCommand
const running = new Set<RunningHeadwater>()

/** The words before `start`. */
export function daemonCommand(): readonly string[] {
  return command
}

/** Starts a daemon and waits for its ready line. */
export async function startDaemon(options: HeadwaterOptions): Promise<RunningHeadwater> {
  const daemon = await startHeadwater({ command, ...options })
  running.add(daemon)
  void daemon.exited.then(() => running.delete(daemon))
  return daemon
}

/** Ends what a row that failed has left. */
export async function killDaemons(dataDirs: string): Promise<void> {
  for (const daemon of running) if (daemon.readyLine.includes(`data=${dataDirs}`)) await daemon.kill()
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
