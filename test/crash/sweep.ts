/**
 * Deaths inside system calls: a life of the daemon (start, a short script of everything that changes files, a clean stop) is traced
 * once to count its calls, then it dies in front of each of them in turn, and the next life must show everything that was told.
 *
 * strace kills in front of a call, so each point is also the one behind the call before it: to open a file needs no point of its own.
 * It counts each kind of call of each thread for itself; files are changed by one thread, the writer.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { until } from '../interop/case.ts'
import { type HeadwaterOptions, repositoryRoot, type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'
import type { Prng } from '../sim/prng.ts'
import { shell } from './disks.ts'
import { hurriedSettings } from './loads.ts'
import { type Found, SweepModel, type Told } from './sweep-model.ts'

/** Calls that change files, or make changes durable. */
const kinds = [
  ...['pwrite64', 'pwritev2', 'fdatasync', 'fsync', 'syncfs', 'rename', 'ftruncate', 'unlink', 'rmdir', 'mkdir'],
  'fallocate',
] as const

/** The `number`-th call of its kind (from 1) of a start, or of what follows it. */
interface Point {
  readonly kind: string
  readonly number: number
  readonly phase: 'start' | 'run'
  /** In a life that begins with a fresh directory; else with what the life before has left. */
  readonly isFresh: boolean
}

export interface SweepParts {
  readonly folder: string
  readonly python: string
  readonly random: Prng
  /** An even sample of so many points; null = each. */
  readonly deathsMax: number | null
  /** Points to pass over at the beginning: to go on with a sweep. */
  readonly from: number
}

/** A load that waits for a daemon that hangs is a failure. */
const loadWithinMs = 60_000

export function sweepMissing(): string | null {
  return shell('strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fsync', 'true')
    ? null
    : 'skipped: no strace, or no right to trace (Debian: apt-get install strace)'
}

export class Sweep {
  readonly #parts: SweepParts
  readonly #client: SweepClient
  #model = new SweepModel()
  #directory = 0
  #life = 0
  #deaths = 0
  #startDeaths = 0
  #unreached = 0
  /** Of the life that ended last. */
  #told: Told | null = null
  #where = 'nowhere'
  #summary = ''

  constructor(parts: SweepParts) {
    this.#parts = parts
    this.#client = new SweepClient(parts.python)
  }

  get summary(): string {
    return this.#summary
  }

  get dataDir(): string {
    return join(this.#parts.folder, `data-${this.#directory}`)
  }

  /** Throws at the first life that does not show what was told. The last daemon has stopped cleanly. */
  async run(): Promise<void> {
    try {
      const points = [...(await this.#countPoints(true)), ...(await this.#countPoints(false))]
      const chosen = sample(points.slice(this.#parts.from), this.#parts.deathsMax)
      for (const point of chosen) await this.#dieAt(point)
      await (await this.#startAndCheck()).stop()
      this.#summary =
        `${points.length} points, ${chosen.length} tried: ${this.#deaths} deaths (${this.#startDeaths} of them during a start), ` +
        `${this.#unreached} not reached in their life`
    } finally {
      this.#client.end()
    }
  }

  /** A start, and what follows a start, traced to their ends. */
  async #countPoints(isFresh: boolean): Promise<Point[]> {
    const trace = join(this.#parts.folder, 'trace')
    const points: Point[] = []
    const count = (phase: Point['phase']): void => {
      for (const [kind, calls] of callCounts(readFileSync(trace, 'utf8')))
        for (let number = 1; number <= calls; number++) points.push({ kind, number, phase, isFresh })
    }
    const all = ['-e', `trace=${kinds.join(',')}`]
    const started = await startHeadwater(this.#options(['strace', '-D', ...traceTo(trace), ...all]))
    await started.kill()
    count('start')
    if (isFresh) this.#beginFresh()
    const daemon = await this.#startAndCheck()
    await attached(daemon.pid, [...traceTo(trace), ...all])
    this.#told = await this.#load(daemon)
    if (!this.#told.finished) throw new Error(`the load does not finish: ${this.#told.why}`)
    await daemon.stop()
    count('run')
    return points
  }

  async #dieAt(point: Point): Promise<void> {
    if (point.isFresh) {
      if (this.#told !== null) await (await this.#startAndCheck()).kill()
      this.#beginFresh()
    }
    const tracing = [
      ...traceTo('/dev/null'),
      ...['-e', `trace=${point.kind}`, '-e', `inject=${point.kind}:signal=SIGKILL:when=${point.number}`],
    ]
    const life = point.isFresh ? 'of a first life' : 'of a later life'
    this.#where = `in front of ${point.kind} ${point.number} of the ${point.phase} ${life}`
    if (point.phase === 'start') await this.#dieInStart(tracing)
    else await this.#dieInRun(tracing)
  }

  async #dieInStart(tracing: readonly string[]): Promise<void> {
    const life = await startHeadwater(this.#options(['strace', '-D', ...tracing])).catch(() => null)
    if (life === null) {
      this.#deaths++
      this.#startDeaths++
    } else {
      this.#unreached++
      await life.kill()
    }
    const daemon = await this.#startAndCheck()
    await (this.#parts.random.chance(0.5) ? daemon.kill() : daemon.stop())
  }

  async #dieInRun(tracing: readonly string[]): Promise<void> {
    const daemon = await this.#startAndCheck()
    await attached(daemon.pid, tracing)
    this.#told = await this.#load(daemon)
    // What has not come to its call by the end of the load may come to it in the stop.
    if ((await daemon.stop()) === null) this.#deaths++
    else this.#unreached++
  }

  #beginFresh(): void {
    rmSync(this.dataDir, { recursive: true, force: true })
    this.#directory++
    this.#model = new SweepModel()
    this.#told = null
  }

  /** A life without a trace shows what was told in the one before. */
  async #startAndCheck(): Promise<RunningHeadwater> {
    const daemon = await startHeadwater(this.#options([]))
    const faults = this.#model.check(this.#told, await this.#client.read(daemon))
    this.#told = null
    if (faults.length === 0) return daemon
    await daemon.kill()
    throw new Error(`after a death ${this.#where}:\n  ${faults.slice(0, 5).join('\n  ')}`)
  }

  async #load(daemon: RunningHeadwater): Promise<Told> {
    const answer = this.#client.load({ ...addresses(daemon), life: this.#life++, ends: this.#model.sweepEnds })
    const deadline = setTimeout(() => this.#client.abort(), loadWithinMs)
    void daemon.exited.then(() => this.#client.abort())
    const told = await answer
    clearTimeout(deadline)
    return told
  }

  #options(prefix: readonly string[]): HeadwaterOptions {
    const configFile = join(this.#parts.folder, 'headwater.yaml')
    mkdirSync(this.#parts.folder, { recursive: true })
    writeFileSync(configFile, `disk:\n  reserve: 1MiB\n${hurriedSettings}`)
    return { dataDir: this.dataDir, configFile, prefix, logFile: join(this.#parts.folder, 'daemon.log') }
  }
}

/** The foreign client, one process for all lives. */
class SweepClient {
  readonly #child
  readonly #answers: AsyncIterator<string>

  constructor(python: string) {
    this.#child = spawn(python, [join(repositoryRoot, 'test/crash/sweep-client.py')], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async load(command: object): Promise<Told> {
    return (await this.#ask({ op: 'load', ...command })) as Told
  }

  async read(daemon: { readonly kafka: string; readonly mqtt: string }): Promise<Found> {
    return (await this.#ask({ op: 'read', ...addresses(daemon) })) as Found
  }

  abort(): void {
    this.#child.stdin.write('{"op": "abort"}\n')
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(command: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error('the foreign client of the sweep has ended')
    return JSON.parse(value)
  }
}

function addresses({ kafka, mqtt }: { readonly kafka: string; readonly mqtt: string }): object {
  return { kafka, mqtt }
}

function traceTo(file: string): string[] {
  // Not --seccomp-bpf: with it strace 6.1 delivers no signal.
  return ['-f', '-qq', '-o', file]
}

/** Resolves when a tracer has all the threads of the process; it ends with the process. */
async function attached(pid: number, tracing: readonly string[]): Promise<void> {
  const tracer = spawn('strace', [...tracing, '-p', String(pid)], { stdio: 'ignore' })
  await until(() => areTracedBy(tracer.pid ?? -1, pid), 10_000, 'the tracer')
}

function areTracedBy(tracer: number, pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').includes(`\nTracerPid:\t${tracer}\n`),
  )
}

/** Of each kind the calls of the thread that makes most of them. */
function callCounts(trace: string): Map<string, number> {
  const perThread = new Map<string, number>()
  for (const [, thread = '', kind = ''] of trace.matchAll(/^(\d+) +(\w+)\(/gm)) {
    const key = `${kind} ${thread}`
    perThread.set(key, (perThread.get(key) ?? 0) + 1)
  }
  const counts = new Map<string, number>()
  for (const [key, count] of perThread) {
    const kind = key.split(' ')[0] as string
    counts.set(kind, Math.max(counts.get(kind) ?? 0, count))
  }
  return counts
}

function sample<T>(all: readonly T[], most: number | null): T[] {
  if (most === null || most >= all.length) return [...all]
  return Array.from({ length: most }, (_, at) => all[Math.floor(((at + 0.5) * all.length) / most)] as T)
}
