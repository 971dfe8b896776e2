import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { devicesUnder } from '../../../src/admin/doctor/block-devices.ts'
import { mountOf, upperFolder } from '../../../src/admin/doctor/mounts.ts'

describe('the mount of a folder', () => {
  const mountInfo = [
    '22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw,barrier=0',
    '30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw,size=100k',
    '40 22 253:1 / /var/lib rw,relatime shared:9 master:2 - xfs /dev/mapper/data rw',
    '41 22 253:2 / /mnt/two\\040words rw - ext4 /dev/sdb1 rw,data=writeback',
    '50 22 0:40 / /box rw - overlay overlay rw,lowerdir=/a,upperdir=/var/lib/upper,workdir=/w',
    '60 40 8:1 / /var/lib rw - ext4 /dev/sda1 rw',
    '',
  ].join('\n')

  it('is the deepest one above it, and of two at one point the later', () => {
    expect(mountOf('/var/lib/headwater', mountInfo)).toMatchObject({ device: '8:1', type: 'ext4', source: '/dev/sda1' })
    expect(mountOf('/var/library', mountInfo)).toMatchObject({ device: '179:2', point: '/' })
    expect(mountOf('/run', mountInfo)?.type).toBe('tmpfs')
  })

  it('has the options of the mount and of the file system', () => {
    expect(mountOf('/srv', mountInfo)?.options).toEqual(new Set(['rw', 'noatime', 'barrier=0']))
  })

  it('is found by a point with a blank, which the kernel writes in octal', () => {
    expect(mountOf('/mnt/two words/x', mountInfo)?.source).toBe('/dev/sdb1')
  })

  it('says where an overlay keeps what is written', () => {
    const overlay = mountOf('/box/data', mountInfo)
    expect(overlay === null ? null : upperFolder(overlay)).toBe('/var/lib/upper')
  })
})

describe('the devices under a file system', () => {
  let root = ''
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'headwater-sys-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  /** Files under /sys/devices, and the links by which the kernel leads there. */
  function layOut(files: Record<string, string>, links: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      const file = join(root, 'sys/devices', name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${text}\n`)
    }
    for (const [name, to] of Object.entries(links)) {
      const link = join(root, 'sys', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(join(root, 'sys/devices', to), link)
    }
  }

  it('are an SD card under its partition', () => {
    layOut(
      {
        'mmc0/mmcblk0/device/type': 'SD',
        'mmc0/mmcblk0/device/name': 'SC32G',
        'mmc0/mmcblk0/mmcblk0p2/partition': '2',
      },
      { 'dev/block/179:2': 'mmc0/mmcblk0/mmcblk0p2' },
    )
    expect(devicesUnder('179:2', root)).toMatchObject([
      { name: 'mmcblk0', kind: 'SD card', model: 'SC32G', cipher: null },
    ])
  })

  it('are an eMMC that tells how worn it is', () => {
    layOut(
      {
        'mmcblk1/device/type': 'MMC',
        'mmcblk1/device/life_time': '0x02 0x09',
        'mmcblk1/device/pre_eol_info': '0x02',
      },
      { 'dev/block/179:0': 'mmcblk1' },
    )
    expect(devicesUnder('179:0', root)).toMatchObject([{ kind: 'eMMC', wornPercent: 90, isNearEnd: true }])
  })

  it('are a volume, the LUKS mapping that it is on, and the NVMe under both', () => {
    layOut(
      {
        'virtual/dm-1/dm/uuid': 'LVM-abc',
        'virtual/dm-0/dm/uuid': 'CRYPT-LUKS2-0123-root',
        'pci/nvme0n1/device/model': 'Fast 1',
        'pci/nvme0n1/nvme0n1p3/partition': '3',
      },
      {
        'dev/block/253:1': 'virtual/dm-1',
        'devices/virtual/dm-1/slaves/dm-0': 'virtual/dm-0',
        'devices/virtual/dm-0/slaves/nvme0n1p3': 'pci/nvme0n1/nvme0n1p3',
      },
    )
    expect(devicesUnder('253:1', root).map(({ name, kind, cipher }) => [name, kind, cipher])).toEqual([
      ['dm-1', 'mapping', null],
      ['dm-0', 'mapping', 'LUKS2'],
      ['nvme0n1', 'NVMe', null],
    ])
  })

  it('are none for a file system in memory', () => {
    expect(devicesUnder('0:26', root)).toEqual([])
  })
})
