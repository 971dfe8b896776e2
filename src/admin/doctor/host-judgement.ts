/** Is this a host for the daemon? Rules of `headwater doctor` about memory, limits, kernel, clock and the time of a flush. */
import { advice, type Finding, ok } from './findings.ts'

export interface HostFacts {
  readonly memoryBytes: number
  /** Devices and files that memory is swapped to, as /proc/swaps names them. */
  readonly swaps: readonly string[]
  /** Hard limit of open files of who asks; null = none. */
  readonly openFiles: number | null
  /** Values under /proc/sys; null = not told. */
  readonly settings: Readonly<Record<keyof typeof wantedSettings, number | null>>
  readonly clock: { readonly hasChip: boolean; readonly keeper: string | null }
  /** Milliseconds of small flushes in the data directory, ascending; null = nothing can be written there. */
  readonly flushMs: readonly number[] | null
  /** SMART of a disk foretells its end. */
  readonly failingDisks: readonly string[]
}

export function judgeHost(facts: HostFacts): Finding[] {
  return [
    judgeFlush(facts.flushMs),
    ...facts.failingDisks.map((disk) =>
      advice('smart', 'fault', `${disk} foretells its end`, 'Replace it now: stop the daemon, copy dataDir'),
    ),
    judgeMemory(facts.memoryBytes),
    ...judgeSwap(facts.swaps),
    judgeOpenFiles(facts.openFiles),
    judgeSettings(facts.settings),
    judgeClock(facts.clock),
  ]
}

/** No disk flushes in less, also not one with a battery behind its cache. */
const possibleFlushMs = 0.01
/** Each acknowledgement waits for one. */
const longFlushMs = 250

function judgeFlush(flushMs: HostFacts['flushMs']): Finding {
  const check = 'flush'
  const half = flushMs?.[Math.floor(flushMs.length / 2)]
  const slow = flushMs?.[Math.floor(flushMs.length * 0.99)]
  if (half === undefined || slow === undefined) {
    return advice(check, 'warning', 'nothing can be written there by who asks', 'Ask as the user of the daemon')
  }
  const found = `4 KiB reach the disk in ${half.toFixed(2)} ms, 99 of 100 in ${slow.toFixed(2)} ms`
  if (half < possibleFlushMs) {
    const remedy =
      'Something makes fsync do nothing (libeatmydata, a cache mode "unsafe", a file system in memory): find it'
    return advice(check, 'fault', `${found}: that is no flush`, remedy)
  }
  if (slow <= longFlushMs) return ok(check, found)
  const remedy = 'Acknowledgements will be as slow: another disk, or fewer writers beside the daemon'
  return advice(check, 'warning', found, remedy)
}

/** The daemon is idle with some 110 MB and works with up to 400 MB (MemoryHigh of its unit). */
const leastMemoryBytes = 384 * 2 ** 20

function judgeMemory(memoryBytes: number): Finding {
  const found = `${(memoryBytes / 2 ** 20).toFixed(0)} MiB`
  if (memoryBytes >= leastMemoryBytes) return ok('memory', found)
  return advice('memory', 'warning', `${found} in all`, 'Lower memory settings, and few clients (docs/running.md)')
}

function judgeSwap(swaps: readonly string[]): Finding[] {
  const onDisk = swaps.filter((each) => !each.startsWith('/dev/zram'))
  if (onDisk.length === 0) return [ok('swap', swaps.length === 0 ? 'none' : 'zram')]
  const remedy = 'Swapping wears flash and makes pauses: zram instead, or none'
  return [advice('swap', 'note', onDisk.join(', '), remedy)]
}

const enoughOpenFiles = 4_096

function judgeOpenFiles(openFiles: number | null): Finding {
  const found = openFiles === null ? 'no limit' : `at most ${openFiles}`
  if (openFiles === null || openFiles >= enoughOpenFiles) return ok('open-files', found)
  const remedy = 'Partitions and connections are bounded by it: LimitNOFILE=65536 in the unit, ulimit -n elsewhere'
  return advice('open-files', 'warning', `${found} for who asks`, remedy)
}

/** As systemd/headwater.sysctl has them; a value beyond is as good. */
const wantedSettings = {
  'vm.dirty_bytes': (value: number): boolean => value > 0 && value <= 256 * 2 ** 20,
  'vm.dirty_background_bytes': (value: number): boolean => value > 0 && value <= 64 * 2 ** 20,
  'net.core.somaxconn': (value: number): boolean => value >= 4_096,
} as const

export const settingNames = Object.keys(wantedSettings) as (keyof typeof wantedSettings)[]

function judgeSettings(settings: HostFacts['settings']): Finding {
  const others = settingNames.filter((name) => {
    const value = settings[name]
    return value !== null && !wantedSettings[name](value)
  })
  if (others.length === 0) return ok('kernel-settings', 'as systemd/headwater.sysctl has them')
  const found = others.map((name) => `${name} = ${settings[name]}`).join(', ')
  return advice(
    'kernel-settings',
    'note',
    found,
    'Install systemd/headwater.sysctl: no flush finds a mountain of dirty pages',
  )
}

function judgeClock({ hasChip, keeper }: HostFacts['clock']): Finding {
  const found = `${hasChip ? 'a clock chip' : 'no clock chip'}, ${keeper ?? 'nobody who sets the time'}`
  if (keeper !== null) return ok('clock', found)
  const remedy =
    'Install chrony or systemd-timesyncd: until the time is known retention by time stands still and readings are marked'
  return advice('clock', hasChip ? 'note' : 'warning', found, remedy)
}
