/**
 * After the metadata had to be rebuilt, settings may be missing: a topic that was kept for ever may look like one that is kept for a
 * week. So nothing is deleted or compacted until an operator has looked. The hold is a file in `dataDir/state`; `headwater recover
 * confirm` removes it, with the daemon running or not.
 */
import type { Ports, Timer } from '../base/ports.ts'
import { readSmall } from '../log/load-parts.ts'
import { replaceFile, stateFileNames } from '../log/side-files.ts'
import { clusterEvents } from './cluster-events.ts'

/** A confirmation is noticed this long after it at the latest. */
const lookEveryMs = 5_000
const bytesMax = 4_096

export interface HoldParts {
  readonly ports: Pick<Ports, 'disk' | 'clock' | 'observer'>
  readonly stateDirectory: string
  /** Deletion and compaction are held, or go on. */
  onChange(isHeld: boolean): void
}

export class RecoveryHold {
  readonly #parts: HoldParts
  readonly #path: string
  #reason: string | null = null
  #timer: Timer | null = null
  #isStopped = false

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
    const bytes = await readSmall(this.#parts.ports.disk, this.#path, bytesMax)
    if (bytes !== null) this.#hold(Buffer.from(bytes).toString('utf8').trim())
  }

  /** Holds from now on, over restarts. */
  async begin(reason: string): Promise<void> {
    const { ports, stateDirectory } = this.#parts
    await ports.disk.submit([
      ...replaceFile(this.#path, Buffer.from(`${reason}\n`)),
      { kind: 'syncDirectory', path: stateDirectory },
    ])
    this.#hold(reason)
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
    const size = await disk.size(this.#path).catch(() => 0)
    if (size !== null || this.#isStopped) return true
    this.#reason = null
    this.#parts.onChange(false)
    observer.event(clusterEvents.recoveryConfirmed, {})
    return false
  }
}
