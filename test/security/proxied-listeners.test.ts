/** A whole appliance behind a proxy that says whose each connection is. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { KafkaClient } from '../../src/admin/cli/kafka-client.ts'
import { setUser } from '../../src/admin/cli/users-command.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { parseAddress } from '../../src/config-values.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import { apiVersionsApi } from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import { ApplianceWorld } from './appliance-world.ts'

let world: ApplianceWorld
const folder = mkdtempSync(join(tmpdir(), 'headwater-proxied-'))
const sockets: net.Socket[] = []
const open = { dangerouslyAllowUnprotected: true }
const proxy = { proxyProtocol: 'required', proxyProtocolFrom: ['127.0.0.0/8'] }
const soon = { 'connection.failed.authentication.delay.ms': 1 }

beforeAll(async () => {
  world = await ApplianceWorld.create()
  const address = parseAddress((await world.start()).kafka)
  if (typeof address === 'string') throw new Error(address)
  const ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
  const client = new KafkaClient(ports, [address])
  await setUser(client, 'alice', { password: 'wonderland', mechanism: 'SCRAM-SHA-256', iterations: 4096 })
  await client.close()
  await ports.close()
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(async () => {
  await world.remove()
  rmSync(folder, { recursive: true })
})

async function dial(place: string, remote: string | null): Promise<net.Socket> {
  const [host = '', port = ''] = place.split(':')
  const socket = net.connect(Number(port), host).on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  if (remote !== null) socket.write(`PROXY TCP4 ${remote} 198.51.100.1 40000 1883\r\n`)
  return socket
}

/** The reason code of the CONNACK that a client at an address gets. */
async function connack(place: string, remote: string, password: string): Promise<number> {
  const socket = await dial(place, remote)
  const parser = mqttPacket.parser({ protocolVersion: 5 })
  const answer = new Promise<number>((resolve) =>
    parser.on('packet', (packet: Packet) => resolve((packet as { reasonCode?: number }).reasonCode ?? -1)),
  )
  socket.on('data', (bytes: Buffer) => void parser.parse(bytes))
  const base = { protocolId: 'MQTT', protocolVersion: 5, clean: true, keepalive: 0, clientId: `c${remote}` } as const
  socket.write(mqttPacket.generate({ cmd: 'connect', ...base, username: 'alice', password: Buffer.from(password) }))
  return answer
}

describe('behind a proxy', () => {
  it('a lock-out is of the client that guessed, not of the proxy', async () => {
    const { mqtt } = await world.start({ mqtt: { authentication: 'password', ...proxy }, settings: soon })
    for (let guess = 0; guess < 10; guess++) expect(await connack(mqtt, '192.0.2.7', `guess ${guess}`)).toBe(0x86)
    expect(await connack(mqtt, '192.0.2.7', 'wonderland')).toBe(0x86)
    expect(await connack(mqtt, '192.0.2.8', 'wonderland')).toBe(0)
  })

  it('a limit for an address is one for the client’s', async () => {
    const { mqtt } = await world.start({ mqtt: { authentication: 'password', connectionsPerAddressMax: 1, ...proxy } })
    expect(await connack(mqtt, '192.0.2.7', 'wonderland')).toBe(0)
    expect(await connack(mqtt, '192.0.2.7', 'wonderland')).toBe(0x97)
    expect(await connack(mqtt, '192.0.2.8', 'wonderland')).toBe(0)
  })

  it('a Kafka client is served too, and one without a header is not', async () => {
    const { kafka } = await world.start({ kafka: proxy, listeners: open })
    const request = Buffer.concat(encodeRequest(apiVersionsApi, 0, 7, null, {}))
    const socket = await dial(kafka, '192.0.2.7')
    socket.write(request)
    const [frame] = (await once(socket, 'data')) as [Buffer]
    expect(frame.readInt32BE(4)).toBe(7)
    const bare = await dial(kafka, null)
    bare.write(request)
    await once(bare.resume(), 'close')
  })
})

describe('a listener behind a proxy', () => {
  it('counts as one that other hosts reach, wherever it listens', async () => {
    await expect(world.start({ mqtt: proxy })).rejects.toThrow(
      /mqtt.*other hosts can reach this listener, and it lets anybody in \(add authentication: password or token, saslMechanisms/s,
    )
    await expect(world.start({ kafka: proxy })).rejects.toThrow(/kafka.*it lets anybody in/s)
  })
})

describe('the status of an appliance', () => {
  it('names every MQTT listener with the connections of its own', async () => {
    const path = join(folder, 'mqtt.sock')
    const { mqtt } = await world.start({
      listeners: {
        mqtt: [{ listen: '127.0.0.1:0' }, { listen: '127.0.0.1:0', webSocket: {} }, { listen: `unix:${path}` }],
      },
    })
    await dial(mqtt, null)
    const byFile = net.connect(path)
    sockets.push(byFile)
    await once(byFile, 'connect')
    const listeners = () => world.status().listeners.filter(({ protocol }) => protocol === 'mqtt')
    while (listeners().reduce((sum, { connections }) => sum + connections, 0) < 2) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(listeners().map((each) => [each.path, each.connections])).toEqual([
      [null, 1],
      [null, 0],
      [path, 1],
    ])
  })
})
