/**
 * The crash suite: a mixed load of foreign clients (MQTT QoS 1 by the npm client, idempotent Kafka by librdkafka), a daemon that
 * is killed again and again, and a checker that compares every acknowledgement with what a reader finds afterwards.
 *
 *   run.ts [--kills N] [--power [--fs ext4|xfs]] [--syscalls [--from N]] [--no-sync-library] [--mutant no-dedup|no-sync|early-ack]
 *
 * Without `--power` the daemon gets SIGKILL: the page cache survives. With `--power` the data lies on an ext4 image that is shut
 * down under it, which drops everything that was not synced (needs root, loop devices, xfs_io). A mutant is a copy of the source
 * with one law broken; with `--mutant` the suite passes when the checker catches it. `no-sync` shows with `--power` only.
 *
 * With `--syscalls` the daemon dies inside its Nth system call that changes a file, N one more with each life (needs strace). With
 * `--no-sync-library` every sync of the daemon does nothing: the power cut must show it, else this suite would not see a missing one.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connectAsync, type MqttClient } from 'mqtt'
import {
  freePort,
  type HeadwaterOptions,
  repositoryRoot,
  type RunningHeadwater,
  startHeadwater,
} from '../interop/headwater.ts'
import { foreignPython } from '../interop/python.ts'
import { lines, output } from '../interop/case.ts'
import { canTrace, killedAtCall, noSyncLibrary, PlainDisk, PowerCutDisk } from './disks.ts'
import { type Acknowledged, eventsOf, type Found } from './history.ts'
import { HistoryChecker } from '../history/checker.ts'
import { type Mutant, mutants } from './mutants.ts'
import { startRelay } from './relay.ts'

const { values: flags } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    power: { type: 'boolean', default: false },
    fs: { type: 'string', default: 'ext4' },
    syscalls: { type: 'boolean', default: false },
    from: { type: 'string', default: '1' },
    'no-sync-library': { type: 'boolean', default: false },
    mutant: { type: 'string' },
  },
})
const kills = Number(flags.kills)
const kafkaTopic = 'idempotent'
const mqttTopic = 'readings'
const producers = 5
const sensors = 4
/** Of each kind. */
const acknowledgedBetweenKills = 100
/** About what one acknowledgement takes in the producers' file. */
const ackedLineBytes = 14
/** A run of 200 kills leaves some four million records. */
const readWithinMs = 600_000
/** The load reaches the call of a life that got ready within a moment. */
const diesWithinMs = 20_000

async function main(): Promise<number> {
  const python = foreignPython()
  if (python.path === null) {
    console.log(`crash: ${python.why}`)
    return 0
  }
  const mutant = flags.mutant === undefined ? null : mutantNamed(flags.mutant)
  if (mutant?.needsPower === true && !flags.power) throw new Error(`mutant ${mutant.name} shows with --power only`)
  const folder = mkdtempSync(join(tmpdir(), 'headwater-crash-'))
  try {
    if (flags.fs !== 'ext4' && flags.fs !== 'xfs') throw new Error(`--fs is ext4 or xfs, not ${flags.fs}`)
    const disk = flags.power ? PowerCutDisk.create(folder, flags.fs) : new PlainDisk(folder)
    if (disk === null) {
      console.log('crash: skipped: --power needs root, loop devices and xfs_io (Debian: apt-get install xfsprogs)')
      return 0
    }
    if (flags.syscalls && !canTrace()) {
      console.log('crash: skipped: --syscalls needs strace and the right to trace (Debian: apt-get install strace)')
      return 0
    }
    const library = flags['no-sync-library'] ? noSyncLibrary(folder) : null
    if (flags['no-sync-library'] && library === null) {
      console.log('crash: skipped: --no-sync-library needs a C compiler')
      disk.close()
      return 0
    }
    const caught = await new CrashRun({ folder, disk, python: python.path, mutant, library })
      .run()
      .finally(() => disk.close())
    return caught === (mutant !== null || library !== null) ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function mutantNamed(name: string): Mutant {
  const mutant = mutants.find((candidate) => candidate.name === name)
  if (mutant === undefined)
    throw new Error(`no mutant ${name}; there are ${mutants.map((each) => each.name).join(', ')}`)
  return mutant
}

interface CrashParts {
  readonly folder: string
  readonly disk: PlainDisk | PowerCutDisk
  readonly python: string
  readonly mutant: Mutant | null
  /** Put before the daemon's own libraries. */
  readonly library: string | null
}

class CrashRun {
  readonly #parts: CrashParts
  readonly #ackedFile: string
  readonly #mqttAcknowledged: string[] = []
  #recoveryMsMax = 0
  /** What must be ended, whatever happens; the last one first. */
  readonly #ends: (() => Promise<void>)[] = []

  constructor(parts: CrashParts) {
    this.#parts = parts
    this.#ackedFile = join(parts.folder, 'acked')
    writeFileSync(this.#ackedFile, '')
  }

  /** True when the checker found a broken promise. */
  async run(): Promise<boolean> {
    try {
      return await this.#run()
    } finally {
      for (const end of this.#ends.splice(0).toReversed()) await end()
    }
  }

  async #run(): Promise<boolean> {
    const { folder, disk, mutant, library } = this.#parts
    const command = mutant === null ? undefined : mutatedSource(folder, mutant)
    const ports = { kafkaPort: await freePort(), mqttPort: await freePort() }
    const relay = await startRelay(0, ports.kafkaPort)
    this.#ends.push(() => relay.close())
    const configFile = join(folder, 'headwater.yaml')
    writeFileSync(configFile, configuration(ports.kafkaPort, relay.port))
    const options = {
      kafkaPort: null,
      mqttPort: ports.mqttPort,
      dataDir: disk.dataDir,
      configFile,
      logFile: join(folder, 'daemon.log'),
      ...(command === undefined ? {} : { command }),
      ...(library === null ? {} : { environment: { LD_PRELOAD: library } }),
    }
    let daemon = await startHeadwater(options)
    this.#ends.push(() => daemon.kill())
    await createTopics(ports.kafkaPort)
    const producer = this.#startProducers(relay.port)
    this.#ends.push(async () => void producer.kill('SIGKILL'))
    const clients = await this.#startSensors(ports.mqttPort)
    this.#ends.push(async () => void (await Promise.all(clients.map((client) => client.cut()))))
    const startedAt = Date.now()
    if (flags.syscalls) daemon = await this.#dieInCalls(daemon, options)
    for (let kill = 0; kill < kills && !flags.syscalls; kill++) {
      await this.#bothLoadsMoveOn()
      if (kill % 2 === 1) await relay.swallowThenCut(5 + (kill % 7))
      disk.cut()
      await daemon.kill()
      disk.restore()
      daemon = await startHeadwater(options)
      this.#recoveryMsMax = Math.max(this.#recoveryMsMax, Number(/recovery=(\d+)ms/.exec(daemon.readyLine)?.[1] ?? 0))
    }
    const sent = await stopProducers(producer)
    await Promise.all(clients.map((client) => client.stop()))
    await daemon.kill()
    daemon = await startHeadwater(options)
    return this.#judge(ports.kafkaPort, sent, (Date.now() - startedAt) / 1000)
  }

  /** One life after another, each ended inside the next call that changes a file; the answer is a daemon that stays. */
  async #dieInCalls(first: RunningHeadwater, options: HeadwaterOptions): Promise<RunningHeadwater> {
    await first.kill()
    const from = Number(flags.from)
    for (let call = from; call < from + kills; call++) {
      // Many calls belong to the start: then it does not get ready.
      const life = await startHeadwater({ ...options, prefix: killedAtCall(call) }).catch(() => null)
      if (life === null) continue
      const died = await Promise.race([life.exited.then(() => true), later(diesWithinMs, false)])
      if (!died) await life.kill()
    }
    return startHeadwater(options)
  }

  /** Each for itself: MQTT clients are back so much sooner that no Kafka request would be under way at a kill. */
  async #bothLoadsMoveOn(): Promise<void> {
    const kafkaBytes = statSync(this.#ackedFile).size
    const mqttCount = this.#mqttAcknowledged.length
    const hasMoved = (): boolean =>
      statSync(this.#ackedFile).size > kafkaBytes + ackedLineBytes * acknowledgedBetweenKills &&
      this.#mqttAcknowledged.length > mqttCount + acknowledgedBetweenKills
    await until(hasMoved, 30_000, 'both loads to move on')
  }

  #startProducers(port: number): ChildProcess {
    const program = join(repositoryRoot, 'test/crash/idempotent-producer.py')
    return spawn(this.#parts.python, [program, `127.0.0.1:${port}`, kafkaTopic, String(producers), this.#ackedFile], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
  }

  #startSensors(port: number): Promise<Sensor[]> {
    return Promise.all(
      Array.from({ length: sensors }, async (_, index) => {
        const sensor = new Sensor(index, this.#mqttAcknowledged)
        await sensor.start(port)
        return sensor
      }),
    )
  }

  async #judge(port: number, sent: string, seconds: number): Promise<boolean> {
    const acknowledged = readFileSync(this.#ackedFile, 'utf8').trim().split('\n').map(parseAcknowledged)
    const { mutant, library } = this.#parts
    const records = await this.#read(port, kafkaTopic)
    const readings = await this.#read(port, mqttTopic)
    const checker = new HistoryChecker()
    for (const event of eventsOf({ acknowledged, records, readings, published: this.#mqttAcknowledged }))
      checker.add(event)
    const { faults, faultCount } = checker.verdict()
    const subject = mutant === null ? (library === null ? '' : ', without syncs') : `, mutant ${mutant.name}`
    const deaths = flags.syscalls ? 'deaths inside a system call' : flags.power ? `power cuts on ${flags.fs}` : 'kills'
    console.log(
      `crash${subject}: ${kills} ${deaths} in ${seconds.toFixed(0)} s; ` +
        `kafka sent/failed ${sent}, acknowledged ${acknowledged.length}, found ${records.length}; ` +
        `mqtt acknowledged ${this.#mqttAcknowledged.length}, found ${readings.length}; faults ${faultCount}; ` +
        `longest recovery ${this.#recoveryMsMax} ms`,
    )
    for (const { fault, sentence } of faults.slice(0, 5)) console.log(`  ${fault}: ${sentence}`)
    return faultCount > 0
  }

  async #read(port: number, topic: string): Promise<Found[]> {
    const program = join(repositoryRoot, 'test/crash/read-topic.py')
    return lines(
      await output(this.#parts.python, [program, `127.0.0.1:${port}`, topic], { timeoutMs: readWithinMs }),
    ).map(parseFound)
  }
}

/** One MQTT client of the npm package that publishes QoS 1 readings and notes each PUBACK. */
class Sensor {
  readonly #index: number
  readonly #acknowledged: string[]
  #client: MqttClient | null = null
  #counter = 0
  #inFlight = 0
  #stopping = false

  constructor(index: number, acknowledged: string[]) {
    this.#index = index
    this.#acknowledged = acknowledged
  }

  async start(port: number): Promise<void> {
    this.#client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: `sensor-${this.#index}`,
      clean: false,
      reconnectPeriod: 20,
      keepalive: 10,
      protocolVersion: this.#index % 2 === 0 ? 4 : 5,
    })
    this.#client.on('error', () => {})
    for (let slot = 0; slot < 8; slot++) this.#publish()
  }

  #publish(): void {
    if (this.#stopping || this.#client === null) return
    const payload = `s${this.#index}-${this.#counter++}`
    this.#inFlight++
    this.#client.publish(`${mqttTopic}/plant/s${this.#index}`, payload, { qos: 1 }, (error) => {
      this.#inFlight--
      if (error === undefined || error === null) this.#acknowledged.push(payload)
      setTimeout(() => this.#publish(), 2)
    })
  }

  async cut(): Promise<void> {
    this.#stopping = true
    await this.#client?.endAsync(true)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await until(() => this.#inFlight === 0, 30_000, 'the last PUBACKs')
    await this.#client?.endAsync()
  }
}

/** A copy of the source with one law broken; answers the command that runs it. */
function mutatedSource(folder: string, mutant: Mutant): readonly string[] {
  const copy = join(folder, 'mutated')
  mkdirSync(copy)
  for (const part of ['src', 'tools', 'package.json'])
    cpSync(join(repositoryRoot, part), join(copy, part), { recursive: true })
  symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'))
  for (const { file, from, to } of mutant.edits) {
    const path = join(copy, file)
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (!text.includes(from)) throw new Error(`mutant ${mutant.name}: ${file} has no «${from}»`)
    writeFileSync(path, text.replaceAll(from, to))
  }
  return ['sh', join(copy, 'tools/with-node'), 'node', join(copy, 'src/main.ts')]
}

function configuration(kafkaPort: number, relayPort: number): string {
  return `listeners:\n  kafka: [ { listen: "127.0.0.1:${kafkaPort}", advertise: "127.0.0.1:${relayPort}" } ]\n`
}

async function createTopics(port: number): Promise<void> {
  const args = ['--json', '--bootstrap-server', `127.0.0.1:${port}`, '--partitions', '4']
  for (const topic of [kafkaTopic, mqttTopic]) {
    const created = spawnSync(join(repositoryRoot, 'tools/headwater'), ['topics', 'create', topic, ...args], {
      encoding: 'utf8',
    })
    if (created.status !== 0) throw new Error(`cannot create ${topic}: ${created.stdout}${created.stderr}`)
  }
}

async function stopProducers(child: ChildProcess): Promise<string> {
  let printed = ''
  child.stdout?.on('data', (bytes) => {
    printed += String(bytes)
  })
  child.stdin?.end('stop\n')
  const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000)
  await once(child, 'exit')
  clearTimeout(deadline)
  return printed.trim()
}

function parseAcknowledged(line: string): Acknowledged {
  const [value = '', partition, offset] = line.split(' ')
  return { value, partition: Number(partition), offset: Number(offset) }
}

function parseFound(line: string): Found {
  const [partition, offset, value = ''] = line.split(' ')
  return { partition: Number(partition), offset: Number(offset), value }
}

async function later<T>(delayMs: number, answer: T): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  return answer
}

async function until(condition: () => boolean, deadlineMs: number, what: string): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

// Last, because the classes above must exist by then.
process.exitCode = await main()
