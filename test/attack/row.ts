/** One row of the suite: a promise, and what it takes to try it. */
import { strict as assert } from 'node:assert'

export interface Row {
  /** The promise. */
  readonly name: string
  /** Why it cannot be tried here, in one line with the remedy. */
  readonly missing?: string | null
  /** Throws when the promise is broken. */
  run(): Promise<void>
}

/** Rows that share what `open` brings up; they run one after the other. */
export interface Group {
  readonly name: string
  /** Fills an empty folder, which is removed afterwards. */
  open(folder: string): Promise<OpenGroup>
}

export interface OpenGroup {
  readonly rows: readonly Row[]
  /** Runs behind each row, outside of it: those who must be unharmed by it. Throws when they are not. */
  check?(): Promise<void>
  close(): Promise<void>
}

/** Rejects with what was waited for when `promise` is not settled in time. */
export function within<T>(deadlineMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadlineMs} ms for ${what}`)), deadlineMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
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
    await pause(10)
  }
}

/** A stretch of time that is itself part of a promise (one byte a second; nothing for twenty seconds). */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Broken cases that a failure lists. */
const shownMax = 12

interface Case {
  readonly name: string
}

/** Tries every case, one after the other, and fails with those that are broken, each by its name. */
export async function each<T extends Case>(cases: readonly T[], attempt: (one: T) => Promise<void>): Promise<void> {
  const broken: string[] = []
  for (const one of cases) await attempt(one).catch((thrown: unknown) => broken.push(faultOf(one, thrown)))
  judge(broken, cases.length)
}

/** The same, all at once: for cases that wait for a deadline. */
export async function eachAtOnce<T extends Case>(
  cases: readonly T[],
  attempt: (one: T) => Promise<void>,
): Promise<void> {
  const broken: string[] = []
  const tried = cases.map((one) => attempt(one).catch((thrown: unknown) => broken.push(faultOf(one, thrown))))
  await Promise.all(tried)
  judge(broken, cases.length)
}

function faultOf(one: Case, thrown: unknown): string {
  return `${one.name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`
}

function judge(broken: readonly string[], cases: number): void {
  assert.ok(broken.length === 0, `${broken.length} of ${cases} cases:\n  ${broken.slice(0, shownMax).join('\n  ')}`)
}
