/** What the kernel tells of a process. */
import { readdirSync, readFileSync } from 'node:fs'

export interface MemoryFacts {
  readonly residentBytes: number
  readonly peakBytes: number
}

export function memoryOf(pid: number): MemoryFacts {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { residentBytes: kibOf(status, 'VmRSS') * 1024, peakBytes: kibOf(status, 'VmHWM') * 1024 }
}

export interface InputOutputFacts {
  /** Bytes that were to reach a medium. */
  readonly writtenBytes: number
  /** Calls of write(2) and its kin. */
  readonly writeCalls: number
}

export function inputOutputOf(pid: number): InputOutputFacts {
  const text = readFileSync(`/proc/${pid}/io`, 'utf8')
  const figure = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1])
  return { writtenBytes: figure('write_bytes'), writeCalls: figure('syscw') }
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function kibOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}
