/** What `dump-log` says of sound files, and of damaged ones. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'
import {
  attributesAt,
  batchHeaderBytes,
  lengthAt,
  updateBatchCrc,
  writeInt16,
  writeInt32,
} from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { headwater } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-dump-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function batch(baseOffset: number, values: readonly string[]): Uint8Array {
  const builder = new RecordBatchBuilder()
  const headers = encodeHeaders([{ key: 'site', value: Buffer.from('a') }])
  for (const value of values) builder.append(1_700_000_000_000, Buffer.from('key'), Buffer.from(value), headers)
  return builder.build({
    baseOffset,
    partitionLeaderEpoch: 3,
    producerId: 7,
    producerEpoch: 1,
    baseSequence: baseOffset,
  })
}

/** The same batch, its records compressed as a producer would. */
function gzipped(plain: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(
    Buffer.concat([plain.subarray(0, batchHeaderBytes), gzipSync(plain.subarray(batchHeaderBytes))]),
  )
  writeInt32(bytes, lengthAt, bytes.length - 12)
  writeInt16(bytes, attributesAt, 1)
  updateBatchCrc(bytes)
  return bytes
}

function written(name: string, ...parts: readonly Uint8Array[]): string {
  const file = join(folder, name)
  writeFileSync(file, Buffer.concat(parts))
  return file
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('headwater dump-log', () => {
  it('shows the batches of a log and the records inside, compressed or not', () => {
    const file = written('00000000000000000000.log', batch(0, ['one', 'two']), gzipped(batch(2, ['three'])))
    const outcome = headwater(['dump-log', '--records', '--json', file])
    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(lines(outcome.stdout)).toMatchObject([
      { baseOffset: 0, lastOffset: 1, records: 2, codec: 'none', leaderEpoch: 3, producerId: 7, isValid: true },
      { baseOffset: 2, codec: 'gzip', contents: [{ offset: 2, key: 'key', value: 'three', headers: [['site', 'a']] }] },
    ])
    const human = headwater(['dump-log', '--records', file]).stdout
    expect(human).toContain('offsets 0..1  records 2  position 0')
    expect(human).toContain('offset 1  2023-11-14T22:13:20.000Z  key key  value two  headers site=a')
  })

  it('finds a wrong checksum, a torn batch and what is no batch, and says where', () => {
    const sound = batch(0, ['one'])
    const flipped = Uint8Array.from(batch(1, ['two']))
    flipped[flipped.length - 4] = (flipped[flipped.length - 4] ?? 0) ^ 1
    const crc = headwater(['dump-log', written('crc.log', sound, flipped)])
    expect(crc.status).toBe(1)
    expect(crc.stdout).toContain('CRC IS WRONG')
    const torn = headwater(['dump-log', written('torn.log', sound, batch(1, ['two']).subarray(0, 70))])
    expect(torn.status).toBe(1)
    expect(torn.stdout).toContain(`DAMAGED: position ${sound.length}: the batch has`)
    const zeros = headwater(['dump-log', '--json', written('zeros.log', sound, new Uint8Array(200))])
    expect(zeros.status).toBe(1)
    expect(lines(zeros.stdout)[1]).toMatchObject({ problem: expect.stringContaining('record format 0 instead of 2') })
  })

  it('shows indexes in the formats of Kafka, and a folder as its files', () => {
    const partition = join(folder, 'a-0')
    mkdirSync(partition)
    writeFileSync(join(partition, '00000000000000000005.index'), Buffer.from('0000000a00000100', 'hex'))
    writeFileSync(join(partition, '00000000000000000005.timeindex'), Buffer.from('0000018bcfe568000000000a', 'hex'))
    writeFileSync(join(partition, '00000000000000000005.log'), batch(5, ['x']))
    writeFileSync(join(partition, 'partition.metadata'), 'version: 0\n')
    const outcome = headwater(['dump-log', '--json', partition])
    expect(outcome.status).toBe(0)
    expect(lines(outcome.stdout)).toMatchObject([
      { relativeOffset: 10, position: 256 },
      { baseOffset: 5 },
      { timestampMs: 1_700_000_000_000, relativeOffset: 10 },
    ])
  })

  it('refuses what it cannot show', () => {
    expect(headwater(['dump-log', join(folder, 'absent.log')]).stderr).toContain('cannot read')
    const other = join(folder, 'partition.metadata')
    writeFileSync(other, 'version: 0\n')
    expect(headwater(['dump-log', other])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('none of the files'),
    })
  })
})
