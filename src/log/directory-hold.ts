/** Takes hold of a data directory: its folders, the lock, the identity, and whether the last stop was clean. */
import { ApplianceError, asError } from '../base/errors.ts'
import type { DiskError, DiskOperation, Ports, RefusedPath } from '../base/ports.ts'
import { formatCleanShutdown, parseCleanShutdown } from './checkpoint-file.ts'
import { type Identity, openIdentity } from './identity.ts'
import { logErrors } from './log-errors.ts'
import { parseLogName } from './log-files.ts'
import { readSmall } from './load-parts.ts'
import { isSpaceError } from './patient-disk.ts'
import { logFileNames, stateFileNames } from './side-files.ts'

export interface HeldDirectory {
  readonly logDirectory: string
  readonly stateDirectory: string
  readonly identity: Identity
  readonly isNew: boolean
  /** Broker epoch of the marker of a clean stop; null = there is none. */
  readonly brokerEpoch: number | null
  release(): Promise<void>
}

export function journalPathOf({ stateDirectory }: HeldDirectory): string {
  return `${stateDirectory}/${stateFileNames.journal}`
}

/** Throws an ApplianceError when the directory cannot be made, is locked, or belongs to others. */
export async function holdDirectory(
  options: { readonly dataDir: string; readonly nodeId: number; readonly clusterId?: string },
  ports: Ports,
): Promise<HeldDirectory> {
  const { disk } = ports
  const { dataDir } = options
  const logDirectory = `${dataDir}/log`
  const stateDirectory = `${dataDir}/state`
  const lock = await attempt(dataDir, async () => {
    await disk.submit([
      { kind: 'makeDirectory', path: logDirectory },
      { kind: 'makeDirectory', path: stateDirectory },
      { kind: 'syncDirectory', path: dataDir },
      { kind: 'syncDirectory', path: parentOf(dataDir) },
    ])
    return disk.lock(`${logDirectory}/${logFileNames.lock}`)
  })
  if (!lock.held) {
    throw new ApplianceError(logErrors.directoryLocked, { path: dataDir, holder: lock.holder ?? 'unknown' })
  }
  try {
    await attempt(dataDir, () =>
      disk.submit([...writeProbe(logDirectory), ...writeProbe(stateDirectory)]).catch((thrown: unknown) => {
        // A full one is served until there is room.
        if (!isSpaceError(thrown)) throw thrown
      }),
    )
    const entries = await disk.list(logDirectory)
    const hasLogs = entries.some((entry) => entry.isDirectory && parseLogName(entry.name) !== null)
    const place = {
      logDirectory,
      stateDirectory,
      hasLogs,
      nodeId: options.nodeId,
      clusterId: options.clusterId ?? null,
    }
    const { identity, isNew } = await attempt(dataDir, () => openIdentity(place, ports))
    const brokerEpoch = parseCleanShutdown(await readSmall(disk, `${logDirectory}/${logFileNames.cleanShutdown}`, 4096))
    // Who was killed behind its removal may have left it on the medium: a start that comes after this one must not find it there again.
    if (brokerEpoch === null) await disk.submit([{ kind: 'syncDirectory', path: logDirectory }])
    return { logDirectory, stateDirectory, identity, isNew, brokerEpoch, release: () => lock.release() }
  } catch (thrown) {
    await lock.release()
    throw thrown
  }
}

/** The marker of a clean stop, written last (safety.md R5). */
export function cleanShutdownWrites(logDirectory: string, brokerEpoch: number): readonly DiskOperation[] {
  const path = `${logDirectory}/${logFileNames.cleanShutdown}`
  return [
    { kind: 'writeFile', path, bytes: formatCleanShutdown(brokerEpoch) },
    { kind: 'sync', path },
    { kind: 'syncDirectory', path: logDirectory },
  ]
}

/** The marker of a clean stop goes for good, before anything is appended (safety.md R5). */
export function markerRemoval(logDirectory: string): readonly DiskOperation[] {
  return [
    { kind: 'unlink', path: `${logDirectory}/${logFileNames.cleanShutdown}` },
    { kind: 'syncDirectory', path: logDirectory },
  ]
}

/** A folder that takes no files is refused now, not at the first checkpoint. The name is one that a start would write anyway. */
function writeProbe(folder: string): readonly DiskOperation[] {
  const path = `${folder}/${logFileNames.identity}.tmp`
  return [
    { kind: 'writeFile', path, bytes: new Uint8Array(0) },
    { kind: 'unlink', path },
  ]
}

async function attempt<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (thrown) {
    if (thrown instanceof ApplianceError) throw thrown
    const error = asError(thrown)
    throw new ApplianceError(logErrors.directoryUnusable, { path, reason: error.message }, { cause: error })
  }
}

/** At least one of what may not be written to. */
export function refusedFiles(refused: readonly RefusedPath[]): ApplianceError {
  const { path = '', code: reason = '' } = refused[0] ?? {}
  return new ApplianceError(logErrors.filesRefused, { files: refused.length, path, reason })
}

/** Why a directory cannot be opened that has met this failure of the disk. */
export function openFailure(path: string, error: DiskError): ApplianceError {
  if (error.code === 'EACCES' || error.code === 'EPERM') return refusedFiles([error])
  return new ApplianceError(logErrors.directoryUnusable, { path, reason: error.message }, { cause: error })
}

function parentOf(path: string): string {
  const at = path.lastIndexOf('/')
  return at <= 0 ? '/' : path.slice(0, at)
}
