/** What the kernel says about a process, and the daemon about itself: memory, descriptors, processor time, and the time a command took. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Resident memory of a process and its children, MiB. */
export function rssMiB(pid: number): number {
  return processTree(pid).reduce((sum, each) => sum + Number(/VmRSS:\s+(\d+)/.exec(status(each))?.[1] ?? 0), 0) / 1024
}

/** Highest resident memory so far of one process, MiB. */
export function peakRssMiB(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(status(pid))?.[1] ?? 0) / 1024
}

/** From now on `peakRssMiB` counts anew. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** User plus system time so far, seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Bytes that a process has caused to be written to the device. */
export function writtenBytes(pid: number): number {
  return Number(/write_bytes: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0)
}

/** What a running daemon says of a metric without labels; 0 when it says nothing. */
export async function metric(node: { readonly http: string }, name: string): Promise<number> {
  const text = await (await fetch(`http://${node.http}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0)
}

export interface Finished {
  readonly stdout: string
  readonly stderr: string
  readonly seconds: number
}

/** Runs a program to its end; rejects when it fails. */
export function run(
  program: string,
  args: readonly string[],
  options: { readonly timeoutMs?: number; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 300_000)
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(deadline)
      const said = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
      if (code === 0) resolve({ ...said, seconds: (performance.now() - startedAt) / 1000 })
      else
        reject(
          new Error(
            `${program} ${args.join(' ')} ended with ${code}: ${said.stdout.slice(-500)}${said.stderr.slice(-2000)}`,
          ),
        )
    })
  })
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

function status(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8')
}

function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => processTree(Number(child))))]
}
