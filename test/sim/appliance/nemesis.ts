/** What happens to the appliance: each seed draws its own mix, so that some seeds have much of one thing and nothing of another. */
import type { DiskTimes } from '../sim-disk.ts'
import { defaultDiskTimes } from '../sim-disk.ts'
import type { Prng } from '../prng.ts'
import type { SimWorld } from '../world.ts'
import type { Crash, Edge } from './edge.ts'

type Disturbance = 'reset' | 'cut' | 'stall' | 'pause' | 'clock'
type Ending = 'kill' | 'powerCut' | 'stop' | 'syncFails' | 'writeFails' | 'diskFull'
/** When a life ends: at a time, or at a moment of a commit. */
type Moment = 'time' | 'submitted' | 'completed'

const slowDisk: DiskTimes = { syncMs: [5, 40], operationMs: [0.05, 3], kibibyteMs: 0.05, hotChance: 0.5 }
const torpidWrites: DiskTimes = { syncMs: [0.2, 2], operationMs: [0.5, 4], kibibyteMs: 0.01, hotChance: 0.9 }
const fastDisk: DiskTimes = { syncMs: [0.02, 0.2], operationMs: [0.001, 0.01], kibibyteMs: 0.0005, hotChance: 1 }
const coldDisk: DiskTimes = { ...defaultDiskTimes, hotChance: 0 }

const hourMs = 3_600_000

export class Nemesis {
  readonly #world: SimWorld
  readonly #edge: Edge
  readonly #chance: Prng
  readonly #disturbances: readonly Disturbance[]
  readonly #endings: readonly Ending[]
  readonly #recoveryCrashChance: number

  constructor(world: SimWorld, edge: Edge) {
    this.#world = world
    this.#edge = edge
    this.#chance = world.prng.fork('nemesis')
    this.#disturbances = this.#some(['reset', 'cut', 'stall', 'pause', 'clock'])
    this.#endings = this.#some(['kill', 'powerCut', 'stop', 'syncFails', 'writeFails', 'diskFull'])
    this.#recoveryCrashChance = this.#chance.pick([0, 0.2, 0.5])
  }

  /** One life of the daemon, from its start to its end. */
  async reign(): Promise<void> {
    await this.#start()
    const lifeMs = this.#chance.pick([30, 100, 300]) * this.#chance.real(0.3, 1)
    const { life } = this.#edge
    for (let count = this.#chance.below(4); count > 0; count--) {
      const atMs = this.#world.nowMs + this.#chance.real(0, lifeMs)
      const disturbance = this.#chance.pick(this.#disturbances)
      this.#world.at(atMs, `nemesis ${disturbance}`, () => {
        if (this.#edge.life === life && this.#edge.isUp) this.#disturb(disturbance)
      })
    }
    await this.#world.runFor(lifeMs * this.#chance.real(0.5, 1))
    await this.#end(this.#chance.pick(this.#endings))
    await this.#world.runFor(this.#chance.below(40))
  }

  /** Everything works again; the clock stays where it is. */
  heal(): void {
    this.#world.network.heal('edge', 'field')
    this.#edge.host.faults.clear()
    this.#edge.host.image.capacityBytes = Number.POSITIVE_INFINITY
    this.#edge.host.diskTimes = defaultDiskTimes
  }

  /** Starts the daemon, perhaps with crashes on the way. */
  async #start(): Promise<void> {
    const { host } = this.#edge
    host.diskTimes = this.#chance.pick([defaultDiskTimes, defaultDiskTimes, slowDisk, torpidWrites, fastDisk, coldDisk])
    while (this.#chance.chance(this.#recoveryCrashChance)) {
      void this.#edge.begin()
      await this.#world.runFor(this.#chance.pick([5, 40, 150]) * this.#chance.real(0, 1))
      this.#edge.crash(this.#crash())
      await this.#world.runFor(this.#chance.below(5))
    }
    await this.#edge.boot()
  }

  #disturb(disturbance: Disturbance): void {
    const { host } = this.#edge
    const { network } = this.#world
    if (disturbance === 'reset') network.reset('edge', 'field')
    else if (disturbance === 'cut') {
      network.cut('edge', 'field')
      const endMs = this.#world.nowMs + this.#chance.pick([5, 50, 900]) * this.#chance.real(0.2, 1)
      this.#world.at(endMs, 'nemesis heal', () => network.heal('edge', 'field'))
    } else if (disturbance === 'stall') host.stallDisk(this.#chance.pick([10, 100, 700]))
    else if (disturbance === 'pause') host.pauseFor(this.#chance.pick([5, 50, 500]))
    else {
      // Within what producers' timestamps allow; or into the days before anybody has told the time.
      host.wallTrusted = this.#chance.chance(0.7)
      if (host.wallTrusted)
        host.wallOffsetMs = this.#chance.pick([0, 20 * hourMs, this.#chance.real(-0.7, 0.7) * hourMs])
      else host.wallOffsetMs = this.#chance.pick([-56 * 365 * 24 * hourMs, 0])
    }
  }

  async #end(ending: Ending): Promise<void> {
    const { host } = this.#edge
    if (ending === 'stop') return this.#edge.stop()
    if (ending === 'kill' || ending === 'powerCut') return this.#crashAt(this.#moment(), ending)
    const after = this.#chance.below(6)
    if (ending === 'syncFails') host.failDisk({ operation: 'sync', code: 'EIO', after, times: 1 })
    else if (ending === 'writeFails') host.failDisk({ operation: 'write', code: 'EIO', after, times: 1 })
    else host.image.capacityBytes = host.image.usedBytes + this.#chance.below(30_000)
    await this.#world.runFor(this.#chance.between(1, 150))
    this.#edge.crash(this.#crash())
    host.faults.clear()
    host.image.capacityBytes = Number.POSITIVE_INFINITY
  }

  async #crashAt(moment: Moment, how: Crash): Promise<void> {
    const { life } = this.#edge
    const crash = (delayMs: number): void => {
      this.#edge.onSubmit = null
      this.#world.at(this.#world.nowMs + delayMs, 'nemesis', () => {
        if (this.#edge.life === life && this.#edge.isUp) this.#edge.crash(how)
      })
    }
    const delayMs = this.#chance.pick([0, 0.05, 1, 4]) * this.#chance.real(0, 1)
    let skip = this.#chance.below(5)
    if (moment === 'time') crash(delayMs)
    else {
      this.#edge.onSubmit = (_, completed) => {
        if (skip-- > 0) return
        if (moment === 'submitted') crash(delayMs)
        else completed.then(() => crash(delayMs)).catch(() => {})
      }
      // Nobody may be writing.
      this.#world.at(this.#world.nowMs + 300, 'nemesis', () => crash(0))
    }
    await this.#world.run(() => !this.#edge.isUp)
    this.#edge.onSubmit = null
  }

  #moment(): Moment {
    return this.#chance.pick(['time', 'submitted', 'completed'])
  }

  #crash(): Crash {
    return this.#chance.pick(['kill', 'powerCut'])
  }

  #some<T>(all: readonly T[]): readonly T[] {
    const some = all.filter(() => this.#chance.chance(0.5))
    return some.length > 0 ? some : [this.#chance.pick(all)]
  }
}
