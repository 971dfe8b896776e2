/**
 * After the metadata had to be rebuilt, settings may be missing: a topic that was kept for ever may look like one that is kept for a
 * week. So nothing is deleted or compacted until an operator has looked. The hold is a file in `dataDir/state`; `headwater recover
 * confirm` removes it, with the daemon running or not.
 */
import { asError } from '../base/errors.ts'
import type { DiskOperation, Ports, Timer } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { stateFileNames } from '../log/side-files.ts'
import { clusterEvents } from './cluster-events.ts'

/** A confirmation is noticed this long after it at the latest. */
const lookEveryMs = 5_000
const bytesMax = 4_096

export interface HoldParts {
  readonly ports: Pick<Ports, 'disk' | 'clock' | 'observer'>
  readonly stateDirectory: string
  /** Writes when there is room, an empty file (`sign`) also on most full disks; answers whether there was. A failure of the disk is the directory's. */
  write(operations: readonly DiskOperation[], lane: 'attempt' | 'sign'): Promise<boolean>
  /** Deletion and compaction are held, or go on. */
  onChange(isHeld: boolean): void
}

export class RecoveryHold {
  readonly #parts: HoldParts
  readonly #path: string
  #reason: string | null = null
  #timer: Timer | null = null
  #isStopped = false
  #isWritten = false

  constructor(parts: HoldParts) {
    this.#parts = parts
    this.#path = `${parts.stateDirectory}/${stateFileNames.recoveryHold}`
  }

  /** Why nothing is deleted; null = it is. */
  get reason(): string | null {
    return this.#reason
  }

  /** Takes up a hold of an earlier start. */
  async open(): Promise<void> {
    let reason: string | null
    try {
      const bytes = await this.#parts.ports.disk.readFile(this.#path, bytesMax)
      reason = holdReason(bytes)
    } catch (thrown) {
      // It stands there: that it cannot be read confirms nothing.
      reason = `the hold of an earlier start cannot be read (${asError(thrown).message})`
    }
    if (reason === null) return
    this.#isWritten = true
    this.#hold(reason)
  }

  /** Holds from now on, over restarts. */
  async begin(reason: string): Promise<void> {
    this.#hold(reason)
    await this.#write(reason)
  }

  /** On a full disk its name is written down without the reason. Where there is no room for that either it is held all the same, and written later. */
  async #write(reason: string): Promise<void> {
    const path = this.#path
    const write = async (operations: readonly DiskOperation[], lane: 'attempt' | 'sign'): Promise<boolean> => {
      const named: DiskOperation = { kind: 'syncDirectory', path: this.#parts.stateDirectory }
      return this.#parts.write([...operations, named], lane).catch(() => false)
    }
    this.#isWritten =
      (await write(replaceFile(path, Buffer.from(`${reason}\n`)), 'attempt')) ||
      (await write([{ kind: 'writeFile', path, bytes: new Uint8Array(0) }], 'sign'))
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) this.#parts.ports.clock.cancel(this.#timer)
  }

  #hold(reason: string): void {
    this.#reason = reason
    this.#parts.onChange(true)
    this.#parts.ports.observer.event(clusterEvents.deletionHeld, { reason })
    this.#lookLater()
  }

  #lookLater(): void {
    if (this.#isStopped) return
    this.#timer = this.#parts.ports.clock.schedule(lookEveryMs, () => {
      this.#timer = null
      void this.#look().then((isHeld) => {
        if (isHeld) this.#lookLater()
      })
    })
  }

  async #look(): Promise<boolean> {
    const { disk, observer } = this.#parts.ports
    if (!this.#isWritten) {
      await this.#write(this.#reason ?? '')
      return true
    }
    const size = await disk.size(this.#path).catch(() => 0)
    if (size !== null || this.#isStopped) return true
    this.#reason = null
    this.#parts.onChange(false)
    observer.event(clusterEvents.recoveryConfirmed, {})
    return false
  }
}

/** Why is held, by the bytes of the file; null = there is none. */
export function holdReason(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  const written = Buffer.from(bytes).toString('utf8').trim()
  return written === '' ? 'metadata was lost; there was no room to write down more' : written
}
