/** Behind `headwater recover confirm`: lets retention and compaction go on after the metadata was rebuilt. */
import type { Disk } from './base/ports.ts'
import type { ApplianceConfig } from './config.ts'
import { readSmall } from './log/load-parts.ts'
import { stateFileNames } from './log/side-files.ts'

/** Removes the hold, also under a running daemon, which notices within seconds. Answers its reason; null = nothing was held. */
export async function confirmRecovery(config: Pick<ApplianceConfig, 'dataDir'>, disk: Disk): Promise<string | null> {
  const folder = `${config.dataDir}/state`
  const path = `${folder}/${stateFileNames.recoveryHold}`
  const bytes = await readSmall(disk, path, 4_096)
  if (bytes === null) return null
  await disk.submit([
    { kind: 'unlink', path },
    { kind: 'syncDirectory', path: folder },
  ])
  return Buffer.from(bytes).toString('utf8').trim()
}
