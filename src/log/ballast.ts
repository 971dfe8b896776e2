/**
 * The ballast: a file of zeros in `dataDir/state` that is removed when the file system is full, so that what has been begun can be
 * finished: the commits under way, a checkpoint, a deletion, a clean stop, the replay of the next start. New data has no part of it.
 */
import type { DiskOperation } from '../base/ports.ts'
import { mayPass, type PatientDisk } from './patient-disk.ts'

/** Written in pieces, so that commits come between. */
const pieceBytes = 524_288

export class Ballast {
  readonly #disk: PatientDisk
  readonly #path: string
  readonly #directory: string
  #bytesMax: number
  #bytes = 0
  #isFilling = false

  constructor(disk: PatientDisk, place: { readonly directory: string; readonly path: string }, bytesMax: number) {
    this.#disk = disk
    this.#path = place.path
    this.#directory = place.directory
    this.#bytesMax = bytesMax
  }

  /** What it is to have. */
  get bytesMax(): number {
    return this.#bytesMax
  }

  /** From now on it is to have this much; what is there already stays. */
  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax
  }

  /** What it takes on the disk now. */
  get bytes(): number {
    return this.#bytes
  }

  get isWhole(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  /** Takes over what an earlier life has left. */
  async open(): Promise<void> {
    this.#bytes = (await this.#disk.size(this.#path)) ?? 0
  }

  /** Writes what is missing; answers whether it is whole. Leaves nothing behind when the space is not there after all. */
  async fill(): Promise<boolean> {
    if (this.isWhole) return true
    if (this.#isFilling) return false
    this.#isFilling = true
    try {
      while (this.#bytes < this.#bytesMax) {
        const bytes = Math.min(pieceBytes, this.#bytesMax - this.#bytes)
        const write: DiskOperation = {
          kind: 'write',
          path: this.#path,
          position: this.#bytes,
          chunks: [zeros.subarray(0, bytes)],
        }
        await this.#disk.submit([write, { kind: 'sync', path: this.#path }], { lane: 'attempt' })
        this.#bytes += bytes
      }
      await this.#disk.submit([{ kind: 'syncDirectory', path: this.#directory }], { lane: 'attempt' })
    } catch (thrown) {
      if (!mayPass(thrown)) throw thrown
      this.#isFilling = false
      await this.release()
    }
    this.#isFilling = false
    return this.isWhole
  }

  /** Gives its space back; answers whether there was any to give. */
  async release(): Promise<boolean> {
    if (this.#bytes === 0 && !this.#isFilling) return false
    this.#bytes = 0
    await this.#disk.submit([{ kind: 'unlink', path: this.#path }], { lane: 'relief' })
    return true
  }
}

const zeros = new Uint8Array(pieceBytes)
