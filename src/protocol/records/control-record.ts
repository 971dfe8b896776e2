/** Control records: a key of (version i16, type i16) and a value of its own schema (KIP-98, KIP-595, KIP-630, KIP-853). */
import { forEachRecord, RecordFormatError } from './record.ts'
import { batchBaseOffset, readInt16, readInt32, writeInt16, writeInt32 } from './record-batch.ts'

/** The `Type` of a control record's key, by its number. */
export const controlRecordTypes = {
  0: 'ABORT',
  1: 'COMMIT',
  2: 'LEADER_CHANGE',
  3: 'SNAPSHOT_HEADER',
  4: 'SNAPSHOT_FOOTER',
  5: 'KRAFT_VERSION',
  6: 'KRAFT_VOTERS',
} as const
export type ControlRecordType = (typeof controlRecordTypes)[keyof typeof controlRecordTypes]

/** A transaction marker: how a transaction of one producer ended. */
export interface EndTransactionMarker {
  readonly offset: number
  readonly type: 'ABORT' | 'COMMIT'
  readonly coordinatorEpoch: number
}

/** The type in a control record's key, or null for one that we do not know (a newer Kafka's). */
export function controlRecordType(key: Uint8Array | null): ControlRecordType | null {
  if (key === null || key.length < 4) return null
  const types: Readonly<Record<number, ControlRecordType>> = controlRecordTypes
  return types[readInt16(key, 2)] ?? null
}

/** The key of a control record of this type. */
export function encodeControlRecordKey(type: ControlRecordType): Uint8Array {
  const key = new Uint8Array(4)
  const types: Readonly<Record<string, ControlRecordType>> = controlRecordTypes
  const number = Object.keys(types).find((candidate) => types[candidate] === type)
  writeInt16(key, 2, Number(number))
  return key
}

/** The value of a transaction marker: version i16, coordinator epoch i32. */
export function encodeEndTransactionValue(coordinatorEpoch: number): Uint8Array {
  const value = new Uint8Array(6)
  writeInt32(value, 2, coordinatorEpoch)
  return value
}

/** The transaction marker of a control batch, or null when its first record is another kind of control record or unreadable. */
export function endTransactionMarker(bytes: Uint8Array, at = 0): EndTransactionMarker | null {
  let marker: EndTransactionMarker | null = null
  try {
    forEachRecord(bytes, at, (record) => {
      const type = controlRecordType(record.key)
      if ((type === 'ABORT' || type === 'COMMIT') && record.value !== null && record.value.length >= 6) {
        marker = { offset: batchBaseOffset(bytes, at), type, coordinatorEpoch: readInt32(record.value, 2) }
      }
      return false
    })
  } catch (thrown) {
    if (!(thrown instanceof RecordFormatError)) throw thrown
  }
  return marker
}
