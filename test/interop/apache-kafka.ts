/**
 * Runs a real Apache Kafka 4.3.1 on the loopback interface, and Kafka's own command-line tools, from a folder of jars.
 *
 * The jars come from `HEADWATER_KAFKA_LIBS`; when that is unset they are fetched once with Maven into `.cache/` in the
 * repository (128 MB). Without java (or, when there is something to fetch, mvn) `apacheKafkaMissing()` says so in one line
 * and the caller skips.
 */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const apacheKafkaVersion = '4.3.1'
const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url))
const cacheDir = join(repositoryRoot, '.cache', `kafka-libs-${apacheKafkaVersion}`)
const classArchive = join(repositoryRoot, '.cache', 'kafka-classes.jsa')
const startDeadlineMs = 60_000
const stopDeadlineMs = 30_000

export interface ApacheKafkaOptions {
  /** Folder of this broker: server.properties, ports, its log and (unless `logDir`) its data. Created when missing. */
  readonly dir: string
  /** Client port; omitted = a free one, remembered in `dir` so that a restart keeps it. */
  readonly port?: number
  /** Overrides and additions to server.properties. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>
  /** `-Xmx` of the broker, Kafka's own default `1g`. */
  readonly heap?: string
  /** Further words for the Java machine. */
  readonly jvm?: readonly string[]
  /** It is measured: with the flags of its start script only. Else it is to start quickly. */
  readonly isMeasured?: boolean
  /** Where the partitions live; default `dir/data`. A folder that has a meta.properties is opened as it is, not formatted. */
  readonly logDir?: string
  /** Port of the controller; omitted = as `port`. */
  readonly controllerPort?: number
  /** The whole of server.properties, which must name the ports; the settings above and those of this file are not added. */
  readonly serverProperties?: string
  /** A running broker whose cluster this one joins as a further broker; `properties` must then give its `node.id`. */
  readonly joins?: ApacheKafka
}

export interface ApacheKafka {
  /** `127.0.0.1:PORT` */
  readonly bootstrap: string
  readonly port: number
  /** Process id of the running broker; -1 while it is down. */
  readonly pid: number
  readonly controllerPort: number
  readonly clusterId: string
  readonly logDir: string
  readonly logFile: string
  /** SIGTERM, then waits for the end (SIGKILL after 30 s). */
  stop(): Promise<void>
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>
  /** Starts it again on the same port and data after `stop` or `kill`; resolves when it answers. */
  restart(): Promise<void>
}

export interface ToolResult {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Why Apache Kafka cannot run here, as one line for the reader; null when it can. */
export function apacheKafkaMissing(): string | null {
  if (!hasProgram('java', '-version')) {
    return 'skipped: no java on the PATH (Debian: apt-get install openjdk-17-jre-headless)'
  }
  if (jarsAreIn(process.env['HEADWATER_KAFKA_LIBS'] ?? cacheDir)) return null
  if (process.env['HEADWATER_KAFKA_LIBS'] !== undefined) {
    return `skipped: HEADWATER_KAFKA_LIBS=${process.env['HEADWATER_KAFKA_LIBS']} holds no kafka-clients-${apacheKafkaVersion}.jar`
  }
  return hasProgram('mvn', '-v')
    ? null
    : 'skipped: no Kafka jars; set HEADWATER_KAFKA_LIBS, or install maven (Debian: apt-get install maven) to fetch them'
}

/** The folder of jars; fetches them when needed. Throws when `apacheKafkaMissing()` is not null or the download fails. */
export function apacheKafkaLibs(): string {
  const missing = apacheKafkaMissing()
  if (missing !== null) throw new Error(missing)
  const libs = process.env['HEADWATER_KAFKA_LIBS'] ?? cacheDir
  if (!jarsAreIn(libs)) fetchJars()
  return libs
}

/**
 * Runs one of Kafka's command-line tools by its Java class, e.g. `org.apache.kafka.tools.TopicCommand`, and waits for its end.
 * `stdin` is piped in. `timeoutMs` (default two minutes) ends it with SIGKILL, code -1. With `onLine` its standard output goes there
 * and is not kept.
 */
export function kafkaTool(
  className: string,
  args: readonly string[],
  options: {
    readonly stdin?: string
    readonly timeoutMs?: number
    readonly onLine?: (line: string) => void
    /** Further words for the Java machine. */
    readonly jvm?: readonly string[]
  } = {},
): Promise<ToolResult> {
  const libs = apacheKafkaLibs()
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', ...shortRun(), '-Dlog4j2.level=WARN']
  const child = spawn('java', [
    ...flags,
    ...(options.jvm ?? []),
    `-Dlog4j2.configurationFile=${toolLogging()}`,
    '-cp',
    `${libs}/*`,
    className,
    ...args,
  ])
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000)
    if (options.onLine === undefined) child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
    else createInterface({ input: child.stdout }).on('line', options.onLine)
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes))
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(deadline)
      resolve({ stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), code: code ?? -1 })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.stdin ?? '')
  })
}

/** Formats (when the data is new), starts and waits until the broker answers a Metadata request. */
export async function startApacheKafka(options: ApacheKafkaOptions): Promise<ApacheKafka> {
  const libs = apacheKafkaLibs()
  mkdirSync(options.dir, { recursive: true })
  const ports = await portsOf(options)
  const logDir = options.logDir ?? join(options.dir, 'data')
  const propertiesFile = join(options.dir, 'server.properties')
  const roles = options.joins === undefined ? ownController(ports) : joined(ports.port, options.joins)
  writeFileSync(
    propertiesFile,
    options.serverProperties ?? serverProperties(logDir, { ...roles, ...options.properties }),
  )
  const logging = join(options.dir, 'log4j2.properties')
  writeFileSync(logging, loggingProperties('INFO'))
  if (!existsSync(join(logDir, 'meta.properties'))) {
    const id = options.joins?.clusterId ?? randomBytes(16).toString('base64url').replace(/^-/, 'A')
    const args = ['format', '-t', id, '-c', propertiesFile, ...(options.joins === undefined ? ['--standalone'] : [])]
    const formatted = await kafkaTool('kafka.tools.StorageTool', args)
    if (formatted.code !== 0) throw new Error(`cannot format ${logDir}: ${formatted.stdout}${formatted.stderr}`)
  }
  const logFile = join(options.dir, 'server.log')
  const flags = [`-Xmx${options.heap ?? '1g'}`, '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']
  flags.push(...(options.isMeasured === true ? [] : shortRun()), ...(options.jvm ?? []))
  const args = [...flags, `-Dlog4j2.configurationFile=${logging}`, '-cp', `${libs}/*`, 'kafka.Kafka', propertiesFile]
  const broker = new BrokerProcess(args, logFile, ports.port)
  await broker.start()
  return {
    bootstrap: `127.0.0.1:${ports.port}`,
    port: ports.port,
    controllerPort: options.joins?.controllerPort ?? ports.controllerPort,
    clusterId: /^cluster.id=(.*)$/m.exec(readFileSync(join(logDir, 'meta.properties'), 'utf8'))?.[1] ?? '',
    get pid() {
      return broker.pid
    },
    logDir,
    logFile,
    stop: () => broker.end('SIGTERM'),
    kill: () => broker.end('SIGKILL'),
    restart: () => broker.start(),
  }
}

/**
 * Keeps what the Java machine makes of Kafka's classes, by a broker that starts and stops: with it a broker starts in half of the
 * processor's time, and tools in two thirds. Does nothing when it is there; a Java machine that it does not fit ignores it.
 */
export async function archiveClasses(): Promise<void> {
  if (existsSync(classArchive)) return
  const made = `${classArchive}.new`
  const dir = mkdtempSync(join(repositoryRoot, '.cache', 'kafka-classes-'))
  try {
    const broker = await startApacheKafka({ dir, jvm: [`-XX:ArchiveClassesAtExit=${made}`] })
    await broker.stop()
    if (existsSync(made)) renameSync(made, classArchive)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** What a Java machine is told that lives for seconds. */
function shortRun(): readonly string[] {
  const archive = existsSync(classArchive) ? [`-XX:SharedArchiveFile=${classArchive}`, '-Xlog:cds*=off'] : []
  return ['-XX:TieredStopAtLevel=1', ...archive]
}

/** A port of the loopback interface that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

// ------------------------------------------------------------------------------------------------- the process

/** The broker's process: one at a time, ended by its recorded id. */
class BrokerProcess {
  readonly #args: readonly string[]
  readonly #logFile: string
  readonly #port: number
  #child: ReturnType<typeof spawn> | null = null
  #ended: Promise<void> = Promise.resolve()

  constructor(args: readonly string[], logFile: string, port: number) {
    this.#args = args
    this.#logFile = logFile
    this.#port = port
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  async start(): Promise<void> {
    if (this.#child !== null) throw new Error('the broker runs already')
    const log = openSync(this.#logFile, 'a')
    const child = spawn('java', this.#args, { stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    this.#ended = new Promise((resolve) => {
      const gone = (): void => {
        if (this.#child === child) this.#child = null
        process.removeListener('exit', killAtExit)
        resolve()
      }
      const killAtExit = (): void => void child.kill('SIGKILL')
      process.on('exit', killAtExit)
      child.on('exit', gone)
      child.on('error', gone)
    })
    const deadline = Date.now() + startDeadlineMs
    while (!(await answersMetadata(this.#port))) {
      if (this.#child !== child)
        throw new Error(`Apache Kafka ended while starting, see ${this.#logFile}:\n${tail(this.#logFile)}`)
      if (Date.now() > deadline) {
        await this.end('SIGKILL')
        throw new Error(`Apache Kafka did not answer within ${startDeadlineMs} ms, see ${this.#logFile}`)
      }
      await pause(50)
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === null) return
    child.kill(signal)
    const lastResort = setTimeout(() => child.kill('SIGKILL'), stopDeadlineMs)
    await this.#ended
    clearTimeout(lastResort)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n')
}

/** One Metadata v1 request without topics, by hand: true when the answer names at least one broker. */
function answersMetadata(port: number): Promise<boolean> {
  const request = Buffer.from([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0])
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    let answer = Buffer.alloc(0)
    const settle = (ready: boolean): void => {
      socket.destroy()
      resolve(ready)
    }
    socket.setTimeout(2_000, () => settle(false))
    socket.on('connect', () => socket.write(request))
    socket.on('data', (bytes) => {
      answer = Buffer.concat([answer, bytes])
      if (answer.length >= 12) settle(answer.readInt32BE(4) === 7 && answer.readInt32BE(8) > 0)
    })
    socket.on('error', () => settle(false))
    socket.on('close', () => resolve(false))
  })
}

// -------------------------------------------------------------------------------------------- files and settings

async function portsOf(options: ApacheKafkaOptions): Promise<{ port: number; controllerPort: number }> {
  const file = join(options.dir, 'ports.json')
  if (options.port !== undefined && options.controllerPort !== undefined)
    return { port: options.port, controllerPort: options.controllerPort }
  if (existsSync(file)) {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { port: number; controllerPort: number }
    return { port: options.port ?? kept.port, controllerPort: kept.controllerPort }
  }
  const ports = { port: options.port ?? (await freePort()), controllerPort: await freePort() }
  writeFileSync(file, JSON.stringify(ports))
  return ports
}

type Properties = Readonly<Record<string, string | number | boolean>>

/** Broker and controller in one process. */
function ownController(ports: { readonly port: number; readonly controllerPort: number }): Properties {
  const listeners = `PLAINTEXT://127.0.0.1:${ports.port},CONTROLLER://127.0.0.1:${ports.controllerPort}`
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${ports.controllerPort}`,
    listeners,
    'advertised.listeners': listeners,
  }
}

/** A broker of another one's cluster. */
function joined(port: number, other: ApacheKafka): Properties {
  const listeners = `PLAINTEXT://127.0.0.1:${port}`
  return {
    'process.roles': 'broker',
    'controller.quorum.bootstrap.servers': `127.0.0.1:${other.controllerPort}`,
    listeners,
    'advertised.listeners': listeners,
  }
}

function serverProperties(logDir: string, properties: Properties): string {
  const entries: Properties = {
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': logDir,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'default.replication.factor': 1,
    'group.initial.rebalance.delay.ms': 0,
    // A broker that was killed may register again only when its old session has run out (9 s by default).
    'broker.session.timeout.ms': 2000,
    'broker.heartbeat.interval.ms': 500,
    ...properties,
  }
  return `${Object.entries(entries)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n`
}

function loggingProperties(level: string): string {
  return [
    'status = error',
    'appender.console.type = Console',
    'appender.console.name = console',
    'appender.console.target = SYSTEM_ERR',
    'appender.console.layout.type = PatternLayout',
    'appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %m (%c{1})%n',
    `rootLogger.level = ${level}`,
    'rootLogger.appenderRef.console.ref = console',
    '',
  ].join('\n')
}

function toolLogging(): string {
  const file = join(repositoryRoot, '.cache', 'kafka-tools-log4j2.properties')
  if (!existsSync(file)) {
    mkdirSync(join(repositoryRoot, '.cache'), { recursive: true })
    writeFileSync(file, loggingProperties('WARN'))
  }
  return file
}

/** Asked once: each asking starts it. */
const programs = new Map<string, boolean>()

function hasProgram(name: string, versionFlag: string): boolean {
  const known = programs.get(name) ?? spawnSync(name, [versionFlag], { stdio: 'ignore' }).status === 0
  programs.set(name, known)
  return known
}

function jarsAreIn(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).includes(`kafka-clients-${apacheKafkaVersion}.jar`)
}

function fetchJars(): void {
  const artifacts = [
    ...['kafka_2.13', 'kafka-tools', 'kafka-shell', 'kafka-streams'],
    ...['connect-runtime', 'connect-mirror', 'connect-mirror-client', 'connect-file'],
  ].map((artifact) => dependency('org.apache.kafka', artifact, apacheKafkaVersion))
  artifacts.push(dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', '2.25.4'))
  mkdirSync(cacheDir, { recursive: true })
  const pom = join(cacheDir, 'pom.xml')
  writeFileSync(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>headwater</groupId>` +
      `<artifactId>kafka-libs</artifactId><version>1</version><dependencies>${artifacts.join('')}</dependencies></project>\n`,
  )
  const args = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${cacheDir}`]
  const fetched = spawnSync('mvn', args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (fetched.status !== 0) {
    rmSync(cacheDir, { recursive: true, force: true })
    throw new Error('mvn could not fetch the Kafka jars')
  }
}

function dependency(group: string, artifact: string, version: string): string {
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
}
