/** What tests of the log engine share: batches, settings, a directory on a simulated host. */
import type { Ports } from '../../src/base/ports.ts'
import type { AppendDone, AppendOutcome } from '../../src/log/append.ts'
import { defaultLogConfig, type LogConfig } from '../../src/log/log-config.ts'
import { LogDirectory, type LogDirectoryOptions } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { RecordBatchBuilder, type RecordBatchFields } from '../../src/protocol/records/record-batch-builder.ts'

/** Small in everything, so that short runs roll, checkpoint and wrap the journal. */
export const smallConfig: LogConfig = {
  ...defaultLogConfig,
  segmentBytes: 8192,
  indexIntervalBytes: 512,
  retentionMs: -1,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
}

export const smallDirectory: LogDirectoryOptions = {
  dataDir: '/data',
  nodeId: 1,
  config: smallConfig,
  journalBytesMax: 131_072,
  journalStepBytes: 32_768,
  checkpointEveryBytes: 40_000,
  tailCacheBytes: 8192,
}

/** The id of a topic in tests: the name's bytes, padded. */
export function topicIdOf(topic: string): string {
  return Buffer.from(topic.padEnd(16, '.')).toString('base64url').slice(0, 22)
}

export interface BatchOptions extends RecordBatchFields {
  readonly timestampMs?: number
  readonly key?: string | null
}

/** A batch with one record for each text. */
export function batchOf(texts: readonly string[], options: BatchOptions = {}): Uint8Array {
  const builder = new RecordBatchBuilder()
  const key = options.key === undefined ? Buffer.from('k') : options.key === null ? null : Buffer.from(options.key)
  for (const text of texts) builder.append(options.timestampMs ?? 1_000, key, Buffer.from(text), null)
  return builder.build(options)
}

/** The answer of an append that must have been taken. */
export function done(outcome: AppendOutcome | undefined): AppendDone {
  if (outcome === undefined || outcome.kind === 'refused') throw new Error(`refused: ${JSON.stringify(outcome)}`)
  return outcome
}

/** Appends one batch as a client would. */
export function appendOne(
  directory: LogDirectory,
  log: UnifiedLog,
  batch: Uint8Array,
  leaderEpoch = Math.max(0, log.latestLeaderEpoch),
): AppendOutcome {
  const [outcome] = directory.appendSet([{ log, batch, leaderEpoch, origin: 'client' }])
  if (outcome === undefined) throw new Error('no outcome')
  return outcome
}

export function openSmall(ports: Ports, options: Partial<LogDirectoryOptions> = {}): Promise<LogDirectory> {
  return LogDirectory.open({ ...smallDirectory, ...options }, ports)
}

export function createSmall(
  directory: LogDirectory,
  topic: string,
  config: Partial<LogConfig> = {},
): Promise<UnifiedLog> {
  return directory.createLog({ topic, partition: 0, topicId: topicIdOf(topic), config: { ...smallConfig, ...config } })
}

/** All batches of a log from its start to `endOffset`, read through the disk a little at a time. */
export async function readAll(
  log: UnifiedLog,
  endOffset = log.durableEndOffset,
  bytesMax = 3000,
): Promise<Uint8Array[]> {
  const batches: Uint8Array[] = []
  let fromOffset = log.logStartOffset
  while (fromOffset < endOffset) {
    const result = await log.read({ fromOffset, endOffset, bytesMax, minOneBatch: true })
    if (result.kind !== 'batches') throw new Error(`${log.key} at ${fromOffset}: ${result.kind}`)
    const { bytes } = result
    if (bytes.length === 0) break
    let at = 0
    while (at < bytes.length) {
      const view = Buffer.from(bytes.buffer, bytes.byteOffset + at)
      const size = 12 + view.readInt32BE(8)
      batches.push(bytes.slice(at, at + size))
      fromOffset = Number(view.readBigInt64BE(0)) + view.readInt32BE(23) + 1
      at += size
    }
  }
  return batches
}
