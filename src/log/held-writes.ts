/**
 * Where thousands of logs are written to, each with a batch now and then, the journal is where their bytes stay: a log's file gets in one
 * write, copied from the ring, what several commits have brought. Written at once each batch would cost the file system as much as all of
 * them, and pages and books of the file would be written again each time.
 *
 * What is held is durable and acknowledged, in frames that stay needed until the file has it and is synced. Whoever reads the file finds it
 * there (`held-reads`). Whoever is about to count on the file itself (a sync, a roll, a write of another way) has its log released first.
 */
import { assert } from '../base/assert.ts'
import type { DiskOperation } from '../base/ports.ts'
import type { UnifiedLog } from './unified-log.ts'

/** What a frame has of a log, and its file gets later. */
export interface HeldRange {
  readonly path: string
  /** Where it belongs in the file. */
  readonly position: number
  /** Where it stands in the journal. */
  readonly ringPosition: number
  readonly bytes: number
}

/** What the end of a file lacks, as the journal has it. */
export interface HeldExtent {
  readonly log: UnifiedLog
  readonly path: string
  readonly position: number
  bytes: number
  /** Place in the journal and length of each piece, as the disk takes them. */
  readonly pieces: number[]
  readonly sinceMs: number
}

export class HeldWrites {
  /** The longest held first. */
  readonly #held = new Map<UnifiedLog, HeldExtent>()
  /** What each file lacks, in its order: what is on its way, then what is held. */
  readonly #lacking = new Map<string, HeldExtent[]>()
  #bytes = 0
  #lackingBytes = 0

  /** Of all logs. */
  get bytes(): number {
    return this.#bytes
  }

  /** The same with what is on its way. */
  get lackingBytes(): number {
    return this.#lackingBytes
  }

  /** Logs of which something is held. */
  get size(): number {
    return this.#held.size
  }

  has(log: UnifiedLog): boolean {
    return this.#held.has(log)
  }

  /** Each range follows the one before it in the same file: a log is released before it goes on in another. */
  add(log: UnifiedLog, { path, position, ringPosition, bytes }: HeldRange, nowMs: number): void {
    this.#bytes += bytes
    this.#lackingBytes += bytes
    const held = this.#held.get(log)
    if (held !== undefined) {
      assert(held.path === path && held.position + held.bytes === position, 'what is held of a log has a gap')
      held.pieces.push(ringPosition, bytes)
      held.bytes += bytes
      return
    }
    const extent = { log, path, position, bytes, pieces: [ringPosition, bytes], sinceMs: nowMs }
    this.#held.set(log, extent)
    const lacking = this.#lacking.get(path)
    if (lacking === undefined) this.#lacking.set(path, [extent])
    else lacking.push(extent)
  }

  /** What is held of these logs is on its way now: the operations that bring it into their files. */
  release(
    logs: Iterable<UnifiedLog>,
    journalPath: string,
  ): { readonly operations: readonly DiskOperation[]; readonly extents: readonly HeldExtent[] } {
    const operations: DiskOperation[] = []
    const extents: HeldExtent[] = []
    for (const log of logs) {
      const extent = this.#take(log)
      if (extent === null) continue
      const { path, position, pieces } = extent
      operations.push({ kind: 'copy', from: journalPath, pieces, path, position })
      extents.push(extent)
    }
    return { operations, extents }
  }

  /** The files have these. */
  written(extents: readonly HeldExtent[]): void {
    for (const extent of extents) {
      const lacking = this.#lacking.get(extent.path)
      const index = lacking?.indexOf(extent) ?? -1
      if (lacking === undefined || index < 0) continue
      this.#lackingBytes -= extent.bytes
      if (lacking.length === 1) this.#lacking.delete(extent.path)
      else lacking.splice(index, 1)
    }
  }

  /** The log is deleted. */
  drop(log: UnifiedLog): void {
    this.#take(log)
    for (const { logPath } of log.segments) {
      for (const { bytes } of this.#lacking.get(logPath) ?? []) this.#lackingBytes -= bytes
      this.#lacking.delete(logPath)
    }
  }

  /** What the file lacks, in its order; null when it has all. */
  lackingIn(path: string): readonly HeldExtent[] | null {
    return this.#lacking.get(path) ?? null
  }

  /** The file has it not: the ring has. */
  isLacking(extent: HeldExtent): boolean {
    return this.#lacking.get(extent.path)?.includes(extent) === true
  }

  /** Those of these files, until they are so many bytes together; how many they are is answered too. */
  firstOf(
    paths: Iterable<string>,
    bytesMin: number,
  ): { readonly logs: ReadonlySet<UnifiedLog>; readonly bytes: number } {
    const logs = new Set<UnifiedLog>()
    let bytes = 0
    if (this.#held.size === 0) return { logs, bytes }
    for (const path of paths) {
      if (bytes >= bytesMin) break
      const newest = this.#lacking.get(path)?.at(-1)
      if (newest === undefined || this.#held.get(newest.log) !== newest) continue
      bytes += newest.bytes
      logs.add(newest.log)
    }
    return { logs, bytes }
  }

  /** Those of which something has been held since that time or longer, the longest held first. */
  heldSince(atMs: number): readonly UnifiedLog[] {
    const logs: UnifiedLog[] = []
    for (const [log, held] of this.#held) {
      if (held.sinceMs > atMs) break
      logs.push(log)
    }
    return logs
  }

  #take(log: UnifiedLog): HeldExtent | null {
    const extent = this.#held.get(log)
    if (extent === undefined) return null
    this.#held.delete(log)
    this.#bytes -= extent.bytes
    return extent
  }
}
