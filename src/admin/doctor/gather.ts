/** Asks the host what `headwater doctor` judges. Nothing here changes anything but one small file that is gone again. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { spawnSync } from 'node:child_process'
import os from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { devicesUnder } from './block-devices.ts'
import { textOf } from './host-text.ts'
import { type HostFacts, settingNames } from './host-judgement.ts'
import { type Mount, mountOf, upperFolder } from './mounts.ts'
import type { StorageFacts } from './storage-judgement.ts'

/** What stands at the head of the report. */
export interface Inventory {
  readonly machine: string
  readonly system: string
  readonly processor: string
  readonly disks: readonly string[]
}

export function gatherStorage(dataDir: string): StorageFacts {
  const path = nearestFolder(resolve(dataDir))
  const mounts = textOf('/proc/self/mountinfo') ?? ''
  const mount = mountOf(path, mounts)
  const upperPath = mount === null ? null : upperFolder(mount)
  const upper = upperPath === null ? null : mountOf(upperPath, mounts)
  const facts = statfsSync(path)
  const { uid, mode } = statSync(path)
  return {
    path,
    exists: existsSync(dataDir),
    mount,
    upper,
    devices: mount === null ? [] : devicesUnder(deviceNumber(upper ?? mount)),
    isFolderEncrypted: isFolderEncrypted(path),
    bytes: { total: facts.blocks * facts.bsize, free: facts.bavail * facts.bsize },
    files: { total: facts.files, free: facts.ffree },
    owner: { uid, mode },
    uid: process.getuid?.() ?? 0,
  }
}

/** `folder`: where it is looked at how long a flush takes, `path` of the facts about the place. */
export async function gatherHost(folder: string): Promise<{ readonly host: HostFacts; readonly inventory: Inventory }> {
  const { inventory, failingDisks } = await takeInventory()
  const swaps = (textOf('/proc/swaps') ?? '').split('\n').slice(1)
  const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(textOf('/proc/self/limits') ?? '')?.[1]
  const setting = (name: string): number | null => {
    const value = textOf(join('/proc/sys', name.replaceAll('.', '/')))
    return value === null ? null : Number(value)
  }
  const host: HostFacts = {
    memoryBytes: os.totalmem(),
    swaps: swaps.map((line) => line.split(/\s/)[0] ?? '').filter((name) => name !== ''),
    openFiles: limit === undefined ? null : Number(limit),
    settings: Object.fromEntries(settingNames.map((name) => [name, setting(name)])) as HostFacts['settings'],
    clock: { hasChip: existsSync('/sys/class/rtc/rtc0'), keeper: keeperOfTime() },
    flushMs: measureFlushes(folder),
    failingDisks,
  }
  return { host, inventory }
}

function nearestFolder(path: string): string {
  let folder = path
  while (!existsSync(folder)) folder = dirname(folder)
  return realpathSync(folder)
}

/** Some file systems (btrfs) have a number of their own; their source is the device. */
function deviceNumber({ device, source }: Mount): string {
  if (!device.startsWith('0:') || !source.startsWith('/dev/') || !existsSync(source)) return device
  const { rdev } = statSync(source)
  // As glibc's major() and minor() take it apart.
  const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) & ~0xfff)
  const minor = (rdev & 0xff) | (Math.floor(rdev / 2 ** 12) & ~0xff & 0xffffffff)
  return `${major}:${minor}`
}

/** The flag that lsattr shows as E; null without lsattr, and where the file system knows no flags. */
function isFolderEncrypted(path: string): boolean | null {
  const { status, stdout } = spawnSync('lsattr', ['-d', path], { encoding: 'utf8', timeout: 5_000 })
  if (status !== 0) return null
  return stdout.split(' ')[0]?.includes('E') ?? null
}

/** Who keeps the time of this host, by the traces of those that are known. */
function keeperOfTime(): string | null {
  const traces = [
    ['systemd-timesyncd', '/run/systemd/timesync/synchronized'],
    ['chrony', '/run/chrony/chronyd.pid'],
    ['chrony', '/run/chronyd.pid'],
    ['ntpd', '/run/ntpd.pid'],
    ['ptp4l', '/run/ptp4l'],
  ] as const
  return traces.find(([, file]) => existsSync(file))?.[0] ?? null
}

const flushCount = 100

function measureFlushes(folder: string): number[] | null {
  const file = join(folder, `.headwater-doctor-${process.pid}`)
  const block = Buffer.alloc(4096, 0x2e)
  try {
    const descriptor = openSync(file, 'wx', 0o600)
    try {
      const times = Array.from({ length: flushCount }, () => {
        writeSync(descriptor, block)
        const startedAt = performance.now()
        fdatasyncSync(descriptor)
        return performance.now() - startedAt
      })
      return times.sort((a, b) => a - b)
    } finally {
      closeSync(descriptor)
      rmSync(file, { force: true })
    }
  } catch {
    return null
  }
}

/** By systeminformation: it asks a dozen programs, and those that are not there leave gaps. */
async function takeInventory(): Promise<{ readonly inventory: Inventory; readonly failingDisks: readonly string[] }> {
  const { default: information } = await import('systeminformation')
  const [system, release, cpu, disks] = await Promise.all([
    information.system(),
    information.osInfo(),
    information.cpu(),
    information.diskLayout(),
  ])
  const failing = disks.filter(({ smartStatus }) => /fail/i.test(smartStatus))
  return {
    inventory: {
      machine: words(system.manufacturer, system.model, system.virtual ? '(virtual)' : ''),
      system: words(release.distro, release.release, `Linux ${release.kernel}`, release.arch),
      processor: words(cpu.manufacturer, cpu.brand, `${os.availableParallelism()} cores`),
      disks: disks.map(({ device, type, name, size }) => words(device, type, name, `${(size / 1e9).toFixed(1)} GB`)),
    },
    failingDisks: failing.map(({ device, name }) => words(device, name)),
  }
}

function words(...all: readonly string[]): string {
  return all.filter((each) => each !== '' && each !== '-').join(' ')
}
