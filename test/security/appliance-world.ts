/** A whole appliance on the operating system, restarted with other configurations over one data directory, and programs that are not ours. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ApplianceStatus } from '../../src/admin/operations.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { type Appliance, createAppliance, type ReadyFacts } from '../../src/appliance.ts'
import type { Observer } from '../../src/base/ports.ts'
import { configSchema } from '../../src/config.ts'
import { type NodePorts, nodePorts } from '../../src/node/node-ports.ts'

export interface WorldOptions {
  readonly kafka?: object
  readonly mqtt?: object
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** More keys of `listeners`. */
  readonly listeners?: object
  readonly oauthbearer?: object
  readonly observer?: Observer
}

export class ApplianceWorld {
  readonly #dataDir: string
  #running: { readonly appliance: Appliance; readonly ports: NodePorts } | null = null

  static async create(): Promise<ApplianceWorld> {
    return new ApplianceWorld(await mkdtemp(join(tmpdir(), 'headwater-security-')))
  }

  private constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** Stops what runs, then starts with one listener a protocol on free ports of the loopback; `kafka` and `mqtt` are their further keys. */
  async start(options: WorldOptions = {}): Promise<ReadyFacts> {
    await this.stop()
    const ports = nodePorts({ observer: options.observer ?? silentObserver })
    const config = configSchema.parse({
      dataDir: this.#dataDir,
      listeners: {
        kafka: [{ listen: '127.0.0.1:0', ...options.kafka }],
        mqtt: [{ listen: '127.0.0.1:0', ...options.mqtt }],
        http: { listen: '127.0.0.1:0' },
        ...options.listeners,
      },
      kafka: { 'group.initial.rebalance.delay.ms': 0, ...options.settings },
      ...(options.oauthbearer === undefined ? {} : { oauthbearer: options.oauthbearer }),
    })
    const appliance = createAppliance(config, ports, { version: 'test' })
    this.#running = { appliance, ports }
    return appliance.start()
  }

  status(): ApplianceStatus {
    if (this.#running === null) throw new Error('not running')
    return this.#running.appliance.operations.status()
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = null
    await running?.appliance.stop()
    await running?.ports.close()
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.#dataDir, { recursive: true, force: true })
  }
}

export interface Said {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; it is killed after `deadlineMs`. */
export function runProgram(
  command: string,
  words: readonly string[],
  options: { readonly input?: string; readonly deadlineMs?: number } = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { timeout: options.deadlineMs ?? 20_000 })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (bytes: Buffer) => {
      stdout += bytes.toString()
    })
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes.toString()
    })
    child.stdin.on('error', () => {})
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
    child.stdin.end(options.input ?? '')
  })
}
