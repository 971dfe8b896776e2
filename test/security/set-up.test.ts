/**
 * `headwater setup` at a daemon that serves anonymous clients: from one moment to the next it does not, without a restart, and wherever
 * set-up or the daemon is killed, the next start is as open or as closed as the file says and another run goes on.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { metadataApi } from '../../src/protocol/kafka/apis.ts'
import { KafkaTalk } from '../attack/kafka-talk.ts'
import { RawClient } from '../attack/raw-client.ts'
import { until } from '../interop/case.ts'
import { daemonEnvironment } from '../interop/headwater.ts'
import { adminPassword, asAdmin, OpenNode, type SetupPlaces } from './open-node.ts'

const openText = '# A box.\nlisteners: { kafka: [{ listen: "127.0.0.1:0" }], mqtt: [{ listen: "127.0.0.1:0" }] }\n'
const alterUsersKey = 51
let node: OpenNode

beforeEach(async () => {
  node = new OpenNode(openText)
  await node.start()
})
afterEach(async () => {
  await node.remove()
})

describe('set-up at a daemon that runs', () => {
  it('ends every client without a name at once, lets none in again, and leaves the admin every right', {
    timeout: 60_000,
  }, async () => {
    const talk = await KafkaTalk.connect(node.daemon.kafka)
    await talk.ask(metadataApi, { topics: [], allowAutoTopicCreation: false })
    const silent = [await RawClient.connect(node.daemon.kafka), await RawClient.connect(node.daemon.mqtt)]
    const client = await node.mqtt({
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
    const outcome = await node.setup()
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/At once, without a restart, .*; connections without one that were ended: [4-9]/)
    expect(await last).toBe(0x87)
    await gone
    for (const each of [talk.raw, ...silent]) await each.closed()
    await node.isClosed()
    const admin = await node.mqtt({ ...asAdmin, clientId: 'control' })
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
    const heir = await node.mqtt({ ...asAdmin, clientId: 'press', clean: false })
    const inherited: string[] = []
    heir.on('message', (topic) => inherited.push(topic))
    await heir.publishAsync('alarm/later', 'now', { qos: 1 })
    await until(() => inherited.includes('alarm/later'), 10_000, 'what is published later')
    expect(inherited).toEqual(['alarm/later'])
    await heir.endAsync()
    // The authorizer decides, for Kafka's tools too.
    const grant = await node.headwater(['role', 'grant', 'device', 'press-1', '--topic', 'press'], { asAdmin: true })
    expect(grant).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(node.logFile, 'utf8')).toMatch(/set-up/)
    await node.restart('kill')
    await node.isClosed()
    expect(await node.setup()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing to do/) })
  })

  it('takes rights from who has a name, too, where there was no authorizer', { timeout: 60_000 }, async () => {
    const named = openText.replace('"127.0.0.1:0" }] }', '"127.0.0.1:0", authentication: password }] }')
    writeFileSync(node.file, named)
    const made = await node.headwater(['users', 'set', 'press-1'], { asAdmin: false, input: `${adminPassword}\n` })
    expect(made).toMatchObject({ code: 0 })
    await node.restart('stop')
    const press = await node.mqtt({ username: 'press-1', password: adminPassword, clientId: 'press' })
    await press.publishAsync('press/heat', '70', { qos: 1 })
    expect(await node.setup()).toMatchObject({ code: 0 })
    await expect(press.publishAsync('press/heat', '71', { qos: 1 })).rejects.toThrow(/[Nn]ot authorized/)
    await press.endAsync()
  })

  it('does not close for who has no password, or no name: nobody could come back', { timeout: 60_000 }, async () => {
    expect(await node.status('/api/setup', {}, 'POST')).toBe(401)
    expect(await node.statusAsAdmin('/api/setup', 'POST')).toBe(401)
    await node.isOpen()
  })
})

/** A door in front of the daemon: what passes it is looked at, `false` ends it. */
async function relay(
  target: string,
  passes: (frame: Buffer) => boolean,
  answers: () => boolean = () => true,
): Promise<{ place: string; close(): void }> {
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
    upstream.on('data', (bytes: Buffer) => {
      if (answers()) client.write(bytes)
    })
    upstream.once('end', () => client.end())
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
  const child: ChildProcess = spawn('sh', [...node.setupWords(places)], { stdio: 'ignore', env: daemonEnvironment() })
  const ended = once(child, 'exit')
  await Promise.race([when, ended.then(() => Promise.reject(new Error('set-up ended before it was killed')))])
  child.kill('SIGKILL')
  await ended
}

/** The admin has his credentials; set-up does not hear of it any more. */
async function killedBehindTheCredentials(): Promise<void> {
  let isMade = false
  let reached: () => void = () => {}
  const when = new Promise<void>((resolve) => (reached = resolve))
  const asks = (bytes: Buffer): boolean => {
    isMade ||= bytes.length > 6 && bytes.readInt16BE(4) === alterUsersKey
    return true
  }
  const front = await relay(node.daemon.kafka, asks, () => {
    if (isMade) reached()
    return !isMade
  })
  await killedSetup({ kafka: front.place }, when)
  front.close()
}

async function killedBeforeTheDaemonIsTold(): Promise<void> {
  let reached: () => void = () => {}
  const when = new Promise<void>((resolve) => (reached = resolve))
  const front = await relay(node.daemon.http, () => {
    reached()
    return false
  })
  await killedSetup({ http: front.place }, when)
  front.close()
}

describe('set-up that is killed between its steps', { timeout: 90_000 }, () => {
  it('before the file: the node is open as before, also after a crash, and another run closes it', async () => {
    await killedBehindTheCredentials()
    expect(readFileSync(node.file, 'utf8')).toBe(openText)
    await node.isOpen()
    await node.restart('kill')
    await node.isOpen()
    expect(await node.setup()).toMatchObject({ code: 0, stderr: '' })
    await node.isClosed()
  })

  it('behind the file: the next start is closed', async () => {
    await killedBeforeTheDaemonIsTold()
    expect(readFileSync(node.file, 'utf8')).toContain('super.users')
    await node.restart('kill')
    await node.isClosed()
    expect(await node.setup()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing to do/) })
  })

  it('behind the file: another run, with the right password, closes the daemon that still runs', async () => {
    await killedBeforeTheDaemonIsTold()
    await node.isOpen()
    const wrong = join(node.folder, 'wrong')
    writeFileSync(wrong, 'not wonderland\n')
    expect(await node.setup({ passwordFile: wrong })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/was not told of it.*anonymous|was not told of it.*without a name/),
    })
    await node.isOpen()
    expect(await node.setup()).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/what it said before/),
    })
    await node.isClosed()
  })

  it('a daemon that is not reached is not said to be closed', async () => {
    const untold = await node.setup({ http: '127.0.0.1:1' })
    expect(untold).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/CLI_SETUP_NOT_IN_FORCE|was not told of it/),
    })
    await node.isOpen()
  })
})
