/**
 * A small file system that somebody else fills to the last block, under load: acknowledgements stop, readers are served, kills and
 * stops and starts work without a free byte, and all goes on by itself when there is room again.
 */
import { strict as assert } from 'node:assert'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { until } from '../interop/case.ts'
import { freePort, type HeadwaterOptions, type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'
import type { Prng } from '../sim/prng.ts'
import type { LoopDisk } from './disks.ts'
import type { Judgement } from './history.ts'
import { createLoadTopics, hurriedSettings, MixedLoad } from './loads.ts'

export interface FullDiskParts {
  readonly folder: string
  readonly disk: LoopDisk
  readonly python: string
  readonly random: Prng
}

/** What a file system keeps for itself and still calls free. */
const freeBytesLeft = 65_536
/** Small, as the disk is. */
const reserveBytes = 16 * 1_048_576
/** MQTT 5.0 reason: quota exceeded. */
const quotaExceeded = 0x97

export class FullDiskRun {
  readonly #parts: FullDiskParts
  #daemon: RunningHeadwater | null = null
  #load: MixedLoad | null = null
  #figures = ''

  constructor(parts: FullDiskParts) {
    this.#parts = parts
  }

  get summary(): string {
    return this.#figures
  }

  async judge(bootstrap: string): Promise<Judgement> {
    if (this.#load === null) throw new Error('there was no load')
    return this.#load.judge(bootstrap)
  }

  /** Throws when a promise is broken; the daemon has stopped cleanly afterwards. */
  async run(): Promise<void> {
    try {
      await this.#run()
    } finally {
      await this.#load?.kill()
      await this.#daemon?.kill()
    }
  }

  async #run(): Promise<void> {
    const { disk, random } = this.#parts
    const options = await this.#begin()
    const load = this.#load as MixedLoad
    await load.movesOn(random)
    await this.#reserveIsThere()
    await this.#fill()
    await this.#running.kill()
    this.#daemon = await startHeadwater(options)
    // What the reserve has left is room for it.
    await this.#serves('after a kill on a full disk')
    disk.giveBack()
    await load.movesOn(random)
    await this.#reserveIsThere()
    await this.#running.kill()
    disk.fill()
    assert.ok(disk.freeBytes < freeBytesLeft, `${disk.freeBytes} bytes are free`)
    this.#daemon = await startHeadwater(options)
    await this.#servesButTakesNothing('after a start without a free byte')
    // Somebody takes what the reserve has left, too.
    disk.fill()
    assert.equal(await this.#running.stop(), 0, 'a stop on a full disk')
    // It may have to wait for the room of what was acknowledged last.
    const starting = startHeadwater(options)
    disk.giveBack()
    this.#daemon = await starting
    await load.movesOn(random)
    this.#figures = `filled three times, three starts on a full disk; ${await load.stop()}`
    noFault(await load.judge(this.#running.kafka), 'in the end')
    assert.equal(await this.#running.stop(), 0)
    this.#daemon = null
  }

  async #begin(): Promise<HeadwaterOptions> {
    const { folder, disk, python } = this.#parts
    const ports = { kafka: await freePort(), mqtt: await freePort() }
    const configFile = join(folder, 'headwater.yaml')
    writeFileSync(configFile, `disk:\n  reserve: ${reserveBytes / 1_048_576}MiB\n${hurriedSettings}`)
    const options: HeadwaterOptions = {
      dataDir: disk.dataDir,
      kafkaPort: ports.kafka,
      mqttPort: ports.mqtt,
      configFile,
      logFile: join(folder, 'daemon.log'),
    }
    this.#daemon = await startHeadwater(options)
    createLoadTopics(ports.kafka)
    const ackedFile = join(folder, 'acked')
    this.#load = await MixedLoad.start({ python, kafka: this.#daemon.kafka, mqttPort: ports.mqtt, ackedFile })
    return options
  }

  get #running(): RunningHeadwater {
    if (this.#daemon === null) throw new Error('no daemon runs')
    return this.#daemon
  }

  /** The file that is given up for what has been begun has been written, or written again. */
  async #reserveIsThere(): Promise<void> {
    const file = join(this.#parts.disk.dataDir, 'state', 'ballast')
    const size = (): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
    await until(() => size() >= reserveBytes, 60_000, 'the reserve to be written')
  }

  /** Takes all the space and waits until nothing is acknowledged any more. */
  async #fill(): Promise<void> {
    const load = this.#load as MixedLoad
    this.#parts.disk.fill()
    const refused = async (): Promise<boolean> => (await this.#answerToPublish()) === quotaExceeded
    await until(refused, 60_000, 'a publish to be refused')
    // What had been begun is finished; then nothing comes for as long as it takes to read everything.
    const isStill = async (): Promise<boolean> => {
      const before = load.acknowledgedCount
      await this.#servesButTakesNothing('while the disk is full')
      return load.acknowledgedCount === before
    }
    await until(isStill, 60_000, 'acknowledgements to stop')
  }

  async #servesButTakesNothing(when: string): Promise<void> {
    assert.equal(await this.#answerToPublish(), quotaExceeded, when)
    await this.#serves(when)
  }

  async #serves(when: string): Promise<void> {
    noFault(await this.judge(this.#running.kafka), when)
    const ready = await fetch(`http://${this.#running.http}/health/ready`)
    assert.equal(ready.status, 200, `readiness ${when}`)
  }

  /** The reason code of a publisher of its own. */
  async #answerToPublish(): Promise<number> {
    const client = await connectAsync(`mqtt://${this.#running.mqtt}`, { protocolVersion: 5, clean: true })
    try {
      const answer = await client.publishAsync('readings/plant/probe', 's9-0', { qos: 1 }).then(
        () => 0,
        (error: unknown) => Number((error as { code?: unknown }).code ?? -1),
      )
      return answer
    } finally {
      await client.endAsync()
    }
  }
}

function noFault({ faultCount, sentences }: Judgement, when: string): void {
  assert.equal(faultCount, 0, `${when}: ${sentences.join('; ')}`)
}
