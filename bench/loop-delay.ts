/** Asks a daemon how long its event loop was blocked at most; see programs/loop-delay.mjs. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../test/interop/headwater.ts'
import { settled } from './load.ts'

export interface LoopDelay {
  readonly maxMs: number
  readonly p999Ms: number
  readonly p99Ms: number
}

/** Environment of a daemon that can be asked. */
export function loopDelayEnvironment(file: string): Readonly<Record<string, string>> {
  return {
    NODE_OPTIONS: `--import ${join(repositoryRoot, 'bench/programs/loop-delay.mjs')}`,
    LOOP_DELAY_FILE: file,
  }
}

/** The blocks since the last call, or the start. */
export async function takeLoopDelay(pid: number, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await settled(10)) {
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as LoopDelay
  }
  throw new Error('the daemon does not tell how long its loop was blocked')
}
