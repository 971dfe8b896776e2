/** The whole appliance on its simulated host: it starts, is ended in every way, and comes back. */
import { type Appliance, createAppliance } from '../../../src/appliance.ts'
import type { Disk, DiskOperation, Ports, SubmitOptions } from '../../../src/base/ports.ts'
import { type ApplianceConfig, configSchema } from '../../../src/config.ts'
import type { SimHost } from '../host.ts'
import type { SimWorld } from '../world.ts'
import { partitionCount } from './field.ts'

export type Crash = 'kill' | 'powerCut'

/** Stands between the appliance and its ports: what makes a correct appliance a wrong one. */
export type Sabotage = (ports: Ports) => Ports

export interface EdgeOptions {
  /** Kafka's settings, over those of `edgeConfig`. */
  readonly kafka?: Readonly<Record<string, string | number | boolean>>
  readonly sabotage?: Sabotage
}

/** No operation of a start or a stop may take longer, in virtual time. */
const patienceMs = 600_000

export class Edge {
  readonly world: SimWorld
  readonly host: SimHost
  /** Counts the processes. */
  life = 0
  /** Told of every group that the appliance hands to its disk, and of its end. */
  onSubmit: ((operations: readonly DiskOperation[], completed: Promise<void>) => void) | null = null
  readonly #config: ApplianceConfig
  readonly #sabotage: Sabotage
  #appliance: Appliance | null = null

  constructor(world: SimWorld, options: EdgeOptions = {}) {
    this.world = world
    this.host = world.host('edge')
    this.#config = edgeConfig(options.kafka ?? {})
    this.#sabotage = options.sabotage ?? ((ports) => ports)
  }

  get isUp(): boolean {
    return this.host.isUp
  }

  get appliance(): Appliance {
    if (this.#appliance === null) throw new Error('the appliance is not up')
    return this.#appliance
  }

  /** Begins a process; the answer settles when clients are served, or never when it is ended before. */
  begin(): Promise<unknown> {
    this.life++
    const ports = this.#watched(this.host.boot())
    this.#appliance = createAppliance(this.#config, this.#sabotage(ports), { version: 'simulated' })
    const started = this.#appliance.start()
    started.catch(() => {})
    return started
  }

  /** A process that serves. */
  async boot(): Promise<void> {
    await this.world.settle(this.begin(), patienceMs)
  }

  crash(how: Crash): void {
    this.host[how]()
    this.#appliance = null
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    await this.world.settle(this.appliance.stop(), patienceMs)
    this.crash('kill')
  }

  #watched(ports: Ports): Ports {
    const disk: Disk = new Proxy(ports.disk, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (name !== 'submit') return typeof value === 'function' ? value.bind(target) : value
        return (operations: readonly DiskOperation[], options?: SubmitOptions) => {
          const completed = target.submit(operations, options)
          this.onSubmit?.(operations, completed)
          return completed
        }
      },
    })
    return { ...ports, disk }
  }
}

function edgeConfig(kafka: Readonly<Record<string, string | number | boolean>>): ApplianceConfig {
  return configSchema.parse({
    dataDir: '/data',
    listeners: {
      kafka: [{ listen: '0.0.0.0:9092' }],
      mqtt: [{ listen: '0.0.0.0:1883' }],
      dangerouslyAllowUnprotected: true,
    },
    kafka: {
      'num.partitions': partitionCount,
      'offsets.topic.num.partitions': 2,
      'group.initial.rebalance.delay.ms': 0,
      'group.min.session.timeout.ms': 1,
      // Clocks jump: nothing may be lawfully forgotten for its age.
      'log.retention.ms': -1,
      'offsets.retention.minutes': 2_147_483_647,
      'producer.id.expiration.ms': 2_147_483_647,
      ...kafka,
    },
  })
}
