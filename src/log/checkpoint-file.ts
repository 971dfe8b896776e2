/**
 * Kafka's small text files. Readers answer null for anything that is not a whole well-formed file: the caller then does without.
 *
 * - offset checkpoints: `0`, the count, then `topic partition offset` a line
 * - `leader-epoch-checkpoint`: `0`, the count, then `epoch startOffset` a line
 * - `partition.metadata`: `version: 0` and `topic_id: ...`
 * - `.kafka_cleanshutdown`: JSON of version and broker epoch
 */
import { crc32c } from '../base/crc32c.ts'
import { type TopicPartition, topicPartitionKey } from '../base/ids.ts'
import type { EpochEntry } from './leader-epoch-cache.ts'
import { LineWriter } from './line-writer.ts'

/** Most bytes of a checkpoint that is read: a line of 280 bytes for each of 200,000 partitions. */
export const checkpointBytesMax = 56_000_000

export interface OffsetEntry extends TopicPartition {
  readonly offset: number
}

/** Room that most of such lines need. */
const lineBytes = 40

/** The text of an offset checkpoint over these logs. */
export function formatOffsetsOf<Log extends TopicPartition>(
  logs: readonly Log[],
  offset: (log: Log) => number,
): Uint8Array {
  const lines = new LineWriter((logs.length + 1) * lineBytes).text('0\n').number(logs.length).text('\n')
  for (const log of logs) lines.text(log.topic).text(' ').number(log.partition).text(' ').number(offset(log)).text('\n')
  return lines.bytes()
}

/** The text of an offset checkpoint. */
export function formatOffsets(entries: readonly OffsetEntry[]): Uint8Array {
  return formatOffsetsOf(entries, (entry) => entry.offset)
}

/** `topic-partition` -> offset. */
export function parseOffsets(bytes: Uint8Array | null): ReadonlyMap<string, number> | null {
  const rows = parseTable(bytes, 3)
  if (rows === null) return null
  const offsets = new Map<string, number>()
  for (const [topic, partition, offset] of rows) {
    const value = parseNumber(offset)
    const index = parseNumber(partition)
    if (topic === undefined || value === null || index === null) return null
    offsets.set(topicPartitionKey(topic, index), value)
  }
  return offsets
}

/** The CRC-32C of some bytes as text. */
export function crcOf(bytes: Uint8Array): string {
  return crc32c(bytes).toString(16)
}

/** The same table with a last line that carries the CRC-32C of what stands before it: our own copy, which can be trusted. */
export function sealText(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.from(sealOf(bytes))])
}

/** The same of what was written, without a copy of it. */
export function sealLines(lines: LineWriter): LineWriter {
  return lines.text(sealOf(lines.bytes()))
}

function sealOf(bytes: Uint8Array): string {
  return `crc ${crcOf(bytes)}\n`
}

/** What stands before the CRC line, or null when there is none or it does not fit. */
export function unsealText(bytes: Uint8Array | null): Uint8Array | null {
  if (bytes === null) return null
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const at = text.lastIndexOf('crc ')
  if (at < 0 || text.at(-1) !== 0x0a) return null
  const body = text.subarray(0, at)
  return text
    .subarray(at + 4)
    .toString('latin1')
    .trim() === crcOf(body)
    ? body
    : null
}

/** The text of `leader-epoch-checkpoint`. */
export function formatEpochs(entries: readonly EpochEntry[]): Uint8Array {
  const lines = entries.map((entry) => `${entry.epoch} ${entry.startOffset}\n`)
  return Buffer.from(`0\n${entries.length}\n${lines.join('')}`)
}

/** Entries in file order, epochs and offsets rising. */
export function parseEpochs(bytes: Uint8Array | null): readonly EpochEntry[] | null {
  const rows = parseTable(bytes, 2)
  if (rows === null) return null
  const entries: EpochEntry[] = []
  for (const row of rows) {
    const epoch = parseNumber(row[0])
    const startOffset = parseNumber(row[1])
    const previous = entries.at(-1)
    if (epoch === null || startOffset === null) return null
    if (previous !== undefined && (epoch <= previous.epoch || startOffset <= previous.startOffset)) return null
    entries.push({ epoch, startOffset })
  }
  return entries
}

/** The text of `partition.metadata`. */
export function formatPartitionMetadata(topicId: string): Uint8Array {
  return Buffer.from(`version: 0\ntopic_id: ${topicId}`)
}

/** The topic id, or null. */
export function parsePartitionMetadata(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  const match = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\s*$/.exec(textOf(bytes))
  return match?.[1] ?? null
}

/**
 * Is this topic id a damaged copy of that one? The file carries no checksum. Ids are random: two topics' never agree in 20 of their 22
 * characters, while a flipped bit changes one.
 */
export function isDamagedTopicId(found: string, id: string): boolean {
  let differences = 0
  for (let at = 0; at < id.length; at++) if (found[at] !== id[at]) differences++
  return found.length === id.length && differences > 0 && differences <= 2
}

/** The text of `.kafka_cleanshutdown` (KIP-966). */
export function formatCleanShutdown(brokerEpoch: number): Uint8Array {
  return Buffer.from(JSON.stringify({ version: 0, brokerEpoch }))
}

/** The broker epoch, or null when the file is missing or torn: then the stop was not clean. */
export function parseCleanShutdown(bytes: Uint8Array | null): number | null {
  if (bytes === null) return null
  try {
    const content: unknown = JSON.parse(textOf(bytes))
    if (typeof content !== 'object' || content === null || !('brokerEpoch' in content)) return null
    return typeof content.brokerEpoch === 'number' ? content.brokerEpoch : null
  } catch {
    return null
  }
}

/** Java properties as Kafka writes them: comments, `key=value`, backslash escapes. */
export function parseProperties(bytes: Uint8Array): ReadonlyMap<string, string> {
  const properties = new Map<string, string>()
  for (const line of textOf(bytes).split('\n')) {
    const match = /^\s*([^#!=\s][^=\s]*)\s*=\s*(.*?)\s*$/.exec(line)
    if (match !== null) properties.set(match[1] as string, (match[2] as string).replace(/\\(.)/g, '$1'))
  }
  return properties
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

function parseTable(bytes: Uint8Array | null, columns: number): readonly (readonly string[])[] | null {
  if (bytes === null) return null
  const lines = textOf(bytes).split('\n')
  if (lines[0] !== '0' || lines.at(-1) !== '') return null
  const count = parseNumber(lines[1])
  const rows = lines.slice(2, -1).map((line) => line.split(' '))
  if (count !== rows.length || rows.some((row) => row.length !== columns)) return null
  return rows
}

function parseNumber(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return null
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : null
}
