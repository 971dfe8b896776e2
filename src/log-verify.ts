/** Behind `headwater log verify`: looks through a stopped data directory without changing it. */
import { ApplianceError, asError } from './base/errors.ts'
import type { Disk, LockOutcome } from './base/ports.ts'
import type { ApplianceConfig } from './config.ts'
import { type CheckSummary, checkDirectory, type Finding } from './log/directory-check.ts'
import { logErrors } from './log/log-errors.ts'
import { logFileNames } from './log/side-files.ts'

/** Throws an ApplianceError when there is no log, or while another process has it. */
export async function verifyLog(
  config: Pick<ApplianceConfig, 'dataDir'>,
  disk: Disk,
  tell: (finding: Finding) => void,
): Promise<CheckSummary> {
  const path = config.dataDir
  const place = { logDirectory: `${path}/log`, stateDirectory: `${path}/state` }
  const entries = await disk.list(place.logDirectory).catch((thrown: unknown) => {
    throw new ApplianceError(logErrors.directoryUnusable, { path, reason: asError(thrown).message })
  })
  if (entries.length === 0) throw new ApplianceError(logErrors.directoryUnusable, { path, reason: 'it holds no log' })
  // A medium that is mounted read-only has no lock, and nobody to write to it.
  const lock: LockOutcome = await disk
    .lock(`${place.logDirectory}/${logFileNames.lock}`)
    .catch((): LockOutcome => ({ held: true, release: () => Promise.resolve() }))
  if (!lock.held) throw new ApplianceError(logErrors.directoryLocked, { path, holder: lock.holder ?? 'unknown' })
  try {
    return await checkDirectory(place, disk, tell)
  } finally {
    await lock.release()
  }
}
