/**
 * `headwater setup` at a daemon that serves anonymous clients: from one moment to the next it does not, without a restart, and wherever
 * set-up or the daemon is killed, the next start is as open or as closed as the file says and another run goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { metadataApi } from '../../src/protocol/kafka/apis.ts'
import { KafkaTalk } from '../attack/kafka-talk.ts'
import { RawClient } from '../attack/raw-client.ts'
import { until } from '../interop/case.ts'
import { daemonEnvironment, type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { runProgram } from './appliance-world.ts'

const password = 'wonderland-7'
const openText = '# A box.\nlisteners: { kafka: [{ listen: "127.0.0.1:0" }], mqtt: [{ listen: "127.0.0.1:0" }] }\n'
const alterUsersKey = 51
let folder: string
let file: string
let passwordFile: string
let daemon: RunningHeadwater

async function start(): Promise<void> {
  daemon = await startHeadwater({
    dataDir: join(folder, 'data'),
    configFile: file,
    logFile: join(folder, 'log'),
    kafkaPort: null,
    mqttPort: null,
  })
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-set-up-'))
  file = join(folder, 'headwater.yaml')
  passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${password}\n`)
  writeFileSync(file, openText)
  await start()
})
afterEach(async () => {
  await daemon.kill()
  rmSync(folder, { recursive: true, force: true })
})

interface SetupPlaces {
  readonly kafka?: string
  readonly http?: string
  readonly passwordFile?: string
}

function setupWords(places: SetupPlaces = {}): readonly string[] {
  const { kafka = daemon.kafka, http = daemon.http } = places
  const secret = ['--password-file', places.passwordFile ?? passwordFile]
  return [...sourceCommand.slice(1), 'setup', '--config', file, ...secret, '-b', kafka, '--http', http]
}

const setup = (places: SetupPlaces = {}) => runProgram('sh', setupWords(places))
const asAdmin = () => ['-b', daemon.kafka, '--user', 'admin', '--password-file', passwordFile]
const headwater = (words: readonly string[]) => runProgram('sh', [...sourceCommand.slice(1), ...words])
const basic = { authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` }

async function status(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  return (await fetch(`http://${daemon.http}${path}`, { headers, method })).status
}

function mqtt(options: IClientOptions = {}): Promise<MqttClient> {
  const [host = '', port = ''] = daemon.mqtt.split(':')
  return connectAsync({ host, port: Number(port), protocolVersion: 5, reconnectPeriod: 0, ...options })
}

const named: IClientOptions = { username: 'admin', password }

/** A Kafka client without a name asks for metadata: whether it gets any. */
async function servesKafka(): Promise<boolean> {
  const talk = await KafkaTalk.connect(daemon.kafka)
  try {
    await talk.ask(metadataApi, { topics: [], allowAutoTopicCreation: false })
    return true
  } catch {
    return false
  } finally {
    talk.raw.socket.destroy()
  }
}

async function isOpen(): Promise<void> {
  expect(await status('/api/status')).toBe(200)
  expect(await servesKafka()).toBe(true)
  await (await mqtt()).endAsync()
}

async function isClosed(): Promise<void> {
  expect(await status('/api/status')).toBe(401)
  expect(await status('/metrics')).toBe(401)
  expect(await status('/api/setup', {}, 'POST')).toBe(401)
  expect(await servesKafka()).toBe(false)
  await expect(mqtt()).rejects.toThrow(/[Nn]ot authorized|[Bb]ad [Uu]ser/)
  expect(await status('/api/status', basic)).toBe(200)
  await (await mqtt(named)).endAsync()
}

describe('set-up at a daemon that runs', () => {
  it('ends every client without a name at once, lets none in again, and leaves the admin every right', {
    timeout: 60_000,
  }, async () => {
    const talk = await KafkaTalk.connect(daemon.kafka)
    await talk.ask(metadataApi, { topics: [], allowAutoTopicCreation: false })
    const silent = [await RawClient.connect(daemon.kafka), await RawClient.connect(daemon.mqtt)]
    const client = await mqtt({
      clientId: 'press',
      clean: false,
      properties: { sessionExpiryInterval: 3600 },
      will: { topic: 'alarm/press', payload: Buffer.from('gone'), qos: 1, retain: true },
    })
    await client.subscribeAsync('#', { qos: 1 })
    const last = new Promise<number | undefined>((resolve) => {
      client.once('disconnect', ({ reasonCode }) => resolve(reasonCode))
    })
    const gone = new Promise<void>((resolve) => client.once('close', () => resolve()))
    const outcome = await setup()
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/At once, without a restart, .*; connections without one that were ended: [4-9]/)
    expect(await last).toBe(0x87)
    await gone
    for (const each of [talk.raw, ...silent]) await each.closed()
    await isClosed()
    const admin = await mqtt({ ...named, clientId: 'control' })
    const heard: string[] = []
    admin.on('message', (topic) => heard.push(topic))
    // Stored behind the will, if the will was stored.
    await admin.publishAsync('alarm/control', 'here', { qos: 1, retain: true })
    await admin.subscribeAsync('alarm/#', { qos: 1 })
    await admin.publishAsync('alarm/end', 'live', { qos: 1 })
    await until(() => heard.includes('alarm/end'), 10_000, 'what is published live')
    expect(heard).toEqual(['alarm/control', 'alarm/end'])
    await admin.endAsync()
    // The session of the anonymous client is still there for one with a name, and what was published since was not put into it.
    const heir = await mqtt({ ...named, clientId: 'press', clean: false })
    const inherited: string[] = []
    heir.on('message', (topic) => inherited.push(topic))
    await heir.publishAsync('alarm/later', 'now', { qos: 1 })
    await until(() => inherited.includes('alarm/later'), 10_000, 'what is published later')
    expect(inherited).toEqual(['alarm/later'])
    await heir.endAsync()
    // The authorizer decides, for Kafka's tools too.
    const grant = await headwater(['role', 'grant', 'device', 'press-1', '--topic', 'press', ...asAdmin()])
    expect(grant).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(join(folder, 'log'), 'utf8')).toMatch(/set-up/)
    await daemon.kill()
    await start()
    await isClosed()
    expect(await setup()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing to do/) })
  })

  it('takes rights from who has a name, too, where there was no authorizer', { timeout: 60_000 }, async () => {
    const named = openText.replace('"127.0.0.1:0" }] }', '"127.0.0.1:0", authentication: password }] }')
    writeFileSync(file, named)
    const users = ['users', 'set', 'press-1', '-b', daemon.kafka]
    const made = await runProgram('sh', [...sourceCommand.slice(1), ...users], { input: `${password}\n` })
    expect(made).toMatchObject({ code: 0 })
    await daemon.stop()
    await start()
    const press = await mqtt({ username: 'press-1', password, clientId: 'press' })
    await press.publishAsync('press/heat', '70', { qos: 1 })
    expect(await setup()).toMatchObject({ code: 0 })
    await expect(press.publishAsync('press/heat', '71', { qos: 1 })).rejects.toThrow(/[Nn]ot authorized/)
    await press.endAsync()
  })

  it('does not close for who has no password, or no name: nobody could come back', { timeout: 60_000 }, async () => {
    expect(await status('/api/setup', {}, 'POST')).toBe(401)
    expect(await status('/api/setup', basic, 'POST')).toBe(401)
    await isOpen()
  })
})

/** A door in front of the daemon: what passes it is looked at, `false` ends it. */
async function relay(target: string, passes: (frame: Buffer) => boolean): Promise<{ place: string; close(): void }> {
  const sockets = new Set<Socket>()
  const at = target.lastIndexOf(':')
  const server = createServer((client) => {
    const upstream = connectSocket(Number(target.slice(at + 1)), target.slice(0, at))
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.on('data', (bytes: Buffer) => {
      if (passes(bytes)) upstream.write(bytes)
    })
    upstream.pipe(client)
    client.once('close', () => upstream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { place: `127.0.0.1:${port}`, close }
}

/** Runs set-up and kills it, with SIGKILL, as soon as `when` has begun. */
async function killedSetup(places: SetupPlaces, when: Promise<void>): Promise<void> {
  const child: ChildProcess = spawn('sh', [...setupWords(places)], { stdio: 'ignore', env: daemonEnvironment() })
  const ended = once(child, 'exit')
  await Promise.race([when, ended.then(() => Promise.reject(new Error('set-up ended before it was killed')))])
  child.kill('SIGKILL')
  await ended
}

async function killedAtSecondCredential(): Promise<void> {
  let changes = 0
  let reached: () => void = () => {}
  const when = new Promise<void>((resolve) => (reached = resolve))
  const front = await relay(daemon.kafka, (bytes) => {
    if (bytes.length > 6 && bytes.readInt16BE(4) === alterUsersKey && ++changes === 2) reached()
    return changes < 2
  })
  await killedSetup({ kafka: front.place }, when)
  front.close()
}

async function killedBeforeTheDaemonIsTold(): Promise<void> {
  let reached: () => void = () => {}
  const when = new Promise<void>((resolve) => (reached = resolve))
  const front = await relay(daemon.http, () => {
    reached()
    return false
  })
  await killedSetup({ http: front.place }, when)
  front.close()
}

describe('set-up that is killed between its steps', { timeout: 90_000 }, () => {
  it('before the file: the node is open as before, also after a crash, and another run closes it', async () => {
    await killedAtSecondCredential()
    expect(readFileSync(file, 'utf8')).toBe(openText)
    await isOpen()
    await daemon.kill()
    await start()
    await isOpen()
    expect(await setup()).toMatchObject({ code: 0, stderr: '' })
    await isClosed()
  })

  it('behind the file: the next start is closed', async () => {
    await killedBeforeTheDaemonIsTold()
    expect(readFileSync(file, 'utf8')).toContain('super.users')
    await daemon.kill()
    await start()
    await isClosed()
    expect(await setup()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing to do/) })
  })

  it('behind the file: another run, with the right password, closes the daemon that still runs', async () => {
    await killedBeforeTheDaemonIsTold()
    await isOpen()
    const wrong = join(folder, 'wrong')
    writeFileSync(wrong, 'not wonderland\n')
    expect(await setup({ passwordFile: wrong })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/was not told of it.*anonymous|was not told of it.*without a name/),
    })
    await isOpen()
    expect(await setup()).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/what it said before/) })
    await isClosed()
  })

  it('a daemon that is not reached is not said to be closed', async () => {
    const untold = await setup({ http: '127.0.0.1:1' })
    expect(untold).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/CLI_SETUP_NOT_IN_FORCE|was not told of it/),
    })
    await isOpen()
  })
})
