/** MQTT packets that break the rules, in 3.1.1 and 5.0. */
import { strict as assert } from 'node:assert'
import { batchOf, int16, recordOf } from './batch-bytes.ts'
import type { DoorWorld } from './door-world.ts'
import { faultsOfConnect, faultsOfOpen } from './mqtt-faults.ts'
import { type Level, MqttTalk, packet, publishPacket, subscribePacket, types } from './mqtt-talk.ts'
import { RawClient } from './raw-client.ts'
import { each, type Row } from './row.ts'

let clients = 0

export function mqttPacketRows(world: DoorWorld): readonly Row[] {
  const { mqtt } = world.daemon
  const open = (level: Level): Promise<MqttTalk> => MqttTalk.connect(mqtt, level, `attack-${clients++}`)
  const faultRow = (level: Level): Row => ({
    name:
      level === 5
        ? 'MQTT 5.0: each broken packet ends its connection with DISCONNECT and the reason code'
        : 'MQTT 3.1.1: each broken packet ends its connection',
    run: () =>
      each(
        faultsOfOpen.filter(({ only }) => only === undefined || only === level),
        async ({ bytes, reason }) => {
          const talk = await open(level)
          talk.raw.send(bytes(level))
          const told = await lastWord(talk).finally(() => talk.close())
          assert.equal(hexOf(told), hexOf(level === 5 ? reason : null))
        },
      ),
  })
  return [
    {
      name: 'MQTT: what is not a lawful CONNECT is refused by CONNACK, or closed where there is no code for it',
      run: () =>
        each(faultsOfConnect, async ({ bytes, codes }) => {
          const raw = await RawClient.connect(mqtt)
          raw.send(bytes)
          const talk = new MqttTalk(raw, 4)
          const answer = await talk.read().catch(() => null)
          await raw.closed().finally(() => raw.destroy())
          const code = answer === null ? null : (answer.body[1] ?? null)
          assert.ok(codes.includes(code), `answered ${hexOf(code)}`)
        }),
    },
    faultRow(4),
    faultRow(5),
    {
      name: 'MQTT: PUBREL of an unknown id is answered (0x92 in 5.0), $share is granted, and the connection goes on',
      async run() {
        for (const level of [4, 5] as const) {
          const talk = await open(level)
          talk.raw.send(packet(0x62, int16(999)))
          const complete = await talk.read()
          assert.deepEqual([complete.type, complete.body.readUInt16BE(0)], [types.pubcomp, 999])
          assert.equal(complete.body[2], level === 5 ? 0x92 : undefined)
          talk.raw.send(subscribePacket(level, '$share/group/plant/#', 1))
          const granted = await talk.read()
          assert.deepEqual([granted.type, granted.body.at(-1)], [types.suback, 1])
          talk.raw.send(packet(0x40, int16(77)), packet(0x50, int16(78)), packet(0x70, int16(79)))
          if (level === 5) assert.equal((await talk.read()).body[2], 0x92, 'PUBREL for an unknown PUBREC')
          else assert.equal((await talk.read()).type, types.pubrel)
          talk.raw.send(packet(0xc0))
          assert.equal((await talk.read()).type, types.pingresp)
          talk.close()
        }
      },
    },
    {
      name: 'MQTT: a retained message waits for those who subscribe later',
      async run() {
        const talk = await open(4)
        talk.raw.send(publishPacket(4, { topic: 'kept/by/us', firstByte: 0x33, packetId: 5 }))
        assert.equal((await talk.read()).type, types.puback)
        talk.raw.send(subscribePacket(4, 'kept/#', 0))
        assert.equal((await talk.read()).type, types.suback)
        talk.raw.send(packet(0xc0))
        assert.equal((await talk.read()).type, types.publish, 'the retained message was delivered')
        assert.equal((await talk.read()).type, types.pingresp)
        talk.close()
      },
    },
    {
      name: 'MQTT: a publish cannot reach an internal topic, a $ topic is refused',
      async run() {
        const talk = await open(5)
        talk.raw.send(publishPacket(5, { topic: '__consumer_offsets/x', packetId: 1 }))
        const stored = await talk.read()
        assert.equal(stored.type, types.puback)
        talk.raw.send(publishPacket(5, { topic: '$SYS/broker/uptime', packetId: 2 }))
        const refused = await talk.read()
        assert.ok((refused.body[2] ?? 0) >= 0x80, 'a reason code that refuses')
        talk.close()
        const kafka = await world.talk()
        for (let partition = 0; partition < 8; partition++) {
          const keys = (await kafka.readAll('__consumer_offsets', partition)).map(({ key }) => key)
          assert.ok(!keys.includes('__consumer_offsets/x'), `partition ${partition}`)
        }
        kafka.close()
      },
    },
    {
      name: 'MQTT: a subscriber is not stopped by a key that is no topic',
      async run() {
        const kafka = await world.talk()
        assert.equal(await kafka.createTopic('poisoned'), 'NONE')
        const subscriber = await open(4)
        subscriber.raw.send(subscribePacket(4, 'poisoned/#', 1))
        assert.equal((await subscriber.read()).type, types.suback)
        const crooked = ['poisoned/#', 'poisoned/a\0b', '', '/'.repeat(300)]
        const poison = batchOf(crooked.map((key, index) => recordOf(index, key, 'x')))
        assert.equal((await kafka.produce('poisoned', 0, poison)).error, 'NONE')
        await kafka.produce('poisoned', 0, batchOf([recordOf(0, 'poisoned/good', 'behind the poison')]))
        kafka.close()
        const delivered = await subscriber.read(15_000)
        assert.equal(delivered.type, types.publish)
        assert.match(delivered.body.toString('latin1'), /poisoned\/good.*behind the poison/s)
        subscriber.close()
      },
    },
  ]
}

/** Reads to the end of the connection; answers the reason of DISCONNECT, null when there was none. */
async function lastWord(talk: MqttTalk): Promise<number | null> {
  let reason: number | null = null
  for (;;) {
    const next = await talk.read().catch((error: Error) => {
      if (!error.message.startsWith('closed by the daemon; 0 of 1 bytes')) throw error
      return null
    })
    if (next === null) break
    assert.equal(reason, null, 'something came after DISCONNECT')
    if (next.type === types.disconnect) reason = next.body[0] ?? 0
  }
  await talk.raw.closed()
  return reason
}

function hexOf(code: number | null): string {
  return code === null ? 'nothing' : `0x${code.toString(16)}`
}
