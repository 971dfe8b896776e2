/** A log directory on a medium that is played operation by operation: starts, deaths, and what must hold at each of them. */
import type { LogDirectory, LogDirectoryOptions } from '../../src/log/log-directory.ts'
import { died, Stage, turn } from '../explore/stage.ts'
import type { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { openSmall } from './log-fixture.ts'

const turnsMax = 200

/** The process of now, on one medium after the other; each start is a second later. */
export class StagedLog {
  #nowMs = 1_000_000
  #stage: Stage | null = null

  get stage(): Stage {
    if (this.#stage === null) throw new Error('nothing was started')
    return this.#stage
  }

  get eventIds(): string[] {
    return this.stage.observer.events.map(({ id }) => id)
  }

  /** A new process on the medium; null when it has died before the directory was open. */
  async start(
    medium: DiskImage,
    operationsLeft = Number.POSITIVE_INFINITY,
    options: Partial<LogDirectoryOptions> = {},
  ): Promise<LogDirectory | null> {
    this.#nowMs += 1000
    this.#stage = new Stage(medium, 'run', new Prng(this.#nowMs, 'stage'), this.#nowMs)
    this.stage.disk.operationsLeft = operationsLeft
    const opened = await this.stage.settle(openSmall(this.stage.ports, options))
    return opened === died ? null : opened
  }

  async opened(medium: DiskImage, options: Partial<LogDirectoryOptions> = {}): Promise<LogDirectory> {
    const directory = await this.start(medium, Number.POSITIVE_INFINITY, options)
    if (directory === null) throw new Error('the process has died')
    return directory
  }

  /** Lets the process go on, operation by operation, until something is so or nothing comes any more. */
  async runUntil(isSo: () => boolean): Promise<void> {
    for (let turns = 0; turns < turnsMax && !isSo(); turns++) {
      this.stage.clock.runDeferred()
      await turn()
    }
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    const settled = await this.stage.settle(promise)
    if (settled === died) throw new Error('the process has died')
    return settled
  }
}
