/** What tests of compaction share: a keyed workload, and what must be left of it. */
import type { CompressionCodec, Compute } from '../../../src/base/ports.ts'
import type { LogConfig } from '../../../src/log/log-config.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import { attributesOfCodec } from '../../../src/protocol/records/compression.ts'
import { type RecordView, recordsOf } from '../../../src/protocol/records/record.ts'
import {
  attributesAt,
  batchHeaderBytes,
  lengthAt,
  updateBatchCrc,
  writeInt16,
  writeInt32,
} from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder, type RecordBatchFields } from '../../../src/protocol/records/record-batch-builder.ts'
import { readAll, smallConfig } from '../log-fixture.ts'

/** As much as possible at once: what a test wants to see is not a matter of time. */
export const eagerConfig: LogConfig = {
  ...smallConfig,
  segmentBytes: 2000,
  cleanupPolicy: new Set(['compact'] as const),
  minCleanableDirtyRatio: 0,
}

export interface KeyedRecord {
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs?: number
}

/** A batch of these records, compressed by `codec`. */
export async function keyedBatch(
  records: readonly KeyedRecord[],
  fields: RecordBatchFields & { readonly codec?: CompressionCodec },
  compute: Compute,
): Promise<Uint8Array> {
  const builder = new RecordBatchBuilder()
  for (const { key, value, timestampMs } of records)
    builder.append(
      timestampMs ?? 1000,
      key === null ? null : Buffer.from(key),
      value === null ? null : Buffer.from(value),
      null,
    )
  const plain = builder.build(fields)
  const codec = fields.codec ?? 'none'
  if (codec === 'none') return plain
  const body = await compute.compress(codec, plain.subarray(batchHeaderBytes))
  const batch = new Uint8Array(batchHeaderBytes + body.length)
  batch.set(plain.subarray(0, batchHeaderBytes))
  batch.set(body, batchHeaderBytes)
  writeInt32(batch, lengthAt, batch.length - 12)
  writeInt16(batch, attributesAt, (fields.isTransactional === true ? 0x10 : 0) | attributesOfCodec(codec))
  updateBatchCrc(batch)
  return batch
}

/** Every append is visible as soon as it is durable, as the cluster would have it. */
export function followHighWatermark(log: UnifiedLog): void {
  log.highWatermark = log.durableEndOffset
  log.onDurable = () => {
    log.highWatermark = log.durableEndOffset
  }
}

export function append(directory: LogDirectory, log: UnifiedLog, batch: Uint8Array): number {
  const leaderEpoch = Math.max(0, log.latestLeaderEpoch)
  const [outcome] = directory.appendSet([{ log, batch, leaderEpoch, origin: 'internal' }])
  if (outcome === undefined || outcome.kind === 'refused') throw new Error(JSON.stringify(outcome))
  return outcome.baseOffset
}

/** `offset key=value` of every record from the log's start on. */
export async function contentOf(log: UnifiedLog, compute: Compute, endOffset?: number): Promise<string[]> {
  const texts: string[] = []
  for (const batch of await readAll(log, endOffset)) {
    for (const record of await recordsOf(batch, compute, 1_048_576)) texts.push(textOf(record))
  }
  return texts
}

export function textOf(record: Pick<RecordView, 'offset' | 'key' | 'value'>): string {
  const text = (bytes: Uint8Array | null): string => (bytes === null ? '-' : Buffer.from(bytes).toString())
  return `${record.offset} ${text(record.key)}=${text(record.value)}`
}
