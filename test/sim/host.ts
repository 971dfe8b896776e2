/** A simulated host: a file system that survives restarts, a clock that may be wrong, and at most one process. */
import type { Compute, Entropy, Ports } from '../../src/base/ports.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { type DiskFault, DiskFaults } from './disk-faults.ts'
import { DiskImage, SimDirectory } from './disk-image.ts'
import type { SimEvent } from './event-heap.ts'
import type { Prng } from './prng.ts'
import { SimClock, worldStartWallMs } from './sim-clock.ts'
import { type DiskTimes, defaultDiskTimes, SimDisk } from './sim-disk.ts'
import { SimObserver } from './sim-observer.ts'
import type { SimWorld } from './world.ts'

export interface CodecCounts {
  decompressed: number
  unpacked: number
  /** Of what was unpacked: somebody still reads it. */
  inUse: number
}

interface SimProcess {
  readonly id: number
  readonly disk: SimDisk
}

export class SimHost {
  readonly name: string
  /** Its address in the world's network. */
  readonly address: string
  readonly image = new DiskImage()
  readonly faults = new DiskFaults()
  /** What was asked of codecs, over all processes. */
  readonly codecs: CodecCounts = { decompressed: 0, unpacked: 0, inUse: 0 }
  /** Times of the disk, used from the next boot on. */
  diskTimes: DiskTimes = defaultDiskTimes
  /** How far the host's wall clock is off. */
  wallOffsetMs = 0
  wallTrusted = true
  readonly #world: SimWorld
  readonly #prng: Prng
  readonly #locks = new Map<string, number>()
  #process: SimProcess | null = null
  #processes = 0
  #pausedUntilMs = 0
  #diskStalledUntilMs = 0
  #hasPower = true

  constructor(world: SimWorld, name: string, address: string) {
    this.#world = world
    this.name = name
    this.address = address
    this.#prng = world.prng.fork(`host ${name}`)
  }

  /** A process runs. */
  get isUp(): boolean {
    return this.#process !== null
  }

  /** False between `powerCut` and the next `boot`: nothing answers on the network. */
  get hasPower(): boolean {
    return this.#hasPower
  }

  /** Number of the running process; 0 when there is none. */
  get processId(): number {
    return this.#process?.id ?? 0
  }

  /** What the running process, or the last one, has reported. */
  observer: SimObserver = new SimObserver(
    () => 0,
    () => {},
  )

  /** Starts a process and answers its ports. */
  boot(): Ports {
    if (this.#process) throw new Error(`host ${this.name} already runs a process`)
    const id = 1000 + ++this.#processes
    const prng = this.#prng.fork(`process ${id}`)
    const isAlive = (): boolean => this.#process?.id === id
    const at = (atMs: number, label: string, task: () => void): SimEvent => this.#at(isAlive, atMs, label, task)
    const nowMs = (): number => this.#world.nowMs
    const disk = new SimDisk({
      image: this.image,
      faults: this.faults,
      times: this.diskTimes,
      prng: prng.fork('disk'),
      locks: this.#locks,
      processId: id,
      nowMs,
      at,
      stalledUntilMs: () => this.#diskStalledUntilMs,
    })
    const clock = new SimClock({
      nowMs,
      hostWallMs: () => worldStartWallMs + this.#world.nowMs + this.wallOffsetMs,
      hostWallTrusted: () => this.wallTrusted,
      at,
      prng: prng.fork('clock'),
    })
    this.observer = new SimObserver(nowMs, (line) => this.#world.note(`${this.name} ${line}`))
    this.#process = { id, disk }
    this.#hasPower = true
    this.#world.note(`${this.name} boots process ${id}`)
    this.#world.network.powerReturned(this)
    return {
      clock,
      entropy: simEntropy(prng.fork('entropy')),
      disk,
      net: this.#world.network.portFor({ host: this, prng: prng.fork('net'), isAlive, at }),
      compute: counted(nodeCompute({ inline: true }), this.codecs),
      observer: this.observer,
    }
  }

  /** The process is killed: what it gave to the kernel survives, what it had queued is lost. */
  kill(): void {
    if (!this.#process) return
    this.#world.note(`${this.name} is killed`)
    this.#process.disk.stop()
    this.#process = null
    this.#locks.clear()
    this.#world.network.processEnded(this)
  }

  /** The power goes: the page cache is lost, the network falls silent. */
  powerCut(): void {
    this.#world.note(`${this.name} loses power`)
    this.#process?.disk.stop()
    this.#process = null
    this.#locks.clear()
    this.image.crash(this.#prng)
    this.#hasPower = false
    this.#world.network.powerLost(this)
  }

  /** Nothing of the process runs for this long: a paused virtual machine. */
  pauseFor(durationMs: number): void {
    this.#pausedUntilMs = this.#world.nowMs + durationMs
  }

  /** No further group of disk operations starts for this long; reads go on. */
  stallDisk(durationMs: number): void {
    this.#diskStalledUntilMs = this.#world.nowMs + durationMs
  }

  /** Makes disk operations fail; the answer ends it. */
  failDisk(fault: DiskFault): () => void {
    return this.faults.add(fault)
  }

  /** Another program on this host holds the lock on a file; the answer lets it go. */
  holdLock(path: string, processId: number): () => void {
    this.#locks.set(path, processId)
    return () => void this.#locks.delete(path)
  }

  /** The content of a file as a program on the host would read it now, or null. */
  fileNow(path: string): Uint8Array | null {
    const node = this.image.find(path)
    return node === null || node instanceof SimDirectory ? null : node.read(0, node.size)
  }

  /** Flips bits of a byte on the medium. */
  corrupt(path: string, position: number, mask: number): void {
    this.image.file(path).corrupt(position, mask)
  }

  /** An event of the process that `isAlive` speaks of: it does not happen when that has ended. */
  #at(isAlive: () => boolean, atMs: number, label: string, task: () => void): SimEvent {
    const run = (): void => {
      if (!isAlive() || event.cancelled) return
      // A paused process gets its events when it goes on; `event` stays the handle that cancels.
      if (this.#world.nowMs < this.#pausedUntilMs) this.#world.at(this.#pausedUntilMs, label, run)
      else task()
    }
    const event = this.#world.at(atMs, `${this.name} ${label}`, run)
    return event
  }
}

function simEntropy(prng: Prng): Entropy {
  return {
    uint32: () => prng.uint32(),
    below: (bound) => prng.below(bound),
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = prng.uint32()
      return bytes
    },
  }
}

function counted(compute: Compute, counts: CodecCounts): Compute {
  const decompress = compute.decompress.bind(compute)
  const unpack = compute.unpack.bind(compute)
  compute.decompress = (...request) => {
    counts.decompressed += 1
    return decompress(...request)
  }
  compute.unpack = (codec, bytes, bytesMax, use) =>
    unpack(codec, bytes, bytesMax, (output) => {
      counts.unpacked += 1
      const used = use(output)
      if (!(used instanceof Promise)) return used
      counts.inUse += 1
      return used.finally(() => {
        counts.inUse -= 1
      })
    })
  return compute
}
