/** How commands print: aligned columns for people, JSON for programs. Everything else (notes, errors) goes to stderr. */
import { ApplianceError, asError } from '../../base/errors.ts'
import { NetError } from '../../base/ports.ts'

/** A table with a head line; numbers are right-aligned. */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  )
  const isNumeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number' || row[column] === '-'),
  )
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        isNumeric[column] ? String(cell).padStart(widths[column] ?? 0) : String(cell).padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)].join('\n')
}

/** Two columns: names and what they are. */
export function formatFacts(facts: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

/** `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `2d 3h`, `4m 10s`, `350ms`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)}ms`
  const parts: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ]
  let rest = Math.floor(durationMs / 1000)
  const words: string[] = []
  for (const [seconds, unit] of parts) {
    const count = Math.floor(rest / seconds)
    rest -= count * seconds
    if (count > 0) words.push(`${count}${unit}`)
  }
  return words.slice(0, 2).join(' ')
}

/** Writes a line to stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints `value` as JSON or its human form. */
export function printResult(value: unknown, asJson: boolean, human: () => string): void {
  print(asJson ? JSON.stringify(value, jsonValue, 2) : human())
}

function jsonValue(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}

/** What to do when a listener cannot be opened; what the system says of it is all that there is to know. */
const listenRemedies: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'Somebody listens there already: `ss -ltnp` shows who. Stop it, or choose another address.'],
  ['EADDRNOTAVAIL', 'This machine has no such address: `ip address` lists those that it has.'],
  ['EACCES', 'Ports below 1024 take a right of their own, and a Unix socket a folder that is there and writable.'],
  ['ENOTFOUND', 'The host name is not known here: write an address.'],
])

/** Writes a failure to stderr: what was attempted, and what to do about it. */
export function printFailure(thrown: unknown): void {
  const error = asError(thrown)
  process.stderr.write(`headwater: ${error.message}\n`)
  if (error instanceof ApplianceError) process.stderr.write(`  ${error.remedy}\n`)
  else if (error instanceof NetError && listenRemedies.has(error.code))
    process.stderr.write(`  ${listenRemedies.get(error.code)}\n`)
  else if (error.name === 'AssertionError' || error.name === 'TypeError') process.stderr.write(`${error.stack ?? ''}\n`)
}
