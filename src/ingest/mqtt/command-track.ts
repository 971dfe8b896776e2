/** How far a command route is in one partition, and how that is written as an offset with metadata. */
import type { Partition } from '../../cluster/partition/partition.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import type { RecordView } from '../../protocol/records/record.ts'
import type { CommandPlan, CommandRecord, CompiledCommandRoute } from './command-route.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import type { MqttSession } from './session.ts'

/** Commands of one partition that may wait, beside those that a start finds undone: each is found again by reading its batch. */
export const waitingMax = 1000

/** What became of a record of a command route. */
export type CommandOutcome = 'given' | 'unmatched' | 'expired' | 'invalid' | 'ordinary' | 'lost'

/** A command that nobody has: it is read from the log again when somebody subscribes. */
export interface WaitingCommand {
  readonly track: CommandTrack
  readonly offset: number
  readonly topic: string
  readonly expiresMs: number
  /** Who was given it and has not acknowledged it. */
  holder: MqttSession | null
}

/** Records that a session which was not kept, and fell behind, has left: they are looked through for commands to wait. */
export interface Orphans {
  from: number
  to: number
  /** The filters that it had; null = everything. */
  filters: string[] | null
}

export interface CommandTrack {
  readonly compiled: CompiledCommandRoute
  readonly partition: Partition
  /** Everything below was given to somebody, waits, or is done with. */
  endOffset: number
  /** By offset; `WaitingCommands` changes it. */
  readonly waiting: Map<number, WaitingCommand>
  /** Bound: `orphansMax`. */
  orphans: Orphans[]
  /** Where the look through them stands. */
  scanOffset: number | null
  /** Its reader stands still: too many wait. */
  isHeld: boolean
  /** As it was written last. */
  written: string
}

/** What is stored: the offset that the group shows, and what is undone between it and the end. */
export interface StoredTrack {
  readonly endOffset: number
  /** Ascending, all below the end. */
  readonly undone: readonly number[]
}

/** Filters of one set of orphans; beyond that everything counts. */
const orphanFiltersMax = 256
const orphansMax = 16

export function addOrphans(track: CommandTrack, orphans: Orphans): void {
  const last = track.orphans.at(-1)
  if (track.orphans.length < orphansMax || last === undefined) {
    track.orphans.push(orphans)
    return
  }
  last.from = Math.min(last.from, orphans.from)
  last.to = Math.max(last.to, orphans.to)
  const filters = last.filters === null || orphans.filters === null ? null : [...last.filters, ...orphans.filters]
  last.filters = filters !== null && filters.length <= orphanFiltersMax ? filters : null
}

/**
 * The offset to commit, and its metadata: `1:END:GAPS`, the gaps from the offset to the first undone command and from each to the next as base64 of
 * variable-length numbers. What does not fit moves the end forward to itself: it is looked at again after a start.
 */
export function encodeTrack(
  endOffset: number,
  undone: readonly number[],
  lengthMax: number,
): { readonly offset: number; readonly metadata: string } {
  const offset = Math.min(endOffset, undone[0] ?? endOffset)
  const gaps: number[] = []
  let end = endOffset
  let before = offset
  const bytesMax = Math.floor((Math.max(0, lengthMax - 24) * 3) / 4) - 8
  for (const each of undone) {
    if (each >= endOffset) break
    if (gaps.length >= bytesMax) {
      end = each
      break
    }
    let gap = each - before
    before = each
    while (gap > 127) {
      gaps.push((gap % 128) | 128)
      gap = Math.floor(gap / 128)
    }
    gaps.push(gap)
  }
  if (end === offset) return { offset, metadata: '' }
  return { offset, metadata: `1:${end}:${Buffer.from(gaps).toString('base64')}` }
}

/** The other way; metadata of somebody else means nothing and the end is the offset. */
export function decodeTrack(offset: number, metadata: string): StoredTrack {
  const parts = /^1:(\d{1,16}):([A-Za-z0-9+/]*={0,2})$/.exec(metadata)
  const endOffset = Number(parts?.[1] ?? offset)
  if (parts === null || !Number.isSafeInteger(endOffset) || endOffset < offset) return { endOffset: offset, undone: [] }
  const undone: number[] = []
  let at = offset
  let gap = 0
  let scale = 1
  for (const byte of Buffer.from(parts[2] as string, 'base64')) {
    gap += (byte & 127) * scale
    scale *= 128
    if (byte > 127) continue
    at += gap
    if (!Number.isSafeInteger(at) || at >= endOffset) break
    undone.push(at)
    gap = 0
    scale = 1
  }
  return { endOffset, undone }
}

export function commandRecord(track: CommandTrack, { offset, timestampMs, key, headers }: RecordView): CommandRecord {
  return { partition: track.partition.index, offset, timestampMs, key, headers }
}

/** The message of a command; `hasOrigin`: whoever takes it is at this place in the log. */
export function commandMessage(
  { partition }: CommandTrack,
  { offset }: CommandRecord,
  { topic, expiresMs, headers }: Extract<CommandPlan, { kind: 'command' }>,
  { payload, hasOrigin }: { readonly payload: Uint8Array; readonly hasOrigin: boolean },
): OutgoingMessage {
  const origin = hasOrigin ? { partition, offset } : null
  return new OutgoingMessage(utf8Bytes(topic), payload, headers, origin, { partition, offset, topic, expiresMs })
}
