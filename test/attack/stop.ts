/** SIGTERM at bad moments: under load, among clients that do not go, during recovery, twice. */
import { strict as assert } from 'node:assert'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, cpSync, existsSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { fetchApi, joinGroupApi } from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import type { RunningHeadwater } from '../interop/headwater.ts'
import { batchOfValues } from './batch-bytes.ts'
import { daemonCommand, startDaemon } from './command.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { metadataRequest } from './kafka-frames.ts'
import { connectPacket } from './mqtt-talk.ts'
import { RawClient } from './raw-client.ts'
import { type Group, type OpenGroup, pause, type Row, until, within } from './row.ts'

const kafkaTopic = 'load'
const mqttTopic = 'load-mqtt'
/** A stop waits ten seconds for running requests at most. */
const stopDeadlineMs = 15_000

export const stops: Group = {
  name: 'stop',
  async open(folder): Promise<OpenGroup> {
    return {
      rows: [underLoad(join(folder, 'load')), unread(folder), twice(join(folder, 'twice')), duringStart(folder)],
      close: async () => {},
    }
  },
}

function underLoad(dataDir: string): Row {
  return {
    name: 'SIGTERM under load, among clients that wait, fall silent or stop half-way: exit code 0, a clean marker, nothing acknowledged lost',
    async run() {
      const daemon = await startDaemon({ dataDir })
      const load = new Load(daemon)
      await load.start()
      const hangers = await clientsThatDoNotGo(daemon)
      await until(() => load.acknowledged > 500, 10_000, '500 acknowledgements')
      const code = await within(stopDeadlineMs, 'the end of the daemon', daemon.stop())
      const acknowledged = await load.end()
      for (const client of hangers) client.destroy()
      assert.equal(code, 0, 'the exit code')
      assert.ok(existsSync(join(dataDir, 'log', '.kafka_cleanshutdown')), 'the marker of a clean stop')
      await expectCleanStart(dataDir, acknowledged)
    },
  }
}

interface Acknowledged {
  readonly kafka: ReadonlyMap<string, number>
  readonly mqtt: readonly string[]
}

async function expectCleanStart(dataDir: string, acknowledged: Acknowledged): Promise<void> {
  const daemon = await startDaemon({ dataDir })
  const status = (await (await fetch(`http://${daemon.http}/api/status`)).json()) as {
    readonly recovery: { readonly wasClean: boolean }
  }
  assert.equal(status.recovery.wasClean, true, 'the next start says that the stop was clean')
  const talk = await KafkaTalk.connect(daemon.kafka)
  const kafka = new Map((await talk.readAll(kafkaTopic, 0)).map(({ offset, value }) => [value, offset]))
  const mqtt = new Set((await talk.readAll(mqttTopic, 0)).map(({ value }) => value))
  talk.close()
  for (const [value, offset] of acknowledged.kafka) assert.equal(kafka.get(value), offset, value)
  for (const value of acknowledged.mqtt) assert.ok(mqtt.has(value), value)
  assert.equal(await daemon.stop(), 0)
}

/** Four Kafka producers and four MQTT publishers, as fast as they are acknowledged. */
class Load {
  readonly #daemon: RunningHeadwater
  readonly #kafka = new Map<string, number>()
  readonly #mqtt: string[] = []
  readonly #clients: MqttClient[] = []
  readonly #talks: KafkaTalk[] = []
  readonly #loops: Promise<void>[] = []
  #isOver = false

  constructor(daemon: RunningHeadwater) {
    this.#daemon = daemon
    void daemon.exited.then(() => {
      this.#isOver = true
    })
  }

  get acknowledged(): number {
    return this.#kafka.size + this.#mqtt.length
  }

  async start(): Promise<void> {
    for (let index = 0; index < 4; index++) {
      const talk = await KafkaTalk.connect(this.#daemon.kafka)
      this.#talks.push(talk)
      if (index === 0) for (const topic of [kafkaTopic, mqttTopic]) assert.equal(await talk.createTopic(topic), 'NONE')
      this.#loops.push(this.#produce(talk, index))
      const client = await connectAsync(`mqtt://${this.#daemon.mqtt}`, {
        clientId: `load-${index}`,
        reconnectPeriod: 0,
        protocolVersion: index % 2 === 0 ? 4 : 5,
      })
      client.on('error', () => {})
      this.#clients.push(client)
      this.#loops.push(this.#publish(client, index))
    }
  }

  async end(): Promise<Acknowledged> {
    this.#isOver = true
    for (const talk of this.#talks) talk.close()
    for (const client of this.#clients) await client.endAsync(true)
    await within(5_000, 'the load to end', Promise.all(this.#loops))
    return { kafka: this.#kafka, mqtt: this.#mqtt }
  }

  async #produce(talk: KafkaTalk, index: number): Promise<void> {
    for (let count = 0; !this.#isOver; count++) {
      const value = `k${index}-${count}-${'v'.repeat(300)}`
      const answer = await talk.produce(kafkaTopic, 0, batchOfValues([value])).catch(() => null)
      if (answer === null) return
      if (answer.error === 'NONE') this.#kafka.set(value, answer.baseOffset)
    }
  }

  async #publish(client: MqttClient, index: number): Promise<void> {
    const closed = new Promise<'closed'>((resolve) => client.once('close', () => resolve('closed')))
    for (let count = 0; !this.#isOver; count++) {
      const value = `m${index}-${count}`
      const sent = client.publishAsync(`${mqttTopic}/${index}`, value, { qos: 1 }).then(
        () => 'acknowledged' as const,
        () => 'closed' as const,
      )
      if ((await Promise.race([sent, closed])) === 'closed') return
      this.#mqtt.push(value)
    }
  }
}

/** Each is in the middle of something when the stop comes. */
async function clientsThatDoNotGo(daemon: RunningHeadwater): Promise<readonly RawClient[]> {
  const { kafka, mqtt, http } = daemon
  const say = async (address: string, ...chunks: readonly Uint8Array[]): Promise<RawClient> =>
    (await RawClient.connect(address)).send(...chunks)
  const partitions = [{ partition: 0, fetchOffset: 1_000_000, partitionMaxBytes: 1_000 }]
  const fetch = { maxWaitMs: 600_000, minBytes: 1_000_000, topics: [{ topic: 'load', partitions }] }
  const join = {
    groupId: 'waiting',
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 300_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: new Uint8Array(8) }],
  }
  return Promise.all([
    say(http, Buffer.from('GET /hea')),
    say(http, Buffer.from('POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx')),
    say(kafka, metadataRequest().subarray(0, 9)),
    say(kafka),
    say(kafka, ...encodeRequest(fetchApi, 12, 1, 'waiting', fetch)),
    say(kafka, ...encodeRequest(joinGroupApi, 3, 1, 'waiting', join)),
    say(mqtt),
    say(mqtt, connectPacket(4, 'half').subarray(0, 7)),
    say(mqtt, connectPacket(5, 'silent')),
  ])
}

function unread(folder: string): Row {
  const dataDir = join(folder, 'unread')
  return {
    name: 'SIGTERM while nobody reads stderr, and the pipe is full: served until then, exit code 0, nothing acknowledged lost',
    async run() {
      const logFile = join(folder, 'stderr')
      assert.equal(spawnSync('mkfifo', [logFile]).status, 0, 'mkfifo')
      const reader = openSync(logFile, constants.O_RDWR | constants.O_NONBLOCK)
      assert.throws(() => {
        for (;;) writeSync(reader, 'f'.repeat(4096))
      }, /EAGAIN/)
      const daemon = await startDaemon({ dataDir, logFile, environment: { HEADWATER_LOG_LEVEL: 'debug' } })
      const load = new Load(daemon)
      await load.start()
      await until(() => load.acknowledged > 500, 10_000, '500 acknowledgements')
      const code = await within(stopDeadlineMs, 'the end of the daemon', daemon.stop())
      const acknowledged = await load.end()
      closeSync(reader)
      assert.equal(code, 0, 'the exit code')
      await expectCleanStart(dataDir, acknowledged)
    },
  }
}

function twice(dataDir: string): Row {
  return {
    name: 'SIGTERM twice and SIGINT on top: the drain goes on, exit code 0',
    async run() {
      const daemon = await startDaemon({ dataDir })
      const load = new Load(daemon)
      await load.start()
      await until(() => load.acknowledged > 100, 10_000, '100 acknowledgements')
      for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGTERM'] as const) {
        process.kill(daemon.pid, signal)
        await pause(5)
      }
      assert.equal(await within(stopDeadlineMs, 'the end of the daemon', daemon.exited), 0)
      await expectCleanStart(dataDir, await load.end())
    },
  }
}

/** Long enough for a scan that a signal can meet: one checkpoint's worth of bytes. */
const tornBytes = 48_000_000

function duringStart(folder: string): Row {
  return {
    name: 'SIGTERM at any moment of a start with a recovery: the daemon ends by itself, and the next start has everything',
    async run() {
      const torn = join(folder, 'torn')
      const first = await startDaemon({ dataDir: torn })
      const talk = await KafkaTalk.connect(first.kafka)
      assert.equal(await talk.createTopic(kafkaTopic, 4), 'NONE')
      const values: string[] = []
      for (let index = 0; index * 1_000_000 < tornBytes; index++) {
        const value = `${index}-${'r'.repeat(1_000_000)}`
        assert.equal((await talk.produce(kafkaTopic, 0, batchOfValues([value]))).error, 'NONE')
        values.push(value)
      }
      talk.close()
      await first.kill()
      const dataDir = join(folder, 'torn-copy')
      for (const afterMs of [60, 120, 180, 220, 260, 300, 340, 400, 480]) {
        rmSync(dataDir, { recursive: true, force: true })
        cpSync(torn, dataDir, { recursive: true })
        await endStart(dataDir, afterMs)
        const daemon = await startDaemon({ dataDir })
        const reader = await KafkaTalk.connect(daemon.kafka)
        assert.equal(await reader.endOffset(kafkaTopic, 0), values.length, `after SIGTERM at ${afterMs} ms`)
        reader.close()
        await daemon.kill()
      }
      const last = await startDaemon({ dataDir })
      const reader = await KafkaTalk.connect(last.kafka)
      const read = await reader.readAll(kafkaTopic, 0)
      reader.close()
      assert.ok(
        read.every(({ value }, index) => value === values[index]),
        'the records',
      )
      assert.equal(await last.stop(), 0)
    },
  }
}

/** Starts a daemon and sends SIGTERM so long after; before its handler exists the signal ends it as it ends any process. */
async function endStart(dataDir: string, afterMs: number): Promise<void> {
  const [name = '', ...words] = daemonCommand()
  const listeners = ['--kafka', '--mqtt', '--http'].flatMap((flag) => [flag, '127.0.0.1:0'])
  const environment = Object.entries(process.env).filter(([variable]) => !variable.startsWith('HEADWATER_'))
  const child = spawn(name, [...words, 'start', '--data-dir', dataDir, ...listeners], {
    stdio: 'ignore',
    env: Object.fromEntries(environment),
  })
  const ended = once(child, 'exit')
  await pause(afterMs)
  child.kill('SIGTERM')
  const [code, signal] = (await within(stopDeadlineMs, `the end after SIGTERM at ${afterMs} ms`, ended)) as [
    number | null,
    string | null,
  ]
  assert.ok(code === 0 || signal === 'SIGTERM', `exit code ${code}, signal ${signal} after SIGTERM at ${afterMs} ms`)
}
