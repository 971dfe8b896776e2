/** Apache Kafka's own load tools, with the flags of its start scripts (no tiered-compilation stop: they are the generator). */
import { apacheKafkaLibs } from '../test/interop/apache-kafka.ts'
import { type Finished, run } from './measure.ts'
import type { KafkaPeer } from './peers.ts'

function java(className: string, args: readonly string[]): Promise<Finished> {
  const flags = ['-Xmx512M', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']
  return run('java', [...flags, '-cp', `${apacheKafkaLibs()}/*`, `org.apache.kafka.tools.${className}`, ...args])
}

export interface ProducerFigures {
  readonly recordsPerSecond: number
  readonly megabytesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** kafka-producer-perf-test, acks=all. */
export async function producerPerf(
  peer: KafkaPeer,
  topic: string,
  records: number,
  recordBytes: number,
): Promise<ProducerFigures> {
  const args = [
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--record-size',
    String(recordBytes),
    '--throughput',
    '-1',
  ]
  const { stdout } = await java('ProducerPerformance', [
    ...args,
    '--command-property',
    `bootstrap.servers=${peer.bootstrap}`,
    'acks=all',
  ])
  const last = stdout.trim().split('\n').at(-1) ?? ''
  const figure = (pattern: RegExp): number => {
    const match = pattern.exec(last)
    if (match === null) throw new Error(`producer-perf said: ${last}`)
    return Number(match[1])
  }
  return {
    recordsPerSecond: figure(/([\d.]+) records\/sec/),
    megabytesPerSecond: figure(/\(([\d.]+) MB\/sec\)/),
    p50Ms: figure(/(\d+) ms 50th/),
    p99Ms: figure(/(\d+) ms 99th/),
  }
}

/** kafka-consumer-perf-test over what is there; MB/s of fetching. */
export async function consumerPerf(peer: KafkaPeer, topic: string, records: number): Promise<number> {
  const args = [
    '--bootstrap-server',
    peer.bootstrap,
    '--topic',
    topic,
    '--num-records',
    String(records),
    '--timeout',
    '30000',
  ]
  const { stdout } = await java('ConsumerPerformance', [...args, '--group', `perf-${process.hrtime.bigint()}`])
  const [head = '', row = ''] = stdout.trim().split('\n').slice(-2)
  const column = head.split(',').findIndex((name) => name.trim() === 'fetch.MB.sec')
  return Number(row.split(',')[column])
}

/** EndToEndLatency, acks=all: one record at a time, produced and consumed. */
export async function endToEndLatency(
  peer: KafkaPeer,
  topic: string,
  records: number,
): Promise<{ p50Ms: number; p99Ms: number; averageMs: number }> {
  const { stdout } = await java('EndToEndLatency', [peer.bootstrap, topic, String(records), 'all', '1024'])
  const percentiles = /50th = (\d+), 99th = (\d+), 99\.9th = (\d+)/.exec(stdout)
  const average = /Avg latency: ([\d.]+) ms/.exec(stdout)
  if (percentiles === null || average === null) throw new Error(`EndToEndLatency said: ${stdout}`)
  return { p50Ms: Number(percentiles[1]), p99Ms: Number(percentiles[2]), averageMs: Number(average[1]) }
}
