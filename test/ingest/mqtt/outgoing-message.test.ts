import { describe, expect, it } from 'vitest'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import { HeaderCache } from '../../../src/ingest/mqtt/header-cache.ts'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { decodeRecordHeaders, headerNames } from '../../../src/ingest/mqtt/record-headers.ts'
import type { ScannedRecord } from '../../../src/ingest/mqtt/record-scan.ts'
import { MqttSession } from '../../../src/ingest/mqtt/session.ts'
import type { SessionLink } from '../../../src/ingest/mqtt/session-types.ts'
import { TopicAliases } from '../../../src/ingest/mqtt/topic-aliases.ts'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'
import { packetBytes } from './packet-bytes.ts'
import { sessionBounds } from './session-bounds.ts'

const bounds = sessionBounds()

/** Writes down payloads. */
function linkTo(sent: string[], sendWindow: number, level: 4 | 5 = 4): SessionLink {
  return {
    level,
    sendWindow,
    aliases: new TopicAliases(0),
    packetBytesMax: 10_000,
    isWritable: true,
    sendPublish: (publish, id, again) =>
      sent.push(
        Buffer.from(packetBytes(publish, id, again))
          .toString()
          .slice(-7),
      ),
    sendRelease: () => {},
    flush: () => {},
    takeOver: () => {},
  }
}

describe('a message that is read from the log', () => {
  it('is sent as it was read, however late: in flight, in the queue, before its id is in the log', () => {
    for (const qos of [1, 2] as const) {
      const noted: ((wallMs: number) => void)[] = []
      const readInto = Buffer.from('..payload..')
      const headers = decodeRecordHeaders([{ key: headerNames.qos, value: Buffer.from(String(qos)) }])
      const session = new MqttSession('c', {
        ...bounds,
        recordOutgoing: (_session, _record, then) => noted.push(then) > 0,
      })
      const sent: string[] = []
      session.attach(linkTo(sent, 1), 0)
      for (const offset of [1, 2]) {
        readInto.set(Buffer.from(`payloa${offset}`), 2)
        const origin = { partition: {} as Partition, offset }
        const message = OutgoingMessage.passing(Buffer.from('t'), readInto.subarray(2, 9), headers, origin)
        expect(session.offer({ message, qos, retain: false, subscriptionIds: [], group: null }, 0)).toBe(true)
      }
      readInto.fill('?')
      noted.shift()?.(0)
      const again: string[] = []
      // Of another version: what was encoded before does not serve.
      session.attach(linkTo(again, 2, 5), 0)
      noted.shift()?.(0)
      expect([sent, again], `QoS ${qos}`).toEqual([['payloa1'], ['payloa1', 'payloa2']])
    }
  })

  it('gives each subscriber a packet of its own, with its id and its DUP, however many have the form in common', () => {
    const headers = decodeRecordHeaders([{ key: headerNames.qos, value: Buffer.from('1') }])
    const message = OutgoingMessage.passing(Buffer.from('t'), Buffer.from('payload'), headers, null)
    const form = { level: 4, qos: 1, retain: false, subscriptionIds: [], alias: null } as const
    const asked = [
      [0x0102, true],
      [0x0304, false],
      [0x0506, true],
      [0x0708, false],
    ] as const
    const packets = asked.map(([packetId, duplicate]) => packetBytes(message.packet(form, 0), packetId, duplicate))
    message.keep()
    packets.push(packetBytes(message.packet({ ...form, level: 5 }, 0), 0x090a, false))
    expect(packets.map((each) => Buffer.from(each).toString('hex', 0, 7))).toEqual([
      '3a0c0001740102',
      '320c0001740304',
      '3a0c0001740506',
      '320c0001740708',
      '320d000174090a',
    ])
    expect(packets.map((each) => Buffer.from(each).toString().slice(-7))).toEqual(packets.map(() => 'payload'))
  })

  it('says what its headers say, whatever stood in the memory before', () => {
    const cache = new HeaderCache()
    const memory = Buffer.alloc(1000)
    for (let round = 0; round < 3; round += 1) {
      for (const client of ['a', 'b', 'x'.repeat(200)]) {
        const section = encodeHeaders([
          { key: headerNames.client, value: Buffer.from(client) },
          { key: headerNames.topic, value: Buffer.from(`t/${client}`) },
        ])
        memory.fill('?')
        memory.set(section, 5)
        const record = { headersStart: 5, headersEnd: 5 + section.length } as ScannedRecord
        const read = cache.read(memory, record)
        memory.fill('!')
        expect([read.clientId, Buffer.from(read.topic ?? []).toString()]).toEqual([client, `t/${client}`])
      }
    }
  })
})
