/** The servers of the TLS cases, each with a listener in plain text and one over TLS, with the same certificate (ECDSA P-256). */
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, startApacheKafka } from '../test/interop/apache-kafka.ts'
import { sourceCommand, startHeadwater } from '../test/interop/headwater.ts'
import { loopDelayEnvironment } from './loop-delay.ts'
import { answers } from './peers.ts'
import { run } from './measure.ts'

export interface TlsFiles {
  readonly certificate: string
  readonly key: string
}

export interface TlsPeer {
  readonly name: string
  readonly pid: number
  /** Ports of 127.0.0.1; 0 where it has none. */
  readonly kafka: { readonly plain: number; readonly tls: number }
  readonly mqttTls: number
  /** Where `takeLoopDelay` has it write; null for peers. */
  readonly loopDelayFile: string | null
  stop(): Promise<void>
}

/** A certificate of an authority of `headwater cert`. */
export async function certificateIn(folder: string): Promise<TlsFiles> {
  const [command = '', ...words] = sourceCommand
  const dir = join(folder, 'ca')
  const cert = (...more: string[]) => run(command, [...words, 'cert', ...more, '--dir', dir])
  await cert('init', '--name', 'Bench CA')
  await cert('issue', 'server', '--profile', 'server', '--san', 'localhost', '--san', 'IP:127.0.0.1')
  return { certificate: join(dir, 'issued/server.pem'), key: join(dir, 'issued/server.key') }
}

/** The same, asked how long its loop is blocked: that costs it a file read each millisecond, a twenty-fifth of its core. */
export function watchedHeadwaterOverTls(folder: string, files: TlsFiles): Promise<TlsPeer> {
  return headwaterOverTls(folder, files, join(folder, 'loop-delay.json'))
}

/** Ours, on one core, with its default of fsync before each acknowledgement. */
export async function headwaterOverTls(
  folder: string,
  files: TlsFiles,
  loopDelayFile: string | null = null,
): Promise<TlsPeer> {
  mkdirSync(folder, { recursive: true })
  const [plain, tls, mqttPlain, mqttTls] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const protection = `tls: { certificate: ${files.certificate}, key: ${files.key} }`
  const configFile = join(folder, 'headwater.yaml')
  writeFileSync(
    configFile,
    `node: { site: bench }
listeners:
  kafka: [ { listen: "127.0.0.1:${plain}" }, { listen: "127.0.0.1:${tls}", ${protection} } ]
  mqtt: [ { listen: "127.0.0.1:${mqttPlain}" }, { listen: "127.0.0.1:${mqttTls}", ${protection} } ]
`,
  )
  const daemon = await startHeadwater({
    dataDir: join(folder, 'data'),
    configFile,
    kafkaPort: null,
    mqttPort: null,
    prefix: ['taskset', '-c', '0'],
    logFile: join(folder, 'daemon.log'),
    ...(loopDelayFile === null ? {} : { environment: loopDelayEnvironment(loopDelayFile) }),
    readyWithinMs: 120_000,
  })
  return {
    name: 'headwater',
    pid: daemon.pid,
    kafka: { plain, tls },
    mqttTls,
    loopDelayFile,
    async stop() {
      await daemon.stop()
    },
  }
}

/** Mosquitto in memory, on one core. */
export async function mosquittoOverTls(folder: string, files: TlsFiles): Promise<TlsPeer> {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const own = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') }
  copyFileSync(files.certificate, own.certificate)
  copyFileSync(files.key, own.key)
  const { username, uid, gid } = userInfo()
  for (const file of [own.certificate, own.key]) chownSync(file, uid, gid)
  const configFile = join(folder, 'mosquitto.conf')
  const lines = [
    ...[`user ${username}`, `listener ${port} 127.0.0.1`, `certfile ${own.certificate}`, `keyfile ${own.key}`],
    ...['allow_anonymous true', 'set_tcp_nodelay true', 'persistence false', 'log_type error'],
    ...['max_inflight_messages 0', 'max_queued_messages 0', ''],
  ]
  writeFileSync(configFile, lines.join('\n'))
  const child = spawn('taskset', ['-c', '0', 'mosquitto', '-c', configFile], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await answers(port)
  return {
    name: 'Mosquitto',
    pid: child.pid ?? -1,
    kafka: { plain: 0, tls: 0 },
    mqttTls: port,
    loopDelayFile: null,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Apache Kafka without fsync, on one core from its start on. */
export async function apacheKafkaOverTls(folder: string, files: TlsFiles): Promise<TlsPeer> {
  mkdirSync(folder, { recursive: true })
  const [plain, tls, controllerPort] = [await freePort(), await freePort(), await freePort()]
  const store = join(folder, 'store.pem')
  writeFileSync(store, readFileSync(files.key, 'utf8') + readFileSync(files.certificate, 'utf8'))
  const listeners = `PLAINTEXT://127.0.0.1:${plain},SECURED://127.0.0.1:${tls},CONTROLLER://127.0.0.1:${controllerPort}`
  const kafka = await startApacheKafka({
    dir: join(folder, 'kafka'),
    isMeasured: true,
    port: plain,
    controllerPort,
    properties: {
      listeners,
      'advertised.listeners': listeners,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SECURED:SSL,CONTROLLER:PLAINTEXT',
      'inter.broker.listener.name': 'PLAINTEXT',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': store,
      'num.partitions': 4,
    },
  })
  spawnSync('taskset', ['-a', '-c', '-p', '0', String(kafka.pid)])
  return {
    name: 'Kafka',
    pid: kafka.pid,
    kafka: { plain, tls },
    mqttTls: 0,
    loopDelayFile: null,
    stop: () => kafka.stop(),
  }
}
