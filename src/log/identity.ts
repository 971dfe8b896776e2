/**
 * Who a data directory belongs to: Kafka's `meta.properties` (version 1) with the cluster, the node and the directory id, kept
 * twice, so that the loss of one stops nothing. The comment in its first line carries a CRC of the rest: a damaged file gives way to
 * its copy, while two whole ones that differ are two directories put together, and refused.
 */
import { crc32c } from '../base/crc32c.ts'
import { ApplianceError } from '../base/errors.ts'
import { uuidToString } from '../base/ids.ts'
import type { Disk, Entropy, Observer } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { parseProperties } from './checkpoint-file.ts'
import { logErrors } from './log-errors.ts'
import { logEvents } from './log-events.ts'
import { readSmall } from './load-parts.ts'
import { isSpaceError } from './patient-disk.ts'

export interface Identity {
  readonly clusterId: string
  readonly nodeId: number
  /** Base64url, as PartitionRecords name it. */
  readonly directoryId: string
}

export interface IdentityPlace {
  readonly logDirectory: string
  readonly stateDirectory: string
  /** Folders with logs exist. */
  readonly hasLogs: boolean
  readonly nodeId: number
  /** Asked for; null = whatever the directory says, or a new one. */
  readonly clusterId: string | null
}

export interface IdentityPorts {
  readonly disk: Disk
  readonly entropy: Entropy
  readonly observer: Observer
}

const bytesMax = 65_536
const fileName = 'meta.properties'

/** Reads the identity, restores a lost copy, or gives a new directory one. Throws an ApplianceError for a directory of others. */
export async function openIdentity(
  place: IdentityPlace,
  ports: IdentityPorts,
): Promise<{ readonly identity: Identity; readonly isNew: boolean }> {
  const { disk, observer } = ports
  const path = `${place.logDirectory}/${fileName}`
  const copyPath = `${place.stateDirectory}/${fileName}`
  const main = await readSmall(disk, path, bytesMax)
  const copy = await readSmall(disk, copyPath, bytesMax)
  const found = parseIdentity(main, place)
  const copied = parseIdentity(copy, place)
  const spare = found === null ? copied : null
  if (spare !== null) observer.event(logEvents.identityRestored, {})
  else if (found === null && place.hasLogs) observer.event(logEvents.identityLost, {})
  const identity = found ?? spare ?? newIdentity(place, ports.entropy)
  checkOwner(identity, place)
  if (found !== null && copied !== null) checkSame(found, copied, place)
  const bytes = formatIdentity(identity)
  const restore = async (file: string, directory: string): Promise<void> => {
    try {
      await disk.submit([...replaceFile(file, bytes), { kind: 'syncDirectory', path: directory }])
    } catch (thrown) {
      // One is left: the other is restored when there is room.
      if (!isSpaceError(thrown) || (found ?? spare) === null) throw thrown
    }
  }
  if (found === null) await restore(path, place.logDirectory)
  if (copied === null) await restore(copyPath, place.stateDirectory)
  return { identity, isNew: found === null && spare === null && !place.hasLogs }
}

/** The text of `meta.properties`, version 1. */
export function formatIdentity(identity: Identity): Uint8Array {
  const lines = [
    `cluster.id=${identity.clusterId}`,
    `directory.id=${identity.directoryId}`,
    `node.id=${identity.nodeId}`,
    'version=1',
    '',
  ]
  const properties = lines.join('\n')
  return Buffer.from(`# crc32c ${crcOf(properties)}\n${properties}`)
}

function crcOf(properties: string): string {
  return crc32c(Buffer.from(properties)).toString(16).padStart(8, '0')
}

/** False when the first line carries a CRC that is not that of the rest. A file that Apache Kafka wrote has none. */
export function isWholeIdentity(text: string): boolean {
  const seal = /^# crc32c ([0-9a-f]{8})\n/.exec(text)
  return seal === null || seal[1] === crcOf(text.slice(seal[0].length))
}

/** Null for a missing or torn file; throws for a newer format. */
function parseIdentity(bytes: Uint8Array | null, place: IdentityPlace): Identity | null {
  if (bytes === null || !isWholeIdentity(Buffer.from(bytes).toString('utf8'))) return null
  const properties = parseProperties(bytes)
  const version = Number(properties.get('version') ?? Number.NaN)
  if (Number.isInteger(version) && version > 1) {
    throw new ApplianceError(logErrors.newerFormat, { path: place.logDirectory, found: version })
  }
  const clusterId = properties.get('cluster.id')
  const nodeId = Number(properties.get('node.id') ?? Number.NaN)
  const directoryId = properties.get('directory.id')
  if (version !== 1 || clusterId === undefined || !Number.isInteger(nodeId)) return null
  if (directoryId === undefined || !/^[A-Za-z0-9_-]{22}$/.test(directoryId)) return null
  return { clusterId, nodeId, directoryId }
}

function newIdentity(place: IdentityPlace, entropy: Entropy): Identity {
  return { clusterId: place.clusterId ?? newUuid(entropy), nodeId: place.nodeId, directoryId: newUuid(entropy) }
}

/** A random UUID in Kafka's form; like Kafka's own, none that begins with a dash (it would look like an option). */
export function newUuid(entropy: Entropy): string {
  for (;;) {
    const bytes = entropy.bytes(16).slice()
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
    const text = uuidToString(bytes)
    if (!text.startsWith('-')) return text
  }
}

function checkOwner(identity: Identity, place: IdentityPlace): void {
  const path = place.logDirectory
  if (place.clusterId !== null && identity.clusterId !== place.clusterId) {
    throw new ApplianceError(logErrors.otherCluster, { path, found: identity.clusterId, expected: place.clusterId })
  }
  if (identity.nodeId !== place.nodeId) {
    throw new ApplianceError(logErrors.otherNode, { path, found: identity.nodeId, expected: place.nodeId })
  }
}

/** The journal and the recovery points of one directory say nothing about the logs of another. */
function checkSame(found: Identity, copied: Identity, place: IdentityPlace): void {
  const path = place.logDirectory
  if (found.clusterId !== copied.clusterId) {
    throw new ApplianceError(logErrors.otherCluster, { path, found: found.clusterId, expected: copied.clusterId })
  }
  if (found.directoryId !== copied.directoryId || found.nodeId !== copied.nodeId) {
    throw new ApplianceError(logErrors.mixedDirectories, {
      path,
      found: `${found.directoryId} (node ${found.nodeId})`,
      expected: `${copied.directoryId} (node ${copied.nodeId})`,
      state: place.stateDirectory,
    })
  }
}
