import { describe, expect, it } from 'vitest'
import type { BlockDevice } from '../../../src/admin/doctor/block-devices.ts'
import { type HostFacts, judgeHost } from '../../../src/admin/doctor/host-judgement.ts'
import type { Mount } from '../../../src/admin/doctor/mounts.ts'
import { judgeStorage, type StorageFacts } from '../../../src/admin/doctor/storage-judgement.ts'

const disk: BlockDevice = { name: 'sda', kind: 'SSD', model: null, cipher: null, wornPercent: null, isNearEnd: false }

const mount = (type: string, ...options: string[]): Mount => ({
  point: '/var/lib',
  device: '8:1',
  type,
  source: '/dev/sda1',
  options: new Set(options),
})

const goodPlace: StorageFacts = {
  path: '/var/lib/headwater',
  exists: true,
  mount: mount('ext4', 'rw', 'relatime'),
  upper: null,
  devices: [{ ...disk, cipher: 'LUKS2' }],
  isFolderEncrypted: null,
  bytes: { total: 1e10, free: 5e9 },
  files: { total: 1e6, free: 9e5 },
  owner: { uid: 900, mode: 0o40700 },
  uid: 900,
}

const goodHost: HostFacts = {
  memoryBytes: 2 ** 30,
  swaps: [],
  openFiles: 65_536,
  settings: { 'vm.dirty_bytes': 134_217_728, 'vm.dirty_background_bytes': 16_777_216, 'net.core.somaxconn': 4_096 },
  clock: { hasChip: true, keeper: 'chrony' },
  flushMs: [0.4, 0.5, 2],
  failingDisks: [],
}

/** Check and verdict of everything that is not well. */
const complaints = (place: Partial<StorageFacts>): string[] =>
  judgeStorage({ ...goodPlace, ...place }).flatMap(({ check, verdict }) =>
    verdict === 'ok' ? [] : [`${check} ${verdict}`],
  )
const hostComplaints = (host: Partial<HostFacts>): string[] =>
  judgeHost({ ...goodHost, ...host }).flatMap(({ check, verdict }) => (verdict === 'ok' ? [] : [`${check} ${verdict}`]))

describe('the doctor', () => {
  it('finds nothing wrong with a good place and a good host', () => {
    expect([...complaints({}), ...hostComplaints({})]).toEqual([])
  })

  it.each<[string, Partial<StorageFacts>, string[]]>([
    ['memory', { mount: mount('tmpfs', 'rw') }, ['file-system fault']],
    ['the network', { mount: mount('nfs4', 'rw') }, ['file-system fault']],
    ['a file system without a journal', { mount: mount('vfat', 'rw') }, ['file-system fault']],
    ['a file system that nobody has tried', { mount: mount('btrfs', 'rw') }, ['file-system note']],
    [
      "a container's layer in memory",
      { mount: mount('overlay', 'rw'), upper: mount('tmpfs', 'rw') },
      ['file-system fault'],
    ],
    [
      "a container's layer on a disk",
      { mount: mount('overlay', 'rw'), upper: mount('xfs', 'rw') },
      ['file-system warning'],
    ],
    ['ext4 without barriers', { mount: mount('ext4', 'relatime', 'nobarrier') }, ['mount-options fault']],
    ['ext4 without barriers, as the kernel writes it', { mount: mount('ext4', 'barrier=0') }, ['mount-options fault']],
    ['ext4 that is not ordered', { mount: mount('ext4', 'relatime', 'data=writeback') }, ['mount-options warning']],
    ['what is mounted for reading', { mount: mount('xfs', 'ro') }, ['mount-options fault']],
    ['f2fs as it comes', { mount: mount('f2fs', 'rw') }, ['file-system note', 'mount-options warning']],
    ['f2fs that is strict', { mount: mount('f2fs', 'rw', 'fsync_mode=strict') }, ['file-system note']],
    ['an SD card', { devices: [{ ...disk, kind: 'SD card', cipher: 'LUKS2' }] }, ['device warning']],
    ['a disk of a virtual machine', { devices: [{ ...disk, kind: 'virtual disk', cipher: 'LUKS2' }] }, ['device note']],
    ['a worn eMMC', { devices: [{ ...disk, cipher: 'LUKS2', wornPercent: 90 }] }, ['wear warning']],
    ['an eMMC beyond its rating', { devices: [{ ...disk, cipher: 'LUKS2', wornPercent: 110 }] }, ['wear fault']],
    ['a plain disk', { devices: [disk] }, ['encryption note']],
    ['a plain disk with fscrypt', { devices: [disk], isFolderEncrypted: true }, []],
    ['a disk that is nearly full', { bytes: { total: 1e10, free: 1e8 } }, ['space warning']],
    ['a disk that has no room', { bytes: { total: 1e10, free: 0 } }, ['space fault']],
    ['a disk without inodes', { files: { total: 1e6, free: 10 } }, ['space warning']],
    ['a folder that others may write', { owner: { uid: 900, mode: 0o40777 } }, ['data-directory warning']],
    ['a folder that others may read', { owner: { uid: 900, mode: 0o40755 } }, ['data-directory note']],
    ['the folder of somebody else', { uid: 1_000 }, ['data-directory warning']],
    ['no folder yet', { exists: false }, ['data-directory note']],
  ])('sees %s', (_, place, expected) => {
    expect(complaints(place)).toEqual(expected)
  })

  it.each<[string, Partial<HostFacts>, string[]]>([
    ['flushes that do nothing', { flushMs: [0.001, 0.002, 0.004] }, ['flush fault']],
    ['flushes that take long', { flushMs: [10, 20, 900] }, ['flush warning']],
    ['a folder that nobody may write', { flushMs: null }, ['flush warning']],
    ['a disk that foretells its end', { failingDisks: ['sda'] }, ['smart fault']],
    ['little memory', { memoryBytes: 2 ** 27 }, ['memory warning']],
    ['swapping to a disk', { swaps: ['/swapfile'] }, ['swap note']],
    ['swapping to memory', { swaps: ['/dev/zram0'] }, []],
    ['few open files', { openFiles: 1_024 }, ['open-files warning']],
    [
      'dirty pages by share of memory',
      { settings: { ...goodHost.settings, 'vm.dirty_bytes': 0 } },
      ['kernel-settings note'],
    ],
    ['nobody who keeps the time', { clock: { hasChip: false, keeper: null } }, ['clock warning']],
  ])('sees %s', (_, host, expected) => {
    expect(hostComplaints(host)).toEqual(expected)
  })

  it('says what to do about everything that it finds', () => {
    const findings = [
      ...judgeStorage({ ...goodPlace, mount: mount('tmpfs', 'ro'), devices: [] }),
      ...judgeHost({ ...goodHost, flushMs: null }),
    ]
    for (const { verdict, remedy } of findings) expect(remedy === null).toBe(verdict === 'ok')
  })
})
