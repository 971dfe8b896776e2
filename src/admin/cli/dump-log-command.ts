/**
 * `headwater dump-log`: shows the files of a partition (.log, .index, .timeindex) without a daemon. It reads one batch at a time and
 * tells where the file stops being a log, which makes it safe on a damaged one.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplianceError } from '../../base/errors.ts'
import type { Compute } from '../../base/ports.ts'
import { recordsOf } from '../../protocol/records/record.ts'
import {
  batchBaseOffset,
  batchBaseSequence,
  batchCodec,
  batchCrcIsValid,
  batchHeaderBytes,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchMagic,
  batchMaxTimestamp,
  batchPartitionLeaderEpoch,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchSizeInBytes,
  batchTimestampType,
  readInt32,
  readInt64,
} from '../../protocol/records/record-batch.ts'
import { cliErrors } from './cli-errors.ts'
import { unreadableFile } from './file-fault.ts'
import { print } from './output.ts'
import { recordForJson, recordForEyes } from './record-output.ts'

export interface DumpLogOptions {
  readonly json: boolean
  /** Show the records inside the batches too. */
  readonly records: boolean
}

/** A batch larger than this was not written by us: the largest allowed message is far below. */
const batchBytesMax = 268_435_456
const recordsBytesMax = 268_435_456
const endings = ['.log', '.index', '.timeindex']

/** Shows each file; a folder stands for its files. Resolves with false when one of them is damaged. */
export async function dumpLog(
  paths: readonly string[],
  options: DumpLogOptions,
  compute: () => Promise<Compute>,
): Promise<boolean> {
  let isSound = true
  for (const path of paths) {
    for (const file of await filesAt(path)) {
      if (!options.json) print(`${file}`)
      const handle = await openFile(file)
      try {
        isSound = (await dumpFile(file, handle, options, compute)) && isSound
      } finally {
        await handle.close()
      }
    }
  }
  return isSound
}

async function filesAt(path: string): Promise<string[]> {
  const facts = await stat(path).catch((thrown: unknown) => {
    throw unreadableFile(path, thrown)
  })
  if (!facts.isDirectory()) return [path]
  const names = (await readdir(path)).filter((name) => endings.some((ending) => name.endsWith(ending)))
  if (names.length === 0) throw new ApplianceError(cliErrors.fileUnknown, { file: path })
  return names.sort().map((name) => join(path, name))
}

function openFile(file: string): Promise<FileHandle> {
  return open(file, 'r').catch((thrown: unknown) => {
    throw unreadableFile(file, thrown)
  })
}

function dumpFile(
  file: string,
  handle: FileHandle,
  options: DumpLogOptions,
  compute: () => Promise<Compute>,
): Promise<boolean> {
  if (file.endsWith('.log')) return dumpBatches(file, handle, options, compute)
  if (file.endsWith('.timeindex')) return dumpIndex(file, handle, options, timeEntry)
  if (file.endsWith('.index')) return dumpIndex(file, handle, options, offsetEntry)
  throw new ApplianceError(cliErrors.fileUnknown, { file })
}

async function dumpBatches(
  file: string,
  handle: FileHandle,
  options: DumpLogOptions,
  compute: () => Promise<Compute>,
): Promise<boolean> {
  const { size } = await handle.stat()
  let position = 0
  let isSound = true
  while (position < size) {
    const batch = await readBatch(handle, position, size)
    if (typeof batch === 'string') {
      printProblem(
        file,
        `position ${position}: ${batch}; ${size - position} bytes follow that are not a batch`,
        options,
      )
      return false
    }
    const facts = batchFacts(batch, position)
    if (options.json)
      print(JSON.stringify({ file, ...facts, ...(options.records ? await recordsForJson(batch, compute) : {}) }))
    else {
      print(batchLine(facts))
      if (options.records && facts.codec !== 'unknown') {
        for (const record of await recordsOf(batch, await compute(), recordsBytesMax))
          print(`  ${recordForEyes(record)}`)
      }
    }
    isSound &&= facts.isValid
    position += batch.length
  }
  return isSound
}

/** The whole batch at a position, or a sentence that says why there is none. */
async function readBatch(handle: FileHandle, position: number, size: number): Promise<Uint8Array | string> {
  if (size - position < batchHeaderBytes) return 'the rest is shorter than a batch header'
  const header = new Uint8Array(batchHeaderBytes)
  await handle.read(header, 0, batchHeaderBytes, position)
  if (batchMagic(header) !== 2) return `record format ${batchMagic(header)} instead of 2`
  const batchBytes = batchSizeInBytes(header)
  if (batchBytes < batchHeaderBytes || batchBytes > batchBytesMax) return `a batch cannot have ${batchBytes} bytes`
  if (batchBytes > size - position) return `the batch has ${batchBytes} bytes, the file only ${size - position} more`
  const batch = new Uint8Array(batchBytes)
  await handle.read(batch, 0, batchBytes, position)
  return batch
}

type BatchFacts = ReturnType<typeof batchFacts>

function batchFacts(batch: Uint8Array, position: number) {
  return {
    position,
    baseOffset: batchBaseOffset(batch),
    lastOffset: batchLastOffset(batch),
    records: batchRecordCount(batch),
    batchBytes: batch.length,
    codec: batchCodec(batch) ?? 'unknown',
    leaderEpoch: batchPartitionLeaderEpoch(batch),
    producerId: batchProducerId(batch),
    producerEpoch: batchProducerEpoch(batch),
    baseSequence: batchBaseSequence(batch),
    isTransactional: batchIsTransactional(batch),
    isControl: batchIsControl(batch),
    timestampType: batchTimestampType(batch),
    maxTimestampMs: batchMaxTimestamp(batch),
    isValid: batchCrcIsValid(batch),
  }
}

function batchLine(facts: BatchFacts): string {
  const marks = [
    facts.isTransactional ? 'transactional' : '',
    facts.isControl ? 'control' : '',
    facts.isValid ? '' : 'CRC IS WRONG',
  ].filter((mark) => mark !== '')
  const producer =
    facts.producerId === -1
      ? ''
      : `producer ${facts.producerId} epoch ${facts.producerEpoch} sequence ${facts.baseSequence}`
  const words = [
    `offsets ${facts.baseOffset}..${facts.lastOffset}`,
    `records ${facts.records}`,
    `position ${facts.position}`,
    `bytes ${facts.batchBytes}`,
    facts.codec,
    `epoch ${facts.leaderEpoch}`,
    `${facts.timestampType} ${facts.maxTimestampMs === -1 ? '-' : new Date(facts.maxTimestampMs).toISOString()}`,
    producer,
    ...marks,
  ]
  return words.filter((word) => word !== '').join('  ')
}

async function recordsForJson(batch: Uint8Array, compute: () => Promise<Compute>): Promise<object> {
  const records = await recordsOf(batch, await compute(), recordsBytesMax)
  return { contents: records.map((record) => recordForJson(record)) }
}

interface IndexFormat {
  readonly entryBytes: number
  readonly show: (entry: Uint8Array, at: number) => Readonly<Record<string, number>>
}

/** Kafka's offset index: relative offset, position. */
const offsetEntry: IndexFormat = {
  entryBytes: 8,
  show: (entry, at) => ({ relativeOffset: readInt32(entry, at), position: readInt32(entry, at + 4) }),
}

/** Kafka's time index: timestamp, relative offset. */
const timeEntry: IndexFormat = {
  entryBytes: 12,
  show: (entry, at) => ({ timestampMs: readInt64(entry, at), relativeOffset: readInt32(entry, at + 8) }),
}

async function dumpIndex(
  file: string,
  handle: FileHandle,
  options: DumpLogOptions,
  format: IndexFormat,
): Promise<boolean> {
  const { size } = await handle.stat()
  const chunk = new Uint8Array(format.entryBytes * 4096)
  for (let position = 0; position < size; position += chunk.length) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position)
    for (let at = 0; at + format.entryBytes <= bytesRead; at += format.entryBytes) {
      const entry = format.show(chunk, at)
      if (options.json) print(JSON.stringify({ file, ...entry }))
      else
        print(
          Object.entries(entry)
            .map(([name, value]) => `${name} ${value}`)
            .join('  '),
        )
    }
  }
  if (size % format.entryBytes === 0) return true
  printProblem(file, `${size % format.entryBytes} bytes at the end are not an entry`, options)
  return false
}

function printProblem(file: string, problem: string, options: DumpLogOptions): void {
  print(options.json ? JSON.stringify({ file, problem }) : `DAMAGED: ${problem}`)
}
