/** Our daemon and the peers it is compared with, each started on loopback with a fresh folder and stopped by its process id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startApacheKafka } from '../test/interop/apache-kafka.ts'
import { freePort, repositoryRoot, startHeadwater } from '../test/interop/headwater.ts'

export interface KafkaPeer {
  readonly name: string
  readonly bootstrap: string
  readonly pid: number
  stop(): Promise<void>
}

export interface MqttPeer {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** Ours, with its default of fsync before each acknowledgement. */
export async function headwaterPeer(
  folder: string,
  options: {
    readonly core?: number
    readonly config?: string
    /** The MQTT listener stands in `config`. */
    readonly hasOwnListener?: boolean
    /** Words put before the command. */
    readonly prefix?: readonly string[]
    /** Instead of the source. */
    readonly command?: readonly string[]
    readonly environment?: Readonly<Record<string, string>>
    /** Takes each line of stdout. */
    readonly onLine?: (line: string) => void
  } = {},
) {
  mkdirSync(folder, { recursive: true })
  const configFile = join(folder, 'headwater.yaml')
  writeFileSync(configFile, options.config ?? 'node: { site: bench }\nkafka: { num.partitions: 4 }\n')
  const daemon = await startHeadwater({
    dataDir: join(folder, 'data'),
    configFile,
    logFile: join(folder, 'daemon.log'),
    ...(options.command === undefined ? {} : { command: options.command }),
    ...(options.hasOwnListener === true ? { mqttPort: null } : {}),
    prefix: [...(options.core === undefined ? [] : ['taskset', '-c', String(options.core)]), ...(options.prefix ?? [])],
    environment: options.environment ?? {},
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    readyWithinMs: 120_000,
  })
  const [host = '', port = ''] = daemon.mqtt.split(':')
  return {
    name: 'headwater',
    bootstrap: daemon.kafka,
    host,
    port: Number(port),
    http: daemon.http,
    pid: daemon.pid,
    readyAfterMs: daemon.readyAfterMs,
    readyLine: daemon.readyLine,
    async stop() {
      await daemon.stop()
    },
    kill: () => daemon.kill(),
  } satisfies KafkaPeer & MqttPeer & Record<string, unknown>
}

/** Apache Kafka as it comes; `flush` adds `log.flush.interval.messages=1`: an fsync before each acknowledgement. */
export async function apacheKafkaPeer(folder: string, flush: boolean): Promise<KafkaPeer> {
  const kafka = await startApacheKafka({
    dir: folder,
    isMeasured: true,
    properties: { 'num.partitions': 4, ...(flush ? { 'log.flush.interval.messages': 1 } : {}) },
  })
  return { name: flush ? 'kafka flush' : 'kafka', bootstrap: kafka.bootstrap, pid: kafka.pid, stop: () => kafka.stop() }
}

/** Mosquitto in memory, as fast as it goes. */
export async function mosquittoPeer(
  folder: string,
  options: { readonly core?: number; readonly tls?: { readonly certificate: string; readonly key: string } } = {},
): Promise<MqttPeer> {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const configFile = join(folder, 'mosquitto.conf')
  const { tls } = options
  // As root it gives its rights up before it reads the key.
  const secured = tls === undefined ? [] : ['user root', `certfile ${tls.certificate}`, `keyfile ${tls.key}`]
  const lines = [`listener ${port} 127.0.0.1`, ...secured, 'allow_anonymous true']
  lines.push('set_tcp_nodelay true', 'persistence false')
  writeFileSync(
    configFile,
    [...lines, 'max_inflight_messages 0', 'max_queued_messages 0', 'log_type error', ''].join('\n'),
  )
  const words = [
    ...(options.core === undefined ? [] : ['taskset', '-c', String(options.core)]),
    'mosquitto',
    '-c',
    configFile,
  ]
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await answers(port)
  return processPeer('mosquitto', port, { child, ended })
}

/** aedes in memory on the Node that runs this; over WSS when it is given PEM files. */
export async function aedesPeer(
  options: { readonly core?: number; readonly tls?: { readonly certificate: string; readonly key: string } } = {},
): Promise<MqttPeer> {
  const { core, tls } = options
  const words = [
    ...(core === undefined ? [] : ['taskset', '-c', String(core)]),
    ...[process.execPath, join(repositoryRoot, 'bench/programs/aedes.mjs')],
    ...(tls === undefined ? [] : [tls.certificate, tls.key]),
  ]
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', (bytes: Buffer) => resolve(Number(bytes.toString())))
    void ended.then(() => reject(new Error('aedes ended before it listened')))
  })
  return processPeer('aedes', port, { child, ended })
}

export async function answers(port: number): Promise<void> {
  for (const deadline = Date.now() + 10_000; ; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (Date.now() > deadline) throw new Error(`nothing listens on ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function processPeer(
  name: string,
  port: number,
  { child, ended }: { child: ChildProcess; ended: Promise<void> },
): MqttPeer {
  return {
    name,
    host: '127.0.0.1',
    port,
    pid: child.pid ?? -1,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
