/** The daemons under attack: of this checkout, or of a copy of it with one deliberate bug. Each is ended with its group at the latest. */
import { type HeadwaterOptions, type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { mutatedSource } from '../interop/mutated-source.ts'
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
  command = mutatedSource(folder, mutant)
}
