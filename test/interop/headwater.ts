/**
 * Runs the daemon under test as a process of its own: starts it, waits for its ready line, stops or kills it by the id that was
 * recorded. Used by the interop, crash and bench programs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

export interface HeadwaterOptions {
  readonly dataDir: string
  /** Ports: 0 or omitted = any free port; null = as the configuration file says. */
  readonly kafkaPort?: number | null
  readonly mqttPort?: number | null
  readonly httpPort?: number
  readonly configFile?: string
  /** Another checkout or a binary: the words before the arguments. */
  readonly command?: readonly string[]
  /** Words put before the whole command: `taskset -c 0`, `eatmydata`. */
  readonly prefix?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly logFile?: string
  readonly readyWithinMs?: number
  /** Takes each line of stdout. */
  readonly onLine?: (line: string) => void
}

export interface RunningHeadwater {
  readonly pid: number
  readonly kafka: string
  readonly mqtt: string
  readonly http: string
  /** From spawn to the ready line, milliseconds. */
  readonly readyAfterMs: number
  readonly readyLine: string
  /** SIGTERM and the wait for the end; answers the exit code (null when it was a signal). */
  stop(): Promise<number | null>
  /** SIGKILL and the wait for the end. */
  kill(): Promise<void>
  readonly exited: Promise<number | null>
}

/** The command that runs the source of this checkout. */
export const sourceCommand: readonly string[] = [
  'sh',
  join(repositoryRoot, 'tools/with-node'),
  'node',
  // As in package.json and in the binary.
  '--max-semi-space-size=8',
  join(repositoryRoot, 'src/main.ts'),
]

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  server.close()
  await once(server, 'close')
  return port
}

/** Starts the daemon and waits for its ready line; rejects when it ends before. */
export async function startHeadwater(options: HeadwaterOptions): Promise<RunningHeadwater> {
  const startedAt = performance.now()
  const words = [
    ...(options.prefix ?? []),
    ...(options.command ?? sourceCommand),
    'start',
    ...(options.configFile === undefined ? [] : ['--config', options.configFile]),
    ...['--data-dir', options.dataDir],
    ...(options.kafkaPort === null ? [] : ['--kafka', `127.0.0.1:${options.kafkaPort ?? 0}`]),
    ...(options.mqttPort === null ? [] : ['--mqtt', `127.0.0.1:${options.mqttPort ?? 0}`]),
    ...['--http', `127.0.0.1:${options.httpPort ?? 0}`],
  ]
  const log = options.logFile === undefined ? 'ignore' : openSync(options.logFile, 'a')
  const [program, ...rest] = words
  if (program === undefined) throw new Error('no command')
  const child: ChildProcess = spawn(program, rest, {
    stdio: ['ignore', 'pipe', log],
    env: { ...daemonEnvironment(), ...options.environment },
  })
  if (log !== 'ignore') closeSync(log)
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  if (child.stdout === null || child.pid === undefined) throw new Error(`cannot start ${program}`)
  const pid = child.pid
  const readyLine = await new Promise<string>((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.kill('SIGKILL')
      void exited.then(() => reject(new Error(`no ready line within ${options.readyWithinMs ?? 30_000} ms`)))
    }, options.readyWithinMs ?? 30_000)
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    lines.on('line', (line) => {
      options.onLine?.(line)
      if (!line.startsWith('ready ')) return
      clearTimeout(deadline)
      resolve(line)
    })
    void exited.then((code) => {
      clearTimeout(deadline)
      reject(new Error(`the daemon ended before it was ready, exit code ${code}`))
    })
  })
  const readyAfterMs = performance.now() - startedAt
  const place = (name: string): string => new RegExp(`${name}=(\\S+)`).exec(readyLine)?.[1] ?? ''
  return {
    pid,
    kafka: place('kafka'),
    mqtt: place('mqtt'),
    http: place('http'),
    readyAfterMs,
    readyLine,
    exited,
    async stop() {
      child.kill('SIGTERM')
      return await exited
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The daemon refuses HEADWATER_ variables that it does not know, and ours point at foreign programs. */
export function daemonEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HEADWATER_')))
}
