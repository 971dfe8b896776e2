import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OutgoingMessage } from '../../../src/ingest/mqtt/outgoing-message.ts'
import { decodeRecordHeaders, type MessageFacts, RecordHeaderEncoder } from '../../../src/ingest/mqtt/record-headers.ts'
import { headersOf, scanRecords } from '../../../src/ingest/mqtt/record-scan.ts'
import type { MqttProperties } from '../../../src/protocol/mqtt/properties.ts'
import { forEachRecord, type RecordHeader } from '../../../src/protocol/records/record.ts'
import { batchHeaderBytes, batchRecordCount } from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { decodeAll, type DecodedPublish } from '../../protocol/mqtt/decoding.ts'
import { packetBytes } from './packet-bytes.ts'

const encoder = new RecordHeaderEncoder({ clientId: 'sensor-7', userName: 'u', level: 5 })
const plainFacts: MessageFacts = {
  headers: 'minimal',
  qos: 1,
  retain: false,
  isWill: false,
  clockMark: null,
  topic: null,
  properties: {},
  wallMs: 1000,
}

/** The headers as the record reader of another room sees them. */
function headersIn(section: Uint8Array): readonly RecordHeader[] {
  const builder = new RecordBatchBuilder()
  builder.append(5, Buffer.from('k'), Buffer.from('v'), section)
  let headers: readonly RecordHeader[] = []
  forEachRecord(builder.build(), 0, (record) => {
    headers = record.headers
  })
  return headers
}

function written(section: Uint8Array): string[] {
  return headersIn(section).map(({ key, value }) => `${key}=${Buffer.from(value ?? []).toString()}`)
}

describe('record headers', () => {
  it('hold what rebuilds the PUBLISH', () => {
    expect(written(encoder.plain('minimal', 0, false))).toEqual(['mqtt.client=sensor-7', 'mqtt.qos=0'])
    expect(written(encoder.plain('minimal', 2, true))).toEqual(['mqtt.client=sensor-7', 'mqtt.qos=2', 'mqtt.retain=1'])
    expect(written(encoder.plain('none', 1, true))).toEqual([])
    expect(written(encoder.plain('full', 1, false))).toContain('mqtt.user=u')
    const properties: MqttProperties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 60,
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      userProperties: [
        ['z', '1'],
        ['mqtt.client', 'forged'],
        ['z', '2'],
        ['content-type', 'x'],
      ],
    }
    expect(written(encoder.build({ ...plainFacts, isWill: true, topic: Buffer.from('a/b'), properties }))).toEqual([
      'mqtt.client=sensor-7',
      'mqtt.qos=1',
      'mqtt.will=1',
      'mqtt.topic=a/b',
      'mqtt.pfi=1',
      'mqtt.expires=61000',
      'mqtt.response-topic=r',
      'mqtt.correlation=c',
      'content-type=text/plain',
      'z=1',
      'mqtt.up.mqtt.client=forged',
      'z=2',
      'mqtt.up.content-type=x',
    ])
  })

  it('bring every property back, user properties in order', () => {
    const text = fc.string({ maxLength: 6 }).filter((value) => !value.includes('\0'))
    const names = fc.oneof(text, fc.constantFrom('mqtt.qos', 'content-type', 'mqtt.up.x', 'mqtt.topic'))
    const all = fc.record(
      {
        payloadFormatIndicator: fc.constantFrom(0, 1),
        contentType: text,
        responseTopic: fc.constantFrom('a', 'r/1'),
        correlationData: fc.uint8Array({ maxLength: 5 }),
        userProperties: fc.array(fc.tuple(names, text), { minLength: 1, maxLength: 4 }),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(all, fc.constantFrom(0, 1, 2), fc.boolean(), (properties, qos, retain) => {
        const decoded = decodeRecordHeaders(headersIn(encoder.build({ ...plainFacts, qos, retain, properties })))
        expect(decoded).toMatchObject({ clientId: 'sensor-7', qos, retain, topic: null, expiresMs: null })
        const found = Object.fromEntries(Object.entries(decoded.properties).filter(([, value]) => value !== undefined))
        expect(found).toEqual(properties)
      }),
      { numRuns: 500 },
    )
  })

  it('bring back names of user properties as long as MQTT has them, and no longer ones', () => {
    const longest = ['n'.repeat(65_535), '\u00fc'.repeat(32_767), 'mqtt.'.padEnd(65_535, 'x')]
    const headers = [...longest, '\u00fc'.repeat(32_768)].map(
      (name): RecordHeader => ({
        key: name.startsWith('mqtt.') ? `mqtt.up.${name}` : name,
        value: Buffer.from('v'),
      }),
    )
    expect(decodeRecordHeaders(headers).properties.userProperties).toEqual(longest.map((name) => [name, 'v']))
  })

  it('of a Kafka client become user properties where they are text; forged ones of ours do no harm', () => {
    const header = (key: string, value: string | Uint8Array | null): RecordHeader => ({
      key,
      value: typeof value === 'string' ? Buffer.from(value) : value,
    })
    const decoded = decodeRecordHeaders([
      header('trace', '1'),
      header('binary', Uint8Array.of(0xff)),
      header('nothing', null),
      header('mqtt.qos', '7'),
      header('mqtt.pfi', 'x'),
      header('mqtt.expires', '-1'),
      header('mqtt.response-topic', 'a/#'),
      header('mqtt.unheard-of', 'x'),
    ])
    expect(decoded).toMatchObject({ clientId: null, qos: 1, retain: false, expiresMs: null })
    expect(decoded.properties.userProperties).toEqual([
      ['trace', '1'],
      ['nothing', ''],
    ])
    expect(decoded.properties.responseTopic).toBeUndefined()
    expect(decoded.properties.payloadFormatIndicator).toBeUndefined()
  })
})

describe('the record scan', () => {
  it('finds what the record reader finds', () => {
    const bytes = fc.option(fc.uint8Array({ maxLength: 200 }))
    const headers = fc.array(fc.record({ key: fc.constantFrom('mqtt.topic', 'a', 'mqtt.qos', ''), value: bytes }), {
      maxLength: 3,
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, bytes, headers), { minLength: 1, maxLength: 6 }), (list) => {
        const builder = new RecordBatchBuilder()
        for (const [key, value, own] of list) {
          const section = headersSection(own)
          builder.append(7, key, value, section)
        }
        const batch = builder.build()
        const expected: unknown[] = []
        forEachRecord(batch, 0, (record) => {
          const topic = record.headers.find(({ key, value }) => key === 'mqtt.topic' && value !== null)?.value
          expected.push([record.offset, record.key, record.value, topic, record.headers])
        })
        const found: unknown[] = []
        const view = (start: number, end: number): Uint8Array | null => (start < 0 ? null : batch.subarray(start, end))
        scanRecords(batch, { start: batchHeaderBytes, end: batch.length, count: batchRecordCount(batch) }, (record) => {
          const topic = view(record.topicStart, record.topicEnd) ?? undefined
          const key = view(record.keyStart, record.keyEnd)
          found.push([
            record.offsetDelta,
            key,
            view(record.valueStart, record.valueEnd),
            topic,
            headersOf(batch, record),
          ])
        })
        expect(found).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })
})

function headersSection(headers: readonly RecordHeader[]): Uint8Array {
  const varint = (value: number): number[] => {
    let raw = (value << 1) ^ (value >> 31)
    const out: number[] = []
    while (raw > 127) {
      out.push((raw & 127) | 128)
      raw >>>= 7
    }
    return [...out, raw]
  }
  const bytes = varint(headers.length)
  for (const { key, value } of headers) {
    bytes.push(
      ...varint(key.length),
      ...Buffer.from(key),
      ...varint(value === null ? -1 : value.length),
      ...(value ?? []),
    )
  }
  return Uint8Array.from(bytes)
}

describe('an outgoing message', () => {
  it('is encoded once for those who share a form, and carries the rest of its expiry', () => {
    const headers = [
      { key: 'mqtt.expires', value: Buffer.from('61000') },
      { key: 'a', value: Buffer.from('b') },
    ]
    const form = { level: 5, qos: 0, retain: false, subscriptionIds: [], alias: null } as const
    const aging = new OutgoingMessage(Buffer.from('t'), Buffer.from('p'), headers)
    expect(aging.isExpired(60_999)).toBe(false)
    expect(aging.isExpired(61_000)).toBe(true)
    const decoded = decodeAll(aging.packet(form, 31_500).memory, { level: 5 }) as DecodedPublish[]
    expect(decoded[0]?.properties).toMatchObject({ messageExpiryInterval: 30, userProperties: [['a', 'b']] })
    const plain = new OutgoingMessage(Buffer.from('t'), Buffer.from('p'), headers.slice(1))
    expect(plain.packet(form, 0)).toBe(plain.packet({ ...form }, 5))
    const bytes = packetBytes(plain.packet({ ...form, qos: 1 }, 0), 513, true)
    const [publish] = decodeAll(bytes, { level: 5 }) as DecodedPublish[]
    expect(publish).toMatchObject({ qos: 1, packetId: 513, duplicate: true, topic: 't', payload: 'p' })
  })
})
