/**
 * `.snapshot` files: Kafka's ProducerSnapshot, version 1.
 *
 * version i16 = 1, crc u32 (CRC-32C of what follows), count i32, then per entry: producer id i64, epoch i16, last sequence i32,
 * last offset i64, offset delta i32, timestamp i64, coordinator epoch i32, first offset of the open transaction i64.
 *
 * Kafka writes one entry a producer: the last batch. We write each of the last five, oldest first, so that a producer with five
 * requests in flight meets its own duplicates after a restart too. Kafka's reader lets a later entry replace an earlier one of
 * the same producer, so it ends with exactly the one that it would have written.
 */
import { crc32c } from '../base/crc32c.ts'
import {
  none,
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  writeInt16,
  writeInt32,
  writeInt64,
} from '../protocol/records/record-batch.ts'
import type { ProducerBatch, ProducerEntry, ProducerState } from './producer-state.ts'

const version = 1
const crcAt = 2
const countAt = 6
const headerBytes = 10
const entryBytes = 46

/** Most bytes of a snapshot that is read: `producersMax` producers with five batches each, and room. */
export const snapshotBytesMax = headerBytes + entryBytes * 5 * 100_000

/** The snapshot of a log's producers now. */
export function encodeSnapshot(state: ProducerState): Uint8Array {
  // The same bytes for all: of most logs no producer is known, and a checkpoint asks each of them.
  if (state.size === 0) return emptySnapshot
  return encodeEntries(state)
}

function encodeEntries(state: Pick<ProducerState, 'entries'>): Uint8Array {
  let count = 0
  for (const entry of state.entries()) count += Math.max(1, entry.batches.length)
  const bytes = new Uint8Array(headerBytes + count * entryBytes)
  writeInt16(bytes, 0, version)
  writeInt32(bytes, countAt, count)
  let at = headerBytes
  for (const entry of state.entries()) {
    const batches = entry.batches
    if (batches.length === 0) at = writeEntry(bytes, at, entry, null, true)
    batches.forEach((batch, index) => {
      at = writeEntry(bytes, at, entry, batch, index === batches.length - 1)
    })
  }
  writeInt32(bytes, crcAt, crc32c(bytes.subarray(countAt)))
  return bytes
}

const emptySnapshot = encodeEntries({ entries: () => [].values() })

/** Reads a snapshot into `state` (cleared first); false, and the state empty, when it is not a whole valid one. */
export function decodeSnapshot(bytes: Uint8Array, state: ProducerState): boolean {
  state.clear()
  if (bytes.length < headerBytes || readInt16(bytes, 0) !== version) return false
  if (readUint32(bytes, crcAt) !== crc32c(bytes.subarray(countAt))) return false
  const count = readInt32(bytes, countAt)
  if (count < 0 || bytes.length !== headerBytes + count * entryBytes) return false
  for (let at = headerBytes; at < bytes.length; at += entryBytes) state.restore(readEntry(bytes, at))
  return true
}

function writeEntry(
  bytes: Uint8Array,
  at: number,
  entry: ProducerEntry,
  batch: ProducerBatch | null,
  isLast: boolean,
): number {
  writeInt64(bytes, at, entry.producerId)
  writeInt16(bytes, at + 8, entry.epoch)
  writeInt32(bytes, at + 10, batch?.lastSequence ?? none)
  writeInt64(bytes, at + 14, batch?.lastOffset ?? none)
  writeInt32(bytes, at + 22, batch?.offsetDelta ?? 0)
  writeInt64(bytes, at + 26, isLast ? entry.lastTimestampMs : (batch?.timestampMs ?? none))
  writeInt32(bytes, at + 34, entry.coordinatorEpoch)
  writeInt64(bytes, at + 38, isLast ? entry.transactionFirstOffset : none)
  return at + entryBytes
}

function readEntry(bytes: Uint8Array, at: number): ProducerEntry {
  const timestampMs = readInt64(bytes, at + 26)
  const lastOffset = readInt64(bytes, at + 14)
  const batch = {
    lastSequence: readInt32(bytes, at + 10),
    lastOffset,
    offsetDelta: readInt32(bytes, at + 22),
    timestampMs,
  }
  return {
    producerId: readInt64(bytes, at),
    epoch: readInt16(bytes, at + 8),
    lastTimestampMs: timestampMs,
    coordinatorEpoch: readInt32(bytes, at + 34),
    transactionFirstOffset: readInt64(bytes, at + 38),
    batches: lastOffset === none ? [] : [batch],
  }
}
