/** MQTT clients that take and do not give: never reading, never speaking. */
import { strict as assert } from 'node:assert'
import { figure } from './figures.ts'
import { doorBounds, type DoorWorld } from './door-world.ts'
import { connectPacket, MqttTalk, packet, publishPacket, subscribePacket, types } from './mqtt-talk.ts'
import { assertGrowth, memoryOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { type Row, until } from './row.ts'

const mib = 1_048_576
const deafSubscribers = figure(20, 100)
const idleConnections = figure(1_000, 5_000)

export function mqttLoadRows(world: DoorWorld): readonly Row[] {
  const { mqtt, pid } = world.daemon
  return [
    {
      name: `MQTT: ${deafSubscribers} subscribers that never read do not hold up one that does, and take a bounded memory`,
      run: () => fanOut(mqtt, pid),
    },
    {
      name: `MQTT: ${idleConnections} connections that never send CONNECT are closed at the deadline; others connect meanwhile`,
      async run() {
        const startedAt = performance.now()
        const idle = await Promise.all(Array.from({ length: idleConnections }, () => RawClient.connect(mqtt)))
        const meanwhile = await MqttTalk.connect(mqtt, 5, 'attack-meanwhile')
        meanwhile.close()
        const closed = Promise.all(idle.map((client) => client.closed(doorBounds.mqttConnectDeadlineMs + 10_000)))
        await closed.finally(() => {
          for (const client of idle) client.destroy()
        })
        assert.ok(performance.now() - startedAt >= doorBounds.mqttConnectDeadlineMs * 0.9, 'not before the deadline')
      },
    },
    {
      name: 'MQTT: a CONNECT that comes a byte at a time has the same deadline',
      async run() {
        const client = await RawClient.connect(mqtt)
        // Lawful to its last byte, which would come after 40 seconds.
        const bytes = connectPacket(4, 'x'.repeat(200))
        let sent = 0
        const timer = setInterval(() => client.send(bytes.subarray(sent, ++sent)), 200)
        await client.closed(doorBounds.mqttConnectDeadlineMs + 5_000).finally(() => {
          clearInterval(timer)
          client.destroy()
        })
      },
    },
  ]
}

async function fanOut(mqtt: string, pid: number): Promise<void> {
  const deaf = await Promise.all(
    Array.from({ length: deafSubscribers }, async (_, index) => {
      const talk = await MqttTalk.connect(mqtt, index % 2 === 0 ? 4 : 5, `attack-deaf-${index}`)
      talk.raw.send(subscribePacket(talk.level, 'fan/#', index % 3 === 0 ? 1 : 0))
      assert.equal((await talk.read()).type, types.suback)
      talk.raw.socket.pause()
      return talk
    }),
  )
  const reader = await MqttTalk.connect(mqtt, 5, 'attack-reader')
  reader.raw.send(subscribePacket(5, 'fan/#', 1))
  assert.equal((await reader.read()).type, types.suback)
  const before = memoryOf(pid).residentBytes
  const publisher = await MqttTalk.connect(mqtt, 4, 'attack-publisher')
  const messages = figure(600, 10_000)
  const payload = Buffer.alloc(32_000, 'f')
  let heard = 0
  const hearing = (async () => {
    while (heard < messages) {
      const { type, flags, body } = await reader.read(20_000)
      if (type !== types.publish) continue
      heard++
      if ((flags & 6) === 2) reader.raw.send(packet(0x40, body.subarray(2 + body.readUInt16BE(0)).subarray(0, 2)))
    }
  })()
  for (let index = 0; index < messages; index++) {
    publisher.raw.send(publishPacket(4, { topic: 'fan/out', packetId: index + 1, payload }))
    if (index % 20 === 19) await until(() => publisher.raw.receivedBytes >= (index - 40) * 4, 20_000, 'PUBACKs')
  }
  await hearing
  const grown = memoryOf(pid).residentBytes - before
  for (const talk of [...deaf, reader, publisher]) talk.close()
  assertGrowth(grown, 160 * mib)
}
