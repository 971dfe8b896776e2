/** A million retained messages: how long a start takes with them, and what they hold in memory beside a daemon without any. */
import { join } from 'node:path'
import type { BenchCase } from '../case.ts'
import { metric, rssMiB } from '../measure.ts'
import { settled } from '../load.ts'
import { MqttSocket, publishPacket } from '../mqtt-socket.ts'
import { headwaterPeer } from '../peers.ts'

const messages = 1_000_000
const payloadBytes = 100
const perPiece = 1000
/** The stated budget: `mqtt.retainedMax`. */
const budgetMiB = 512

export const mqttRetained: BenchCase = {
  name: 'mqtt-retained',
  missing: () => null,
  async run(context) {
    const count = Math.max(perPiece, Math.round((messages * context.scale) / perPiece) * perPiece)
    const folder = join(context.folder, 'node')
    const config = `node: { site: bench }\nkafka: { num.partitions: 4 }\nmqtt: { retainedMax: ${budgetMiB}MiB }\n`
    let node = await headwaterPeer(folder, { config })
    await settled(2000)
    const without = { startMs: node.readyAfterMs, rssMiB: rssMiB(node.pid) }
    await retain(node, count)
    await untilKept(node, count)
    const counted = await metric(node, 'headwater_mqtt_retained_bytes')
    await node.stop()
    node = await headwaterPeer(folder, { config })
    await settled(2000)
    const withAll = { startMs: node.readyAfterMs, rssMiB: rssMiB(node.pid) }
    await untilKept(node, count)
    await node.stop()
    const title = `${count.toLocaleString('en')} retained messages of ${payloadBytes} B`
    return {
      figures: [
        {
          name: `start to ready with ${title}`,
          unit: 'ms',
          value: withAll.startMs,
          reach: { atMost: 5000 },
          note: `the first start, with none: ${without.startMs.toFixed(0)} ms`,
        },
        {
          name: `RSS with ${title}, more than without any`,
          unit: 'MiB',
          value: withAll.rssMiB - without.rssMiB,
          reach: { atMost: budgetMiB },
          note: `mqtt.retainedMax is ${budgetMiB} MiB, of which they count ${(counted / 2 ** 20).toFixed(0)}; beyond it a further one is refused with 0x97 and logged`,
        },
      ],
    }
  },
}

async function retain(node: { readonly host: string; readonly port: number }, count: number): Promise<void> {
  const client = await MqttSocket.open(node.host, node.port, 'retainer')
  const payload = Buffer.alloc(payloadBytes, 'x')
  for (let at = 0; at < count; at += perPiece) {
    const packets = Array.from({ length: perPiece }, (_, index) => {
      const number = at + index
      return publishPacket(`plant/line-${Math.floor(number / 100)}/sensor-${number}`, payload, {
        packetId: index + 1,
        retain: true,
      })
    })
    await client.send(Buffer.concat(packets), perPiece * 4)
  }
  client.close()
}

/** Gauges are looked at every few seconds. */
async function untilKept(node: { readonly http: string }, count: number): Promise<void> {
  for (const deadline = performance.now() + 30_000; ; await settled(200)) {
    const kept = await metric(node, 'headwater_mqtt_retained_messages')
    if (kept >= count) return
    if (performance.now() > deadline) throw new Error(`${kept} of ${count} messages are retained`)
  }
}
