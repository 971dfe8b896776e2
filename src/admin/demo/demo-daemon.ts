/** A daemon of the demo: this program again, as a child process with a directory and free ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ApplianceError } from '../../base/errors.ts'
import { demoErrors } from './demo-errors.ts'

const readyMs = 30_000
const stopMs = 15_000
const logTailBytes = 2_000

export interface DemoAddresses {
  /** `HOST:PORT` each. */
  readonly kafka: string
  readonly mqtt: string
  readonly http: string
}

export class DemoDaemon {
  readonly addresses: DemoAddresses
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, addresses: DemoAddresses) {
    this.#child = child
    this.addresses = addresses
  }

  /** Starts one in `folder` with this configuration (JSON is YAML); resolves at its ready line. Throws DEMO_DAEMON_FAILED. */
  static async start(command: readonly string[], folder: string, configuration: object): Promise<DemoDaemon> {
    const file = `${folder}.yaml`
    writeFileSync(file, JSON.stringify({ ...configuration, dataDir: join(folder, 'data') }))
    const log = openSync(`${folder}.log`, 'w')
    const [program = '', ...words] = command
    // Its own process group: Ctrl-C is ours to handle, the daemons stop when the story is told.
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('HEADWATER_')),
    )
    const child = spawn(program, [...words, 'start', '--config', file], {
      stdio: ['ignore', 'pipe', log],
      detached: true,
      env: environment,
    })
    closeSync(log)
    try {
      return new DemoDaemon(child, await readyAddresses(child))
    } catch (thrown) {
      child.kill('SIGKILL')
      const said = readFileSync(`${folder}.log`, 'utf8').slice(-logTailBytes).trim()
      throw new ApplianceError(
        demoErrors.daemonFailed,
        { detail: said === '' ? String(thrown) : said },
        { cause: thrown },
      )
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** SIGTERM, and SIGKILL for one that does not listen. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const last = setTimeout(() => this.#child.kill('SIGKILL'), stopMs)
    await ended
    clearTimeout(last)
  }
}

async function readyAddresses(child: ChildProcess): Promise<DemoAddresses> {
  const late = AbortSignal.timeout(readyMs)
  const ended = once(child, 'exit', { signal: late }).then(() => {
    throw new Error('it ended before it was ready')
  })
  return Promise.race([readyLine(child), ended])
}

async function readyLine(child: ChildProcess): Promise<DemoAddresses> {
  if (child.stdout === null) throw new Error('no stdout')
  for await (const line of createInterface({ input: child.stdout })) {
    const facts = new Map([...line.matchAll(/(\w+)=(\S+)/g)].map((match) => [match[1], match[2]]))
    const [kafka, mqtt, http] = [facts.get('kafka'), facts.get('mqtt'), facts.get('http')]
    if (line.startsWith('ready ') && kafka && mqtt && http) return { kafka, mqtt, http }
  }
  throw new Error('it closed its stdout before it was ready')
}
