/**
 * 1,000 kept sessions come back to a log of 10 GB that each of them wants a thousandth of: how many times the log is read for all of them. Then after a
 * restart, when nothing is remembered of where their topics are; then for what nearly nothing of the log holds.
 */
import { join } from 'node:path'
import mqtt, { type MqttClient } from 'mqtt'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import type { BenchCase, Figure } from '../case.ts'
import { KafkaLoad, settled, type Topic } from '../load.ts'
import { metric, peakRssMiB, resetPeakRss } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const sessions = 1000
const partitions = 4
const fullBytes = 10e9
const valueBytes = 1000
const recordsPerBatch = 1000
const dueMsMax = 1_200_000

type Node = Awaited<ReturnType<typeof headwaterPeer>>

const metrics = {
  read: 'headwater_mqtt_backlog_read_bytes_total',
}

export const mqttBacklog: BenchCase = {
  name: 'mqtt-backlog',
  missing: () => null,
  async run(context) {
    const folder = join(context.folder, 'node')
    const config = 'node: { site: bench }\nkafka: { num.partitions: 4 }\nmqtt: { connectionsPerAddressMax: 10000 }\n'
    let node = await headwaterPeer(folder, { config })
    const load = await KafkaLoad.open(node.bootstrap)
    const topic = await load.createTopic('fleet', partitions, { 'segment.bytes': String(64 * 1_048_576) })
    // Subscribed and gone before anything is there: the positions are all that is kept of them.
    await leave(await comeAll(node, (index) => `fleet/${index}/#`))
    await leave(await comeAll(node, () => 'fleet/alarm', 'rare'))
    const batches = Math.max(partitions, Math.ceil((fullBytes * context.scale) / recordsPerBatch / valueBytes))
    const figures: Figure[] = []
    const resume = async (name: string, title: string, each: number, atMost: number): Promise<void> => {
      const before = await metric(node, metrics.read)
      resetPeakRss(node.pid)
      const startMs = performance.now()
      const heard = { messages: 0 }
      const clients = await comeAll(node, null, name, () => void (heard.messages += 1))
      await until(heard, clients.length * each)
      const seconds = (performance.now() - startMs) / 1000
      const readBytes = (await metric(node, metrics.read)) - before
      await leave(clients)
      figures.push({
        name: `reads of the log for 1,000 sessions, ${title}`,
        unit: 'times the log',
        value: readBytes / logBytes,
        reach: { atMost },
        note: `${mega(readBytes)} read of ${mega(logBytes)}, ${heard.messages} messages in ${seconds.toFixed(1)} s, RSS at most ${peakRssMiB(node.pid).toFixed(0)} MiB`,
      })
    }
    let logBytes = await fill(load, topic, batches)
    const each = (batches * recordsPerBatch) / sessions
    await resume('c', 'each of which wants a thousandth of it', each, 2)
    await resume('rare', 'that want one record of it', 1, 0.2)
    logBytes = await fill(load, topic, batches)
    await load.close()
    await node.stop()
    node = await headwaterPeer(folder, { config })
    await resume('c', 'after a restart', each, 2)
    await node.stop()
    return { figures }
  },
}

/** Answers the bytes that were appended. */
async function fill(load: KafkaLoad, topic: Topic, batches: number): Promise<number> {
  const batch = batchOfAll()
  for (let sent = 0; sent < batches; sent += 1) await load.produce(topic, new Map([[sent % partitions, batch]]))
  const alarm = new RecordBatchBuilder()
  alarm.append(Date.now(), Buffer.from('fleet/alarm'), Buffer.from('on'), null)
  await load.produce(topic, new Map([[0, alarm.build()]]))
  return batches * batch.length
}

/** A record for each session. */
function batchOfAll(): Uint8Array {
  const builder = new RecordBatchBuilder()
  const value = Buffer.alloc(valueBytes, 'x')
  for (let index = 0; index < recordsPerBatch; index += 1) {
    builder.append(Date.now(), Buffer.from(`fleet/${index % sessions}/x`), value, null)
  }
  return builder.build()
}

/** Every session's client, connected; subscribed if it is told to what. */
async function comeAll(
  node: Node,
  filterOf: ((index: number) => string) | null,
  name = 'c',
  onMessage: () => void = () => {},
): Promise<MqttClient[]> {
  const clients = Array.from({ length: sessions }, (_each, index) =>
    mqtt.connect({
      ...{ host: node.host, port: node.port, clientId: `${name}${index}`, clean: false },
      ...{ protocolVersion: 5, properties: { sessionExpiryInterval: 86_400 }, reconnectPeriod: 0, manualConnect: true },
    }),
  )
  const connected = clients.map((client) => new Promise<void>((resolve) => client.once('connect', () => resolve())))
  for (const client of clients) client.on('message', onMessage).connect()
  await Promise.all(connected)
  if (filterOf !== null)
    await Promise.all(clients.map((client, index) => client.subscribeAsync(filterOf(index), { qos: 1 })))
  return clients
}

async function until(heard: { readonly messages: number }, wanted: number): Promise<void> {
  const untilMs = performance.now() + dueMsMax
  while (heard.messages < wanted) {
    if (performance.now() > untilMs) throw new Error(`${heard.messages} of ${wanted} messages came`)
    await settled(20)
  }
}

async function leave(clients: readonly MqttClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.endAsync()))
}

function mega(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
