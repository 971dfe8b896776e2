/** Behind `headwater recover confirm`: lets retention and compaction go on after the metadata was rebuilt. */
import { ApplianceError } from './base/errors.ts'
import type { Disk } from './base/ports.ts'
import { holdReason } from './cluster/recovery-hold.ts'
import type { ApplianceConfig } from './config.ts'
import { configErrors } from './config-errors.ts'
import { readSmall } from './log/load-parts.ts'
import { stateFileNames } from './log/side-files.ts'

/** Removes the hold, also under a running daemon, which notices within seconds. Answers its reason; null = nothing was held. Throws DATA_DIR_EMPTY. */
export async function confirmRecovery(config: Pick<ApplianceConfig, 'dataDir'>, disk: Disk): Promise<string | null> {
  const folder = `${config.dataDir}/state`
  const path = `${folder}/${stateFileNames.recoveryHold}`
  if ((await disk.size(path)) === null) {
    // A misspelt directory holds nothing either, and would be confirmed in vain.
    const identity = await readSmall(disk, `${config.dataDir}/log/meta.properties`, 65_536)
    if (identity === null) throw new ApplianceError(configErrors.dataDirEmpty, { path: config.dataDir })
    return null
  }
  const reason = holdReason(await readSmall(disk, path, 4_096)) ?? 'its reason cannot be read'
  await disk.submit([
    { kind: 'unlink', path },
    { kind: 'syncDirectory', path: folder },
  ])
  return reason
}
