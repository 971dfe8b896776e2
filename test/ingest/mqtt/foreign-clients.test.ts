/** The `mqtt` package and mosquitto's programs against the door on real sockets and a real disk. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MqttDoor } from '../../../src/ingest/mqtt/mqtt-door.ts'
import { mqttDoorDefaults } from '../../../src/ingest/mqtt/mqtt-options.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import { type NodePorts, nodePorts } from '../../../src/node/node-ports.ts'
import { Authenticator } from '../../../src/security/authenticator.ts'
import { ScramCredentials } from '../../../src/security/scram-credentials.ts'
import { SimObserver } from '../../sim/sim-observer.ts'
import { openBroker } from './broker-world.ts'
import { addUser, ScramClient } from './scram-client.ts'

const run = promisify(execFile)

/** A program that is not there has no exit status; that of its help may be anything. */
const isInstalled = (program: string): boolean => spawnSync(program, ['--help'], { stdio: 'ignore' }).status !== null
const hasMosquitto = ['mosquitto_pub', 'mosquitto_sub', 'mosquitto_rr'].every(isInstalled)
if (!hasMosquitto) console.log('mosquitto_pub: skipped: not installed (Debian: apt-get install mosquitto-clients)')

let folder = ''
let port = 0
let webSocketPort = 0
let unixPath = ''
let scramPort = 0
const credentials = new ScramCredentials()
let ports: NodePorts
let directory: LogDirectory
let door: MqttDoor

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mqtt-door-'))
  ports = nodePorts({
    observer: new SimObserver(
      () => 0,
      () => {},
    ),
  })
  const rooms = await openBroker(folder, ports)
  directory = rooms.directory
  const { broker } = rooms
  const authenticator = new Authenticator({ ...ports, credentials, failureDelayMs: () => 10 })
  door = new MqttDoor({ ...ports, broker, options: mqttDoorDefaults, version: '1.2.3', bootId: 'b001', authenticator })
  broker.onTopicsChange(() => door.onPartitionsChanged())
  const local = { host: '127.0.0.1', port: 0 }
  port = (await door.listen(local)).port
  webSocketPort = (await door.listen(local, { webSocket: { path: '/mqtt', allowedOrigins: [] } })).port
  unixPath = join(folder, 'mqtt.sock')
  await door.listen({ path: unixPath, mode: 0o660 })
  addUser(credentials, 'alice', 'wonder', 'SCRAM-SHA-512')
  scramPort = (await door.listen(local, { saslMechanisms: ['SCRAM-SHA-512'] })).port
})

afterAll(async () => {
  await door.stop()
  await directory.close()
  await ports.close()
  rmSync(folder, { recursive: true })
})

interface Heard {
  readonly client: MqttClient
  /** Resolves when as many messages have come. */
  messages(count: number): Promise<string[]>
}

async function connect(options: mqtt.IClientOptions): Promise<Heard> {
  const client = mqtt.connect({ host: '127.0.0.1', port, reconnectPeriod: 0, ...options })
  const heard: string[] = []
  let wake = (): void => {}
  client.on('message', (topic: string, payload: Buffer, packet: IPublishPacket) => {
    heard.push(`${topic}=${payload.toString()} q${packet.qos}`)
    wake()
  })
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
  })
  const messages = (count: number): Promise<string[]> =>
    new Promise((resolve) => {
      wake = () => {
        if (heard.length >= count) resolve(heard)
      }
      wake()
    })
  return { client, messages }
}

describe.each([4, 5] as const)('the mqtt package at level %i', (protocolVersion) => {
  it('publishes at every quality and hears itself and others', async () => {
    const clean = { protocolVersion, clean: true }
    const subscriber = await connect({ ...clean, clientId: `sub${protocolVersion}` })
    await subscriber.client.subscribeAsync(`mix${protocolVersion}/#`, { qos: 2 })
    const publisher = await connect({ ...clean, clientId: `pub${protocolVersion}` })
    for (const qos of [0, 1, 2] as const)
      await publisher.client.publishAsync(`mix${protocolVersion}/a`, `at ${qos}`, { qos })
    expect((await subscriber.messages(3)).toSorted()).toEqual([
      `mix${protocolVersion}/a=at 0 q0`,
      `mix${protocolVersion}/a=at 1 q1`,
      `mix${protocolVersion}/a=at 2 q2`,
    ])
    await publisher.client.endAsync()
    await subscriber.client.endAsync()
  })

  it('comes back to its session', async () => {
    const kept = {
      protocolVersion,
      clean: false,
      clientId: `kept${protocolVersion}`,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    }
    const first = await connect(kept)
    await first.client.subscribeAsync(`kept${protocolVersion}/#`, { qos: 1 })
    await first.client.endAsync()
    const publisher = await connect({ protocolVersion, clean: true, clientId: `other${protocolVersion}` })
    await publisher.client.publishAsync(`kept${protocolVersion}/a`, 'meanwhile', { qos: 1 })
    const again = await connect(kept)
    expect(await again.messages(1)).toEqual([`kept${protocolVersion}/a=meanwhile q1`])
    await again.client.endAsync()
    await publisher.client.endAsync()
  })
})

describe.each([3, 4, 5] as const)('the mqtt package over WebSocket at level %i', (protocolVersion) => {
  it('publishes what a client over TCP hears, and hears what that one publishes', async () => {
    const topic = `mosquitto/web${protocolVersion}`
    const old = protocolVersion === 3 ? ({ protocolId: 'MQIsdp' } as const) : {}
    const options = { protocol: 'ws', path: '/mqtt', port: webSocketPort, protocolVersion, ...old } as const
    const web = await connect({ ...options, clientId: `web${protocolVersion}` })
    const plain = await connect({ clientId: `plain${protocolVersion}` })
    for (const { client } of [web, plain]) await client.subscribeAsync(`${topic}/#`, { qos: 1 })
    const large = 'x'.repeat(200_000)
    await web.client.publishAsync(`${topic}/large`, large, { qos: 2 })
    await plain.client.publishAsync(`${topic}/small`, 'small', { qos: 1 })
    for (const { messages } of [web, plain]) {
      expect((await messages(2)).toSorted()).toEqual([`${topic}/large=${large} q1`, `${topic}/small=small q1`])
    }
    for (const { client } of [web, plain]) await client.endAsync()
  })
})

describe('the mqtt package with enhanced authentication', () => {
  it.each([
    ['wonder', 'let in'],
    ['guess', 'Not authorized'],
  ])('with the password %s is answered: %s', async (password, expected) => {
    const scram = new ScramClient('SCRAM-SHA-512', 'alice', password)
    const method = { authenticationMethod: 'SCRAM-SHA-512' }
    const client = mqtt.connect({
      host: '127.0.0.1',
      port: scramPort,
      protocolVersion: 5,
      clientId: 'scram',
      reconnectPeriod: 0,
      properties: { ...method, authenticationData: scram.first() },
    })
    client.handleAuth = (packet, callback) => {
      const authenticationData = scram.final(packet.properties?.authenticationData ?? Buffer.alloc(0))
      callback(undefined, { cmd: 'auth', reasonCode: 0x18, properties: { ...method, authenticationData } })
    }
    const outcome = await new Promise<string>((resolve) => {
      client.once('connect', ({ properties }) => {
        const proof = properties?.authenticationData ?? Buffer.alloc(0)
        resolve(scram.isServerProved(proof) ? 'let in' : 'the server has not proved itself')
      })
      client.once('error', ({ message }) => resolve(message))
    })
    client.end(true)
    expect(outcome).toContain(expected)
  })
})

describe.skipIf(!hasMosquitto)('mosquitto_pub and mosquitto_sub', () => {
  it('speak through a Unix socket', async () => {
    const subscriber = await connect({ clientId: 'watch-unix' })
    await subscriber.client.subscribeAsync('mosquitto/unix/#', { qos: 1 })
    await run('mosquitto_pub', ['--unix', unixPath, '-t', 'mosquitto/unix/a', '-m', 'by file', '-q', '1'])
    expect(await subscriber.messages(1)).toEqual(['mosquitto/unix/a=by file q1'])
    await subscriber.client.endAsync()
  })

  it.each(['mqttv31', 'mqttv311', 'mqttv5'])('speak %s', async (version) => {
    const place = ['-h', '127.0.0.1', '-p', String(port), '-V', version]
    const topic = `mosquitto/${version}`
    const subscriber = await connect({ clientId: `watch-${version}` })
    await subscriber.client.subscribeAsync(topic, { qos: 1 })
    const heard = run('mosquitto_sub', [...place, '-q', '1', '-t', topic, '-C', '1', '-W', '20'])
    // Until the other subscriber is there, what is published is heard by ours only.
    let isHeard = false
    void heard.finally(() => {
      isHeard = true
    })
    for (let count = 1; !isHeard; count += 1) {
      await run('mosquitto_pub', [...place, '-q', String(count % 3), '-t', topic, '-m', 'reading'])
      await subscriber.messages(count)
    }
    expect((await heard).stdout).toBe('reading\n')
    await subscriber.client.endAsync()
  })

  it('asks and is answered: mosquitto_rr', async () => {
    const responder = await connect({ clientId: 'responder', protocolVersion: 5 })
    await responder.client.subscribeAsync('mosquitto/ask', { qos: 1 })
    responder.client.on('message', (_topic, payload, packet) => {
      const { responseTopic, correlationData } = packet.properties ?? {}
      if (responseTopic === undefined) return
      const properties = correlationData === undefined ? {} : { correlationData }
      responder.client.publish(responseTopic, `re ${payload.toString()}`, { qos: 1, properties })
    })
    const place = ['-h', '127.0.0.1', '-p', String(port), '-V', 'mqttv5', '-W', '20']
    const asked = await run('mosquitto_rr', [
      ...place,
      '-q',
      '1',
      '-t',
      'mosquitto/ask',
      '-e',
      'mosquitto/answer',
      '-m',
      'who',
    ])
    expect(asked.stdout).toBe('re who\n')
    await responder.client.endAsync()
  })

  it.each(['mqttv31', 'mqttv311', 'mqttv5'])('set and get a retained message, %s', async (version) => {
    const place = ['-h', '127.0.0.1', '-p', String(port), '-V', version]
    const topic = `kept/${version}`
    await run('mosquitto_pub', [...place, '-q', '1', '-r', '-t', topic, '-m', 'state'])
    const { stdout } = await run('mosquitto_sub', [...place, '-t', 'kept/#', '-C', '1', '-W', '20', '-F', '%t %p %r'])
    expect(stdout).toBe(`${topic} state 1\n`)
    await run('mosquitto_pub', [...place, '-q', '1', '-r', '-t', topic, '-n'])
  })
})
