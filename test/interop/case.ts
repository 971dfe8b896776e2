/** One interop case: a promise to a foreign program, and what it takes to try it. */
import { strict as assert } from 'node:assert'
import { type SpawnOptionsWithoutStdio, spawn } from 'node:child_process'

export interface InteropCase {
  /** The promise. */
  readonly name: string
  /** Why it cannot be tried here, in one line with the remedy; null when it can. */
  missing(): string | null
  /** Throws when the promise is broken. `folder` is empty and is removed afterwards. */
  run(folder: string): Promise<void>
}

export interface ProgramResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Runs a foreign program to its end; ends it with SIGKILL after `timeoutMs` (default 60 s), code -1. */
export function program(
  name: string,
  args: readonly string[],
  options: { readonly stdin?: string; readonly timeoutMs?: number } & Pick<
    SpawnOptionsWithoutStdio,
    'env' | 'cwd'
  > = {},
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, {
      stdio: 'pipe',
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000)
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(deadline)
      resolve({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), code: code ?? -1 })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.stdin ?? '')
  })
}

/** The program's standard output; throws with everything it said when it failed. */
export async function output(
  name: string,
  args: readonly string[],
  options?: Parameters<typeof program>[2],
): Promise<string> {
  const result = await program(name, args, options)
  assert.equal(result.code, 0, `${name} ${args.join(' ')} ended with ${result.code}\n${result.stdout}${result.stderr}`)
  return result.stdout
}

/** Waits until `condition` holds; throws after `deadlineMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The lines of a text without the empty ones. */
export function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
