/**
 * The written forms of a configuration's values: sizes (`10MiB`), durations (`7d`), addresses (`HOST:PORT`). A number without a
 * unit is refused, because nobody can tell what its author meant.
 */
import { z } from 'zod'
import type { ListenAddress, ListenPlace } from './base/ports.ts'

const byteUnits: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['kB', 1e3],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
])

const durationUnits: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Bytes of a written size, or a sentence that says what is wrong. */
export function parseBytes(written: string | number): number | string {
  return parseQuantity(written, byteUnits, 'a size such as 512KiB, 10MiB or 2GiB', Math.floor)
}

/** Whole milliseconds of a written duration, or a sentence that says what is wrong. */
export function parseDurationMs(written: string | number): number | string {
  return parseQuantity(written, durationUnits, 'a duration such as 500ms, 30s, 15m, 12h or 7d', Math.round)
}

function parseQuantity(
  written: string | number,
  units: ReadonlyMap<string, number>,
  wanted: string,
  round: (value: number) => number,
): number | string {
  if (written === 0 || written === '0') return 0
  if (typeof written === 'number') return `${written} has no unit; write ${wanted}`
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(written)
  const unit = match === null ? undefined : units.get(match[2] ?? '')
  if (match === null || unit === undefined) return `"${written}" is not ${wanted}`
  const value = round(Number(match[1]) * unit)
  return Number.isSafeInteger(value) ? value : `"${written}" is too large`
}

/** Host and port of `HOST:PORT` or `[IPv6]:PORT`, or a sentence that says what is wrong. */
export function parseAddress(written: string): ListenAddress | string {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(written)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) return `"${written}" is not an address such as 127.0.0.1:9092 or [::1]:9092`
  return { host: match[1] ?? match[2] ?? '', port }
}

const unixPrefix = 'unix:'

/** Permissions of the file that a Unix socket gets: clients need to be of its user or group. */
export const unixModeDefault = 0o660

/** The same, or the file of `unix:/PATH`. */
export function parsePlace(written: string): ListenPlace | string {
  if (!written.startsWith(unixPrefix)) return parseAddress(written)
  const path = written.slice(unixPrefix.length)
  if (!path.startsWith('/') || path.includes('\0') || path.endsWith('/')) {
    return `"${written}" is not a Unix socket such as unix:/run/headwater/mqtt.sock`
  }
  return { path, mode: unixModeDefault }
}

/** An address as it is written; IPv6 in brackets. */
export function formatAddress(address: ListenPlace): string {
  if ('path' in address) return `${unixPrefix}${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

interface QuantityBounds {
  readonly min?: number
  readonly max?: number
}

/** A key that holds a size; its value is a number of bytes. */
export function bytes(bounds: QuantityBounds = {}) {
  return quantity(parseBytes, 'bytes', bounds)
}

/** A key that holds a size or a share of something whole (`90%`). */
export function bytesOrShare(bounds: QuantityBounds = {}) {
  return z
    .union([z.string(), z.number()])
    .transform((written, context): { readonly bytes: number } | { readonly share: number } => {
      const match = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(String(written))
      const share = Number(match?.[1]) / 100
      if (match !== null && share > 0 && share <= 1) return { share }
      const value = match === null ? parseBytes(written) : `"${written}" is not above 0% and at most 100%`
      const problem = typeof value === 'string' ? value : outOfBounds(written, value, 'bytes', bounds)
      if (problem === null) return { bytes: Number(value) }
      context.addIssue({ code: 'custom', message: match === null ? `${problem}, or a share such as 90%` : problem })
      return z.NEVER
    })
}

/** A key that holds a duration; its value is a number of milliseconds. */
export function durationMs(bounds: QuantityBounds = {}) {
  return quantity(parseDurationMs, 'ms', bounds)
}

function quantity(parse: (written: string | number) => number | string, unit: 'bytes' | 'ms', bounds: QuantityBounds) {
  return z.union([z.string(), z.number()]).transform((written, context) => {
    const value = parse(written)
    const problem = typeof value === 'string' ? value : outOfBounds(written, value, unit, bounds)
    if (problem === null) return Number(value)
    context.addIssue({ code: 'custom', message: problem })
    return z.NEVER
  })
}

function outOfBounds(
  written: string | number,
  value: number,
  unit: 'bytes' | 'ms',
  bounds: QuantityBounds,
): string | null {
  if (bounds.min !== undefined && value < bounds.min)
    return `"${written}" is below the least value, ${writtenQuantity(bounds.min, unit)}`
  if (bounds.max !== undefined && value > bounds.max)
    return `"${written}" is above the greatest value, ${writtenQuantity(bounds.max, unit)}`
  return null
}

/** As one would write it: the largest unit that has a whole number of them. */
function writtenQuantity(value: number, unit: 'bytes' | 'ms'): string {
  const units = unit === 'bytes' ? byteUnits : durationUnits
  const largest = [...units].filter(([name]) => unit === 'ms' || name === 'B' || name.endsWith('iB')).toReversed()
  const [name, size] = largest.find(([, each]) => value % each === 0) ?? ['B', 1]
  return `${value / size}${name}`
}

/** A key that holds an address or a network of them (CIDR). */
export function network() {
  const isNetwork = (written: string): boolean => networks.some((kind) => kind.safeParse(written).success)
  return z.string().superRefine((written, context) => {
    const message = `"${written}" is neither an address nor a network such as 10.0.0.0/8`
    if (!isNetwork(written)) context.addIssue({ code: 'custom', message })
  })
}

const networks = [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()] as const

/** A key that holds permissions as three octal digits. */
export function fileMode() {
  return z
    .string()
    .regex(/^0?[0-7]{3}$/, 'permissions are three octal digits in quotes, such as "0660"')
    .transform((written) => Number.parseInt(written, 8))
}

/** A key that holds a number of things. */
export function count(min: number, max: number) {
  return z.number().int().min(min).max(max)
}

/** A key that holds `HOST:PORT`. */
export function address() {
  return parsed(parseAddress)
}

/** A key that holds `HOST:PORT` that others connect to. */
export function reachableAddress() {
  return parsed((written) => {
    const outcome = parseAddress(written)
    if (typeof outcome === 'string' || outcome.port > 0) return outcome
    return `"${written}" is no address to connect to: port 0 is none`
  })
}

/** A key that holds `HOST:PORT` or `unix:/PATH`. */
export function place() {
  return parsed(parsePlace)
}

function parsed<T extends ListenPlace>(parse: (written: string) => T | string) {
  return z.string().transform((written, context): T => {
    const outcome = parse(written)
    if (typeof outcome !== 'string') return outcome
    context.addIssue({ code: 'custom', message: outcome })
    return z.NEVER
  })
}
