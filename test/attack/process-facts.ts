/** What the kernel tells of a process. */
import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface MemoryFacts {
  readonly residentBytes: number
  readonly peakBytes: number
}

export function memoryOf(pid: number): MemoryFacts {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { residentBytes: kibOf(status, 'VmRSS') * 1024, peakBytes: kibOf(status, 'VmHWM') * 1024 }
}

/** Memory may have grown by so much and no more; what it was stands in the output, so that a bound that comes near is seen. */
export function assertGrowth(bytes: number, bytesMax: number): void {
  const inMiB = (value: number): number => Math.round(value / 1_048_576)
  console.log(`  ${inMiB(bytes)} MiB more, of ${inMiB(bytesMax)}`)
  assert.ok(bytes < bytesMax, `memory has grown by ${bytes} bytes`)
}

export interface InputOutputFacts {
  /** Bytes that were to reach a medium. */
  readonly writtenBytes: number
  /** Bytes given to write(2) by all threads but the main one, which has the sockets: files, and wake-ups of eight bytes. */
  readonly workerBytes: number
}

export function inputOutputOf(pid: number): InputOutputFacts {
  const figure = (path: string, name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1])
  const workers = readdirSync(`/proc/${pid}/task`).filter((thread) => thread !== String(pid))
  return {
    writtenBytes: figure(`/proc/${pid}/io`, 'write_bytes'),
    workerBytes: workers.reduce((sum, thread) => sum + figure(`/proc/${pid}/task/${thread}/io`, 'wchar'), 0),
  }
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Descriptors that are sockets: what is left of connections, whatever files the log has open. */
export function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((name) => isSocket(`/proc/${pid}/fd/${name}`)).length
}

/** False too when it was closed since it was listed. */
function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:')
  } catch {
    return false
  }
}

function kibOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}
