/** Kafka's limits on connections, changed while an appliance runs. */
import { once } from 'node:events'
import net from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { KafkaClient } from '../../src/admin/cli/kafka-client.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { parseAddress } from '../../src/config-values.ts'
import { type NodePorts, nodePorts } from '../../src/node/node-ports.ts'
import { incrementalAlterConfigsApi } from '../../src/protocol/kafka/apis.ts'
import { ApplianceWorld } from './appliance-world.ts'

let world: ApplianceWorld
let ports: NodePorts
let client: KafkaClient
let place: string
const sockets: net.Socket[] = []

beforeAll(async () => {
  world = await ApplianceWorld.create()
  place = (await world.start()).kafka
  const address = parseAddress(place)
  if (typeof address === 'string') throw new Error(address)
  ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
  client = new KafkaClient(ports, [address])
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(async () => {
  await client.close()
  await ports.close()
  await world.remove()
})

/** The error that a new value for all brokers is answered with; null takes the value back. */
async function set(name: string, value: string | null): Promise<number> {
  const configs = [{ name, configOperation: value === null ? 1 : 0, value }]
  const resources = [{ resourceType: 4, resourceName: '', configs }]
  const { responses } = await client.ask(incrementalAlterConfigsApi, { resources, validateOnly: false })
  return responses[0]?.errorCode ?? -1
}

async function dial(): Promise<net.Socket> {
  const [host = '', port = ''] = place.split(':')
  const socket = net.connect(Number(port), host).on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  return socket.resume()
}

const open = (): number => world.status().listeners.find(({ protocol }) => protocol === 'kafka')?.connections ?? 0

async function untilOpen(count: number): Promise<void> {
  while (open() !== count) await new Promise((resolve) => setImmediate(resolve))
}

describe('a limit on connections', () => {
  it.each([
    ['max.connections', (limit: number) => String(limit)],
    ['max.connections.per.ip.overrides', (limit: number) => `10.0.0.1:7,127.0.0.1:${limit}`],
  ])('(%s) counts from the moment it is set, and no longer than that', async (name, written) => {
    expect(await set(name, null)).toBe(0)
    const own = open()
    expect(own).toBeGreaterThan(0)
    await dial()
    await untilOpen(own + 1)
    expect(await set(name, written(own + 1))).toBe(0)
    await once(await dial(), 'close')
    expect(open()).toBe(own + 1)
    expect(await set(name, null)).toBe(0)
    await dial()
    await untilOpen(own + 2)
    for (const socket of sockets.splice(0)) socket.destroy()
    await untilOpen(own)
  })

  it('that says nothing is refused', async () => {
    const invalidRequest = 42
    expect(await set('max.connections', '0')).toBe(invalidRequest)
    expect(await set('max.connections.per.ip', '-1')).toBe(invalidRequest)
    expect(await set('max.connections.per.ip.overrides', 'localhost:3')).toBe(invalidRequest)
    expect(await set('max.connection.creation.rate', '0')).toBe(invalidRequest)
  })
})
