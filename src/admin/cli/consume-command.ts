/** `headwater consume`: records of a topic to stdout, as a Kafka client without a group. */
import { once } from 'node:events'
import { latestTimestamp } from './offset-timestamps.ts'
import { listOffsets, placesOf } from './offsets.ts'
import type { KafkaClient } from './kafka-client.ts'
import { recordForJson, valueForJson } from './record-output.ts'
import { isOutputGone } from './standard-output.ts'
import { RecordStream, type RecordStreamOptions, type StreamedRecord } from './record-stream.ts'

export interface ConsumeOptions extends RecordStreamOptions {
  /** Stop after so many records; null = never. */
  readonly max: number | null
  /** Stop where the log ended when the command began. */
  readonly exitAtEnd: boolean
  readonly json: boolean
}

/** Prints until told to stop, by the options or by SIGINT. */
export async function consume(client: KafkaClient, options: ConsumeOptions): Promise<void> {
  const stream = await RecordStream.open(client, options)
  const ends = options.exitAtEnd
    ? await listOffsets(client, await placesOf(client, [options.topic]), latestTimestamp)
    : null
  let isStopped = false
  const stop = () => {
    isStopped = true
  }
  process.once('SIGINT', stop)
  let printed = 0
  const isAtEnd = () =>
    ends !== null &&
    [...stream.positions].every(([partition, next]) => next >= (ends.get(`${options.topic}-${partition}`) ?? 0))
  while (!isStopped && !isOutputGone() && !isAtEnd()) {
    for (const record of await stream.read()) {
      if (options.max !== null && printed >= options.max) break
      await write(options.json ? jsonLine(record) : textLine(record))
      printed++
    }
    if (options.max !== null && printed >= options.max) break
  }
  process.off('SIGINT', stop)
}

function jsonLine(record: StreamedRecord): string {
  return JSON.stringify({ topic: record.topic, partition: record.partition, ...recordForJson(record) })
}

function textLine(record: StreamedRecord): string {
  const key = record.key === null ? '' : `${valueForJson(record.key)} = `
  return `${record.topic}-${record.partition} @${record.offset}  ${key}${valueForJson(record.value) ?? '(null)'}`
}

/** Waits when stdout is a slow pipe: memory stays bounded by one answer. */
async function write(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
}
