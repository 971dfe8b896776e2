/**
 * What a file system stands on, as the kernel tells it under /sys: the device that is mounted, what that is mapped to, down to the
 * disks. `root` is `/`; tests lay out a host in a folder.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { textOf } from './host-text.ts'

export type DeviceKind = 'SD card' | 'eMMC' | 'NVMe' | 'SSD' | 'rotating disk' | 'virtual disk' | 'mapping' | 'memory'

export interface BlockDevice {
  /** `mmcblk0`, `dm-0`. */
  readonly name: string
  readonly kind: DeviceKind
  readonly model: string | null
  /** `LUKS2` and its like; null = this layer encrypts nothing. */
  readonly cipher: string | null
  /** Per cent of its rated writes that are used up, as an eMMC tells in steps of ten; null = it does not tell. */
  readonly wornPercent: number | null
  /** Reserved blocks of an eMMC are running out. */
  readonly isNearEnd: boolean
}

/** The devices under `number` (`major:minor`), the mounted one first. Empty when the kernel shows none, as for tmpfs. */
export function devicesUnder(number: string, root = '/'): BlockDevice[] {
  const found = new Map<string, BlockDevice>()
  const visit = (folder: string | null): void => {
    if (folder === null) return
    // A partition is a folder inside that of its disk.
    const whole = textOf(join(folder, 'partition')) === null ? folder : dirname(folder)
    if (found.has(whole)) return
    found.set(whole, describe(whole))
    for (const name of names(join(whole, 'slaves'))) visit(target(join(whole, 'slaves', name)))
  }
  visit(target(join(root, 'sys/dev/block', number)))
  return [...found.values()]
}

function describe(folder: string): BlockDevice {
  const name = basename(folder)
  const uuid = textOf(join(folder, 'dm/uuid'))
  return {
    name,
    kind: kindOf(name, folder),
    model: textOf(join(folder, 'device/model')) ?? textOf(join(folder, 'device/name')),
    cipher: uuid === null ? null : (/^CRYPT-([^-]+)/.exec(uuid)?.[1] ?? null),
    wornPercent: wornPercent(textOf(join(folder, 'device/life_time'))),
    isNearEnd: ['0x02', '0x03'].includes(textOf(join(folder, 'device/pre_eol_info')) ?? ''),
  }
}

function kindOf(name: string, folder: string): DeviceKind {
  if (name.startsWith('mmcblk')) return textOf(join(folder, 'device/type')) === 'MMC' ? 'eMMC' : 'SD card'
  if (name.startsWith('nvme')) return 'NVMe'
  if (/^(?:vd|xvd|nbd)/.test(name)) return 'virtual disk'
  if (/^(?:dm-|md|loop|bcache)/.test(name)) return 'mapping'
  if (/^(?:ram|zram)/.test(name)) return 'memory'
  return textOf(join(folder, 'queue/rotational')) === '1' ? 'rotating disk' : 'SSD'
}

/** eMMC: two estimates (for its two kinds of cells), 0x01 = up to 10 % used ... 0x0b = beyond its rating; JEDEC JESD84-B50, 7.4.24. */
function wornPercent(lifeTime: string | null): number | null {
  if (lifeTime === null) return null
  const steps = lifeTime.split(/\s+/).map(Number)
  const worst = Math.max(...steps)
  return Number.isInteger(worst) && worst > 0 ? worst * 10 : null
}

function target(link: string): string | null {
  try {
    return resolve(dirname(link), readlinkSync(link))
  } catch {
    return null
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
