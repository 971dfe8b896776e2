/** What runs in the field over MQTT: Sparkplug B, discovery as Home Assistant does it, many kept sessions that come back together. */
import { strict as assert } from 'node:assert'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { repositoryRoot, type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { foreignPython, pythonMissing } from '../python.ts'
import { decodePayload, encodePayload, type Metric } from '../sparkplug-payload.ts'

interface Heard {
  readonly topic: string
  readonly payload: Buffer
  readonly retain: boolean
}

/** A client of the `mqtt` package that hears from the first moment on. */
class Listener {
  readonly heard: Heard[] = []
  readonly client: MqttClient

  constructor(daemon: RunningHeadwater, clientId: string, options: IClientOptions = {}) {
    const [host = '', port = ''] = daemon.mqtt.split(':')
    const place = { host, port: Number(port), clientId, reconnectPeriod: 0, manualConnect: true }
    this.client = mqtt.connect({ ...place, ...options })
    this.client.on('message', (topic, payload, { retain }) => void this.heard.push({ topic, payload, retain }))
    this.client.on('error', () => {})
  }

  async connect(): Promise<this> {
    const connected = new Promise<void>((resolve, reject) => {
      this.client.once('connect', () => resolve())
      this.client.once('error', reject)
      this.client.once('close', () => reject(new Error('the connection was closed')))
    })
    this.client.connect()
    await connected
    return this
  }

  /** The connection goes without DISCONNECT. */
  vanish(): void {
    this.client.stream.destroy()
  }

  texts(): string[] {
    return this.heard.map(({ topic, payload, retain }) => `${retain ? 'r ' : ''}${topic} ${payload.toString()}`)
  }
}

/** Words that tell mosquitto's clients where the daemon is. */
function placeOf(daemon: RunningHeadwater): string[] {
  const [host = '', port = ''] = daemon.mqtt.split(':')
  return ['-h', host, '-p', port]
}

// -------------------------------------------------------------------------------------------- Sparkplug B

/** An edge node with one device: counts `seq` as the specification wants. */
class EdgeNode {
  readonly sent: { readonly topic: string; readonly payload: Buffer }[] = []
  readonly listener: Listener
  private seq = 0

  constructor(daemon: RunningHeadwater, bdSeq: number) {
    const payload = encodePayload({
      timestampMs: 1_700_000_000_000,
      seq: null,
      metrics: [{ name: 'bdSeq', value: bdSeq }],
    })
    this.listener = new Listener(daemon, 'edge-line1', {
      ...{ clean: true, protocolVersion: 4 },
      will: { topic: 'spBv1.0/plant/NDEATH/line1', payload, qos: 1, retain: false },
    })
  }

  async say(type: string, metrics: readonly Metric[]): Promise<void> {
    if (type === 'NBIRTH') this.seq = 0
    const device = type.startsWith('D') ? '/press' : ''
    const topic = `spBv1.0/plant/${type}/line1${device}`
    const payload = encodePayload({ timestampMs: Date.now(), seq: this.seq++ % 256, metrics })
    this.sent.push({ topic, payload })
    await this.listener.client.publishAsync(topic, payload, { qos: 0 })
  }

  async born(bdSeq: number): Promise<void> {
    await this.say('NBIRTH', [
      { name: 'bdSeq', value: bdSeq },
      { name: 'Node Control/Rebirth', value: false },
    ])
    await this.say('DBIRTH', [{ name: 'pressure', value: 7 }])
  }
}

/** Types and sequence numbers of what a host has heard of the edge node. */
function storyOf(host: Listener): string[] {
  return host.heard
    .filter(({ topic }) => topic.startsWith('spBv1.0/plant/') && !topic.includes('NCMD'))
    .map(({ topic, payload }) => {
      const { seq, metrics } = decodePayload(payload)
      return `${topic.split('/')[2]} ${seq ?? `bdSeq ${String(metrics[0]?.value)}`}`
    })
}

export const sparkplugSequence: InteropCase = {
  name: 'Sparkplug: a primary host and an edge node go through birth, data, rebirth and death, a kill of the daemon among them; paho reads the certificates',
  missing: () => pythonMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const configFile = `${folder}/headwater.yaml`
    writeFileSync(configFile, 'mqtt:\n  sparkplug: {}\nkafka: { num.partitions: 4 }\n')
    const options = { dataDir: `${folder}/data`, configFile, logFile: `${folder}/daemon.log` }
    let daemon = await startHeadwater(options)
    const clients: Listener[] = []
    try {
      const state = 'spBv1.0/STATE/scada'
      const hostOptions: IClientOptions = {
        ...{ clean: false, protocolVersion: 5, properties: { sessionExpiryInterval: 3600 } },
        will: { topic: state, payload: Buffer.from('{"online":false,"timestamp":1}'), qos: 1, retain: true },
      }
      let host = await new Listener(daemon, 'scada', hostOptions).connect()
      clients.push(host)
      await host.client.subscribeAsync('spBv1.0/#', { qos: 1 })
      await host.client.publishAsync(state, '{"online":true,"timestamp":1}', { qos: 1, retain: true })

      const edge = new EdgeNode(daemon, 0)
      clients.push(await edge.listener.connect())
      await edge.listener.client.subscribeAsync([state, 'spBv1.0/plant/NCMD/line1/#'], { qos: 1 })
      await until(() => edge.listener.texts().length > 0, 10_000, 'STATE')
      assert.deepEqual(edge.listener.texts(), [`r ${state} {"online":true,"timestamp":1}`])
      await edge.born(0)
      await edge.say('NDATA', [{ name: 'load', value: 3 }])
      await edge.say('DDATA', [{ name: 'pressure', value: 8 }])
      await until(() => storyOf(host).length === 4, 10_000, 'four messages')
      assert.deepEqual(storyOf(host), ['NBIRTH 0', 'DBIRTH 1', 'NDATA 2', 'DDATA 3'])

      const rebirth = encodePayload({
        ...{ timestampMs: Date.now(), seq: null },
        metrics: [{ name: 'Node Control/Rebirth', value: true }],
      })
      await host.client.publishAsync('spBv1.0/plant/NCMD/line1', rebirth, { qos: 0 })
      const asked = (): Heard | undefined => edge.listener.heard.find(({ topic }) => topic.includes('NCMD'))
      await until(() => asked() !== undefined, 10_000, 'NCMD')
      assert.deepEqual(decodePayload(asked()?.payload ?? Buffer.alloc(0)).metrics, [
        { name: 'Node Control/Rebirth', value: true },
      ])
      await edge.born(0)
      await edge.say('DDATA', [{ name: 'pressure', value: 9 }])
      await until(() => storyOf(host).length === 7, 10_000, 'the rebirth')
      edge.listener.vanish()
      await until(() => storyOf(host).length === 8, 10_000, 'the death')
      assert.deepEqual(storyOf(host).slice(4), ['NBIRTH 0', 'DBIRTH 1', 'DDATA 2', 'NDEATH bdSeq 0'])
      assert.equal(host.heard.at(-1)?.retain, false)

      const again = new EdgeNode(daemon, 1)
      clients.push(await again.listener.connect())
      await again.born(1)
      await until(() => storyOf(host).length === 10, 10_000, 'the second birth')
      // What was acknowledged more than a second ago does not come again.
      await until(() => false, 1500, 'nothing').catch(() => {})
      host.heard.splice(0)
      await daemon.kill()
      daemon = await startHeadwater(options)
      host = await new Listener(daemon, 'scada', hostOptions).connect()
      clients.push(host)
      await until(() => storyOf(host).length > 0, 10_000, 'the death by the kill')
      assert.deepEqual([...new Set(storyOf(host))], ['NDEATH bdSeq 1'])

      const python = foreignPython()
      const [, port = ''] = daemon.mqtt.split(':')
      const script = `${repositoryRoot}/test/interop/programs/paho-late-host.py`
      const certificates = lines(await output(python.path ?? '', [script, port, '2'], { timeoutMs: 25_000 }))
      const [nbirth, dbirth] = again.sent
      assert.deepEqual(
        certificates,
        [dbirth, nbirth].map(
          (birth) => `1 1 $sparkplug/certificates/${birth?.topic} ${birth?.payload.toString('hex')}`,
        ),
      )
      await assertOneOrder(
        daemon,
        [...edge.sent, ...again.sent].map(({ topic }) => topic),
      )
    } finally {
      for (const { client } of clients) client.end(true)
      await daemon.stop()
    }
  },
}

/** Kafka consumers read all that an edge node has sent in one partition, in its order. */
async function assertOneOrder(daemon: RunningHeadwater, sent: readonly string[]): Promise<void> {
  const read = lines(await output('kcat', ['-C', '-b', daemon.kafka, '-t', 'sparkplug', '-e', '-q', '-f', '%p %k\n']))
  const ofEdge = read.map((line) => line.split(' ')).filter(([, key = '']) => /\/[ND](BIRTH|DATA)\//.test(key))
  assert.equal(new Set(ofEdge.map(([partition]) => partition)).size, 1)
  assert.deepEqual(
    ofEdge.map(([, key]) => key),
    sent,
  )
}

// ---------------------------------------------------------------------------- discovery of Home Assistant

export const homeDiscovery: InteropCase = {
  name: 'discovery with retained topics: configurations, birth and last will live over restarts, an empty payload takes them away (mosquitto clients, mqtt)',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub'),
  async run(folder) {
    const options = { dataDir: `${folder}/data`, logFile: `${folder}/daemon.log` }
    let daemon = await startHeadwater(options)
    const clients: Listener[] = []
    const config = (kind: string, id: string): string => `homeassistant/${kind}/press/${id}/config`
    const retain = (topic: string, text: string | null): Promise<string> => {
      const what = text === null ? ['-n'] : ['-m', text]
      return output('mosquitto_pub', [...placeOf(daemon), '-q', '1', '-r', '-t', topic, ...what])
    }
    /** What a home that starts now is given, sorted. */
    const discovered = async (): Promise<string[]> => {
      const filters = ['-t', 'homeassistant/+/+/+/config', '-t', 'press/status']
      const said = await program('mosquitto_sub', [
        ...placeOf(daemon),
        '-q',
        '1',
        ...filters,
        '-W',
        '2',
        '-F',
        '%r %t %p',
      ])
      return lines(said.stdout).toSorted()
    }
    try {
      const temperature = '{"name":"Temperature","state_topic":"press/temp","availability_topic":"press/status"}'
      const door = '{"name":"Door","state_topic":"press/door","availability_topic":"press/status"}'
      await retain(config('sensor', 'temp'), temperature)
      await retain(config('binary_sensor', 'door'), door)
      const will = { topic: 'press/status', payload: Buffer.from('offline'), qos: 1 as const, retain: true }
      let device = await new Listener(daemon, 'press', { will, protocolVersion: 4 }).connect()
      clients.push(device)
      await device.client.subscribeAsync('homeassistant/status', { qos: 1 })
      await device.client.publishAsync('press/status', 'online', { qos: 1, retain: true })
      const configs = [`1 ${config('binary_sensor', 'door')} ${door}`, `1 ${config('sensor', 'temp')} ${temperature}`]
      assert.deepEqual(await discovered(), [...configs, '1 press/status online'])

      // The home starts: devices hear its birth and tell their state.
      await output('mosquitto_pub', [...placeOf(daemon), '-q', '1', '-t', 'homeassistant/status', '-m', 'online'])
      await until(() => device.texts().includes('homeassistant/status online'), 10_000, 'the birth of the home')

      const isOffline = async (): Promise<boolean> => (await discovered()).includes('1 press/status offline')
      await daemon.kill()
      daemon = await startHeadwater(options)
      await until(isOffline, 10_000, 'the last will of who was connected at the kill')
      assert.deepEqual(await discovered(), [...configs, '1 press/status offline'])
      device = await new Listener(daemon, 'press', { will, protocolVersion: 5 }).connect()
      clients.push(device)
      await device.client.publishAsync('press/status', 'online', { qos: 1, retain: true })
      assert.deepEqual(await discovered(), [...configs, '1 press/status online'])
      device.vanish()
      await until(isOffline, 10_000, 'the last will')

      await retain(config('binary_sensor', 'door'), null)
      const left = [`1 ${config('sensor', 'temp')} ${temperature}`, '1 press/status offline']
      assert.deepEqual(await discovered(), left)
      await daemon.stop()
      daemon = await startHeadwater(options)
      assert.deepEqual(await discovered(), left)
    } finally {
      for (const { client } of clients) client.end(true)
      await daemon.stop()
    }
  },
}

// -------------------------------------------------------------------------------------- kept sessions

const fleet = 60
const topicCount = 6
const linesPerTopic = 500

export const sessionsComeBack: InteropCase = {
  name: 'kept sessions of mqtt and mosquitto_sub that come back together after a restart get what was theirs, in order, and the log is read for all of them',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub'),
  async run(folder) {
    const options = { dataDir: `${folder}/data`, logFile: `${folder}/daemon.log` }
    let daemon = await startHeadwater(options)
    const kept: IClientOptions = { clean: false, protocolVersion: 4 }
    const filterOf = (index: number): string => (index === 0 ? 'fleet/#' : `fleet/${index % topicCount}/+`)
    const sessions = (): Listener[] =>
      Array.from({ length: fleet }, (_each, index) => new Listener(daemon, `kept-${index}`, kept))
    const mosquitto = ['-c', '-i', 'kept-mosquitto', '-q', '1', '-t', 'fleet/3/#']
    let clients = sessions()
    try {
      for (const [index, session] of clients.entries()) {
        await session.connect()
        await session.client.subscribeAsync(filterOf(index), { qos: 1 })
        await session.client.endAsync()
      }
      await program('mosquitto_sub', [...placeOf(daemon), ...mosquitto, '-E'])
      const numbers = Array.from({ length: linesPerTopic }, (_each, index) => `reading-${index}`)
      const stdin = `${numbers.join('\n')}\n`
      for (let topic = 0; topic < topicCount; topic += 1)
        await output('mosquitto_pub', [...placeOf(daemon), '-q', '1', '-t', `fleet/${topic}/x`, '-l'], { stdin })
      await daemon.stop()
      daemon = await startHeadwater(options)
      clients = sessions()
      await Promise.all(clients.map((session) => session.connect()))
      const due = (index: number): number => (index === 0 ? topicCount : 1) * linesPerTopic
      await until(() => clients.every(({ heard }, index) => heard.length >= due(index)), 60_000, 'all messages')
      for (const [index, session] of clients.entries()) {
        assert.equal(session.heard.length, due(index))
        for (const topic of new Set(session.heard.map((each) => each.topic))) {
          const ofTopic = session.heard.filter((each) => each.topic === topic).map(({ payload }) => payload.toString())
          assert.deepEqual(ofTopic, numbers)
        }
      }
      const count = String(linesPerTopic)
      const heard = await program('mosquitto_sub', [...placeOf(daemon), ...mosquitto, '-C', count, '-W', '20'])
      assert.deepEqual(lines(heard.stdout), numbers)
      const metrics = await (await fetch(`http://${daemon.http}/metrics`)).text()
      const read = Number(/^headwater_mqtt_backlog_read_bytes_total (\S+)/m.exec(metrics)?.[1])
      // How many come in one another's company is a matter of their clients: far from one read for each of the sessions in any case.
      const readsMax = fleet / 2
      assert.ok(read > 0 && read < readsMax * logBytes(`${folder}/data/log`), `${read} bytes were read`)
    } finally {
      for (const { client } of clients) client.end(true)
      await daemon.stop()
    }
  },
}

function logBytes(directory: string): number {
  const folders = readdirSync(directory).filter((name) => name.startsWith('fleet-'))
  const files = folders.flatMap((name) =>
    readdirSync(`${directory}/${name}`).map((file) => `${directory}/${name}/${file}`),
  )
  return files.filter((file) => file.endsWith('.log')).reduce((sum, file) => sum + statSync(file).size, 0)
}
