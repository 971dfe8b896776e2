/** A whole appliance on a simulated host, and a client of it. */
import { type Appliance, createAppliance } from '../../src/appliance.ts'
import { type ApplianceConfig, configSchema } from '../../src/config.ts'
import { KafkaClientConnection } from '../../src/protocol/kafka/client-connection.ts'
import type { SimWorld } from '../sim/world.ts'

/** A host with one appliance that may be killed and come back; `more` stands in its configuration besides. */
export class ApplianceNode {
  readonly name: string
  readonly #world: SimWorld
  readonly #config: ApplianceConfig
  appliance: Appliance | null = null
  client: KafkaClientConnection | null = null

  constructor(world: SimWorld, name: string, more: object = {}) {
    this.#world = world
    this.name = name
    const { address } = world.host(name)
    this.#config = configSchema.parse({
      dataDir: '/data',
      node: { id: 1, site: name },
      listeners: {
        kafka: [{ listen: `${address}:9092` }],
        mqtt: [{ listen: `${address}:1883` }],
        http: { listen: `${address}:9640` },
        dangerouslyAllowUnprotected: true,
      },
      ...more,
    })
  }

  async boot(): Promise<void> {
    const ports = this.#world.host(this.name).boot()
    this.appliance = createAppliance(this.#config, ports, { version: 'test' })
    await this.#world.settle(this.appliance.start())
    const address = { host: this.#world.host(this.name).address, port: 9092 }
    const { net, clock } = ports
    const options = {
      net,
      clock,
      address,
      clientId: 'test',
      connectTimeoutMs: 5_000,
      requestTimeoutMs: 30_000,
      frameBytesMax: 1 << 26,
    }
    this.client = await this.#world.settle(KafkaClientConnection.open(options))
  }

  async restart(how: 'kill' | 'powerCut' | 'stop'): Promise<void> {
    const host = this.#world.host(this.name)
    if (how === 'stop' && this.appliance !== null) await this.#world.settle(this.appliance.stop())
    if (how === 'powerCut') host.powerCut()
    else host.kill()
    await this.boot()
  }

  get running(): Appliance {
    if (this.appliance === null) throw new Error(`${this.name} is not up`)
    return this.appliance
  }

  get kafka(): KafkaClientConnection {
    if (this.client === null) throw new Error(`${this.name} is not up`)
    return this.client
  }
}
