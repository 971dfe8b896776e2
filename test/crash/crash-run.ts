/**
 * One directory under deaths: a mixed load of foreign clients, a daemon that is killed again and again (or whose file system loses
 * its power), at moments that a seed chooses, and a checker that compares every acknowledgement with what a reader finds afterwards.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type HeadwaterOptions, type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'
import { mutatedSource } from '../interop/mutated-source.ts'
import type { Prng } from '../sim/prng.ts'
import type { LoopDisk, PlainDisk } from './disks.ts'
import type { Judgement } from './history.ts'
import { createLoadTopics, hurriedSettings, MixedLoad } from './loads.ts'
import type { Mutant } from './mutants.ts'
import { type Relay, startRelay } from './relay.ts'

export interface CrashParts {
  readonly folder: string
  readonly disk: PlainDisk | LoopDisk
  readonly python: string
  readonly random: Prng
  readonly deaths: number
  /** The daemon is a copy of the source with one law broken. */
  readonly mutant?: Mutant
  /** Put before the daemon's own libraries. */
  readonly library?: string
}

/** One death in so many is followed by another one in the midst of the start. */
const deathsPerStartDeath = 6
/** After the last start everything that is owed to MQTT clients must have come; where it is to be missed, there is no need to wait so long. */
const settledWithinMs = { sound: 60_000, toFail: 3_000 } as const

export class CrashRun {
  readonly #parts: CrashParts
  #load: MixedLoad | null = null
  #recoveryMsMax = 0
  #startDeaths = 0
  #seconds = 0
  #sent = ''
  /** What must be ended, whatever happens; the last one first. */
  readonly #ends: (() => Promise<void>)[] = []

  constructor(parts: CrashParts) {
    this.#parts = parts
  }

  /** Runs the load and the deaths; ends with the daemon stopped cleanly and answers what a reader found before. */
  async run(): Promise<Judgement> {
    try {
      return await this.#run()
    } finally {
      for (const end of this.#ends.splice(0).toReversed()) await end()
    }
  }

  /** Figures of the run. */
  get summary(): string {
    return (
      `${this.#parts.deaths} in ${this.#seconds.toFixed(0)} s, ${this.#startDeaths} more during a start; ` +
      `${this.#sent}; longest recovery ${this.#recoveryMsMax} ms`
    )
  }

  /** Reads everything from a broker, whoever it is, and compares it with what the clients were told. */
  async judge(bootstrap: string): Promise<Judgement> {
    if (this.#load === null) throw new Error('there was no load')
    return this.#load.judge(bootstrap)
  }

  async #run(): Promise<Judgement> {
    const { folder, disk, python, random } = this.#parts
    const ports = { kafka: await freePort(), mqtt: await freePort() }
    const relay = await startRelay(0, ports.kafka)
    this.#ends.push(() => relay.close())
    const options = this.#daemonOptions(ports, relay.port)
    // Its end leaves the compile cache, which a killed one does not.
    await (await startHeadwater(options)).stop()
    let daemon = await startHeadwater(options)
    this.#ends.push(() => daemon.kill())
    createLoadTopics(ports.kafka)
    const ackedFile = join(folder, 'acked')
    const kafka = `127.0.0.1:${relay.port}`
    const load = await MixedLoad.start({ python, kafka, mqttPort: ports.mqtt, ackedFile, hasStates: true })
    this.#load = load
    this.#ends.push(() => load.kill())
    const startedAt = performance.now()
    for (let death = 0; death < this.#parts.deaths; death++) {
      await load.movesOn(random)
      await this.#die(daemon, relay)
      daemon = await this.#startAgain(options)
    }
    this.#seconds = (performance.now() - startedAt) / 1000
    this.#sent = await load.stop()
    disk.cut(false)
    await daemon.kill()
    await disk.restore()
    daemon = await startHeadwater(options)
    const states = await load.judgeStates(daemon.kafka, settledWithinMs[this.#isToFail ? 'toFail' : 'sound'])
    const records = await load.judge(daemon.kafka)
    await daemon.stop()
    return {
      faultCount: states.faultCount + records.faultCount,
      sentences: [...states.sentences, ...records.sentences],
    }
  }

  #daemonOptions(ports: { kafka: number; mqtt: number }, relayPort: number): HeadwaterOptions {
    const { folder, disk, mutant, library } = this.#parts
    const configFile = join(folder, 'headwater.yaml')
    const listener = `{ listen: "127.0.0.1:${ports.kafka}", advertise: "127.0.0.1:${relayPort}" }`
    writeFileSync(configFile, `listeners:\n  kafka: [ ${listener} ]\n${hurriedSettings}`)
    return {
      kafkaPort: null,
      mqttPort: ports.mqtt,
      dataDir: disk.dataDir,
      configFile,
      logFile: join(folder, 'daemon.log'),
      ...(mutant === undefined ? {} : { command: mutatedSource(folder, mutant) }),
      ...(library === undefined ? {} : { environment: { LD_PRELOAD: library } }),
    }
  }

  get #isToFail(): boolean {
    return this.#parts.library !== undefined || this.#parts.mutant !== undefined
  }

  async #die(daemon: RunningHeadwater, relay: Relay): Promise<void> {
    const { random, disk } = this.#parts
    if (random.chance(0.5)) await relay.swallowThenCut(random.between(1, 15))
    disk.cut(random.chance(0.25))
    await daemon.kill()
    await disk.restore()
  }

  async #startAgain(options: HeadwaterOptions): Promise<RunningHeadwater> {
    const { random, disk } = this.#parts
    if (random.below(deathsPerStartDeath) === 0) {
      this.#startDeaths++
      // Killed when it is not ready by then.
      const early = await startHeadwater({ ...options, readyWithinMs: random.between(150, 700) }).catch(() => null)
      disk.cut(random.chance(0.25))
      await early?.kill()
      await disk.restore()
    }
    const daemon = await startHeadwater(options)
    this.#recoveryMsMax = Math.max(this.#recoveryMsMax, Number(/recovery=(\d+)ms/.exec(daemon.readyLine)?.[1] ?? 0))
    return daemon
  }
}
