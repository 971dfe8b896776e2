/** Is this a place for records? Rules of `headwater doctor` about file system, device and folder. */
import type { BlockDevice } from './block-devices.ts'
import { advice, type Finding, ok } from './findings.ts'
import type { Mount } from './mounts.ts'

export interface StorageFacts {
  /** The data directory, or the nearest folder above it that there is. */
  readonly path: string
  readonly exists: boolean
  readonly mount: Mount | null
  /** Under an overlay: what its writable layer is on. */
  readonly upper: Mount | null
  readonly devices: readonly BlockDevice[]
  /** The folder is encrypted by its file system (fscrypt); null = it does not say. */
  readonly isFolderEncrypted: boolean | null
  readonly bytes: { readonly total: number; readonly free: number }
  /** Zero in all: the file system has no bound on files. */
  readonly files: { readonly total: number; readonly free: number }
  readonly owner: { readonly uid: number; readonly mode: number }
  /** Whose files the daemon could write: the user that asks. */
  readonly uid: number
}

export function judgeStorage(facts: StorageFacts): Finding[] {
  const { mount } = facts
  if (mount === null) {
    return [advice('file-system', 'note', `which one holds ${facts.path} is not known`, 'Look at findmnt -T')]
  }
  return [
    judgeFolder(facts),
    judgeFileSystem(mount, facts.upper),
    judgeOptions(facts.upper ?? mount),
    judgeDevice(facts.devices),
    ...judgeWear(facts.devices),
    judgeEncryption(facts),
    judgeSpace(facts),
  ]
}

function judgeFolder({ path, exists, owner, uid }: StorageFacts): Finding {
  const check = 'data-directory'
  if (!exists) return advice(check, 'note', `not there yet; ${path} is looked at instead`, 'The first start makes it')
  if (owner.uid !== uid && uid !== 0) {
    const remedy = `Ask as the user of the daemon, or give it the folder: chown -R headwater ${path}`
    return advice(check, 'warning', `${path} belongs to user ${owner.uid}, who asks is user ${uid}`, remedy)
  }
  const mode = owner.mode & 0o777
  if ((mode & 0o077) === 0) return ok(check, `${path}, mode 0${mode.toString(8)}`)
  const found = `${path} has mode 0${mode.toString(8)}: others may look into it`
  return advice(check, (mode & 0o022) === 0 ? 'note' : 'warning', found, `chmod 0700 ${path}`)
}

const memoryTypes = new Set(['tmpfs', 'ramfs'])
const remoteTypes = new Set(['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'ceph', 'glusterfs'])
const knownTypes = new Set(['ext4', 'xfs'])
const foreignTypes = new Set(['vfat', 'exfat', 'ntfs', 'ntfs3', 'fuseblk'])

function judgeFileSystem(mount: Mount, upper: Mount | null): Finding {
  const check = 'file-system'
  const found = `${mount.type} of ${mount.source} at ${mount.point}`
  const elsewhere = 'Put dataDir on ext4 or xfs of a disk of this host'
  if (mount.type === 'overlay') {
    if (upper === null || memoryTypes.has(upper.type)) {
      return advice(check, 'fault', `${found}: what is written there is gone after a restart`, elsewhere)
    }
    return advice(check, 'warning', `${found}, over ${upper.type}: the layer of a container`, 'Mount a volume there')
  }
  if (memoryTypes.has(mount.type)) {
    return advice(check, 'fault', `${found}: in memory, gone after a restart`, elsewhere)
  }
  if (remoteTypes.has(mount.type)) {
    return advice(check, 'fault', `${found}: a flush there does not mean "on the disk of this host"`, elsewhere)
  }
  if (foreignTypes.has(mount.type)) {
    return advice(check, 'fault', `${found}: a power cut can break its tables, and renaming is not one step`, elsewhere)
  }
  if (knownTypes.has(mount.type)) return ok(check, found)
  const remedy = 'ext4 and xfs are what power cuts are tried on; ext4 is a good choice'
  return advice(check, 'note', `${found}: not tried with power cuts`, remedy)
}

/** safety rules of ext4(5), xfs(5) and the kernel's f2fs document. */
function judgeOptions({ type, options, point }: Mount): Finding {
  const check = 'mount-options'
  const found = (option: string): string => `${point} is mounted with ${option}`
  if (options.has('ro')) return advice(check, 'fault', found('ro'), `mount -o remount,rw ${point}`)
  for (const option of ['nobarrier', 'barrier=0']) {
    if (!options.has(option)) continue
    return advice(check, 'fault', `${found(option)}: flushes stop at the cache of the disk`, 'Remove the option')
  }
  if (options.has('data=writeback')) {
    const remedy = 'Mount with data=ordered, the default'
    return advice(
      check,
      'warning',
      `${found('data=writeback')}: after a power cut files may hold what was never in them`,
      remedy,
    )
  }
  if (type === 'f2fs' && !options.has('fsync_mode=strict')) {
    const lighter = [...options].find((option) => option.startsWith('fsync_mode=')) ?? 'fsync_mode=posix'
    return advice(check, 'warning', `${found(lighter)}: names of new files may be lost`, 'Mount with fsync_mode=strict')
  }
  if (type === 'ext4' && !options.has('noatime') && !options.has('relatime')) {
    return advice(check, 'note', found('times of access'), 'Mount with relatime: reading need not write')
  }
  return ok(check, [...options].sort().join(','))
}

function judgeDevice(devices: readonly BlockDevice[]): Finding {
  const check = 'device'
  const disks = devices.filter(({ kind }) => kind !== 'mapping')
  const found = disks
    .map(({ name, kind, model }) => `${name} (${kind}${model === null ? '' : `, ${model}`})`)
    .join(', ')
  if (disks.length === 0) {
    const seen =
      devices.length === 0 ? 'the kernel shows none' : `only a mapping: ${devices.map(({ name }) => name).join(', ')}`
    return advice(check, 'note', seen, 'Look at lsblk -s and losetup -l')
  }
  if (disks.some(({ kind }) => kind === 'SD card')) {
    const remedy =
      'Some cards acknowledge a flush and lose it: try yours with headwater doctor --power-cut, prefer eMMC or an SSD, take an industrial card otherwise'
    return advice(check, 'warning', found, remedy)
  }
  if (disks.some(({ kind }) => kind === 'virtual disk')) {
    const remedy = 'A flush is as good as the host makes it: no cache mode "unsafe" there'
    return advice(check, 'note', found, remedy)
  }
  if (disks.some(({ kind }) => kind === 'memory')) {
    return advice(check, 'fault', `${found}: in memory, gone after a restart`, 'Put dataDir on a disk')
  }
  return ok(check, found)
}

function judgeWear(devices: readonly BlockDevice[]): Finding[] {
  const check = 'wear'
  return devices.flatMap(({ name, wornPercent, isNearEnd }) => {
    if (wornPercent === null && !isNearEnd) return []
    const found = `${name} has used ${wornPercent === null ? 'most' : wornPercent > 100 ? 'all' : `up to ${wornPercent} %`} of its rated writes`
    if (!isNearEnd && (wornPercent ?? 0) <= 80) return [ok(check, found)]
    const isOver = (wornPercent ?? 0) > 100
    return [advice(check, isOver ? 'fault' : 'warning', found, 'Replace it soon: stop the daemon, copy dataDir')]
  })
}

function judgeEncryption({ mount, devices, isFolderEncrypted }: StorageFacts): Finding {
  const check = 'encryption'
  const layer = devices.find(({ cipher }) => cipher !== null)
  if (layer !== undefined) return ok(check, `${layer.cipher} (${layer.name})`)
  if (isFolderEncrypted === true) return ok(check, `fscrypt, by ${mount?.type ?? 'the file system'}`)
  const found =
    isFolderEncrypted === null
      ? 'no encrypted device under it; whether the folder is encrypted its file system does not say'
      : 'none: who carries the disk away reads it'
  return advice(check, 'note', found, 'LUKS or fscrypt, see "Encryption at rest" in docs/security.md')
}

/** Below this share free, of bytes or of files, a file system slows down and soon refuses. */
const leastFree = 0.05

function judgeSpace({ bytes, files }: StorageFacts): Finding {
  const check = 'space'
  const freeFiles = files.total === 0 ? 1 : files.free / files.total
  const freeBytes = bytes.total === 0 ? 0 : bytes.free / bytes.total
  const found = `${(freeBytes * 100).toFixed(0)} % of ${(bytes.total / 1e9).toFixed(1)} GB free, ${(freeFiles * 100).toFixed(0)} % of the files`
  if (freeBytes >= leastFree && freeFiles >= leastFree) return ok(check, found)
  const remedy = 'Give it room, or less to keep: retention of topics, disk.budget'
  return advice(check, freeBytes === 0 || freeFiles === 0 ? 'fault' : 'warning', found, remedy)
}
