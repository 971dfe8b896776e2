/** A daemon that serves anonymous clients on all three protocols, as a process of its own, and what it is asked to find out whether it still does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { expect } from 'vitest'
import { metadataApi } from '../../src/protocol/kafka/apis.ts'
import { KafkaTalk } from '../attack/kafka-talk.ts'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { runProgram } from './appliance-world.ts'

export const adminPassword = 'wonderland-7'
const basic = { authorization: `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}` }
/** What a client of MQTT shows as the admin. */
export const asAdmin: IClientOptions = { username: 'admin', password: adminPassword }

export interface SetupPlaces {
  readonly kafka?: string
  readonly http?: string
  readonly passwordFile?: string
}

export class OpenNode {
  readonly folder = mkdtempSync(join(tmpdir(), 'headwater-open-'))
  readonly file = join(this.folder, 'headwater.yaml')
  readonly passwordFile = join(this.folder, 'password')
  readonly logFile = join(this.folder, 'log')
  #daemon: RunningHeadwater | null = null

  constructor(configuration: string) {
    writeFileSync(this.passwordFile, `${adminPassword}\n`)
    writeFileSync(this.file, configuration)
  }

  get daemon(): RunningHeadwater {
    if (this.#daemon === null) throw new Error('the daemon was not started')
    return this.#daemon
  }

  async start(): Promise<void> {
    this.#daemon = await startHeadwater({
      dataDir: join(this.folder, 'data'),
      configFile: this.file,
      logFile: this.logFile,
      kafkaPort: null,
      mqttPort: null,
    })
  }

  async restart(how: 'stop' | 'kill'): Promise<void> {
    await this.daemon[how]()
    await this.start()
  }

  async remove(): Promise<void> {
    await this.#daemon?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  setupWords(places: SetupPlaces = {}): readonly string[] {
    const { kafka = this.daemon.kafka, http = this.daemon.http, passwordFile = this.passwordFile } = places
    const where = ['--config', this.file, '--password-file', passwordFile, '-b', kafka, '--http', http]
    return [...sourceCommand.slice(1), 'setup', ...where]
  }

  setup(places: SetupPlaces = {}) {
    return runProgram('sh', this.setupWords(places))
  }

  /** A command of ours, at its Kafka listener, as the admin or as nobody. */
  headwater(words: readonly string[], how: { readonly asAdmin: boolean; readonly input?: string }) {
    const who = how.asAdmin ? ['--user', 'admin', '--password-file', this.passwordFile] : []
    const all = [...sourceCommand.slice(1), ...words, '-b', this.daemon.kafka, ...who]
    return runProgram('sh', all, how.input === undefined ? {} : { input: how.input })
  }

  async status(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
    return (await fetch(`http://${this.daemon.http}${path}`, { headers, method })).status
  }

  statusAsAdmin(path: string, method = 'GET'): Promise<number> {
    return this.status(path, basic, method)
  }

  mqtt(options: IClientOptions = {}): Promise<MqttClient> {
    const [host = '', port = ''] = this.daemon.mqtt.split(':')
    return connectAsync({ host, port: Number(port), protocolVersion: 5, reconnectPeriod: 0, ...options })
  }

  /** A Kafka client without a name asks for metadata: whether it gets any. */
  async servesKafka(): Promise<boolean> {
    const talk = await KafkaTalk.connect(this.daemon.kafka)
    try {
      await talk.ask(metadataApi, { topics: [], allowAutoTopicCreation: false })
      return true
    } catch {
      return false
    } finally {
      talk.raw.socket.destroy()
    }
  }

  async isOpen(): Promise<void> {
    expect(await this.status('/api/status')).toBe(200)
    expect(await this.servesKafka()).toBe(true)
    await (await this.mqtt()).endAsync()
  }

  /** To everybody but the admin. */
  async isClosed(): Promise<void> {
    expect(await this.status('/api/status')).toBe(401)
    expect(await this.status('/metrics')).toBe(401)
    expect(await this.status('/api/setup', {}, 'POST')).toBe(401)
    expect(await this.servesKafka()).toBe(false)
    await expect(this.mqtt()).rejects.toThrow(/[Nn]ot authorized|[Bb]ad [Uu]ser/)
    expect(await this.statusAsAdmin('/api/status')).toBe(200)
    await (await this.mqtt(asAdmin)).endAsync()
  }
}
