import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { clientApiByKey } from '../../../src/protocol/kafka/apis.ts'
import { decodeMessage, encodeMessageWhole } from '../../../src/protocol/kafka/compile.ts'
import {
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/protocol/kafka/header.ts'
import { ProtocolError } from '../../../src/protocol/kafka/protocol-error.ts'
import type { InferMessage, MessageSchema } from '../../../src/protocol/kafka/schema.ts'
import { ConsumerProtocolSubscription } from '../../../src/protocol/kafka/stored/consumer-protocol.ts'
import { GroupMetadataKey, GroupMetadataValue } from '../../../src/protocol/kafka/stored/group-metadata.ts'
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecord,
} from '../../../src/protocol/kafka/stored/metadata-record.ts'
import { OffsetCommitKey, OffsetCommitValue } from '../../../src/protocol/kafka/stored/offset-commit.ts'
import { ProducerSnapshot } from '../../../src/protocol/kafka/stored/producer-snapshot.ts'
import {
  KRaftVersionRecord,
  LeaderChangeMessage,
  SnapshotFooterRecord,
  SnapshotHeaderRecord,
  VotersRecord,
} from '../../../src/protocol/kafka/stored/quorum-records.ts'
import { ControlRecordTypeSchema } from '../../../src/protocol/kafka/stored/transaction-marker.ts'

/**
 * What was on the wire between Apache Kafka 4.3.1 and its own tools, kcat 1.7.1, kafkajs 2.2.4 and confluent-kafka 2.16.1 (frames without
 * their length): `WHO request|response KEY VERSION HEX`; and records that the broker stored: `KIND KEY-HEX VALUE-HEX`.
 */
const lines = readFileSync('test/golden/kafka-transcripts.txt', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => line.split(' '))

const exchanges = lines
  .filter(({ length }) => length === 5)
  .map(([who = '', direction = '', key = '', version = '', hex = '']) => ({
    who,
    direction,
    api: clientApiByKey.get(Number(key)),
    version: Number(version),
    frame: bytesOf(hex),
  }))

const stored = lines
  .filter(({ length }) => length === 3)
  .map(([kind = '', key = '', value = '']) => ({
    kind,
    key,
    value,
    keyBytes: bytesOf(key),
    valueBytes: bytesOf(value),
  }))

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex === 'null' ? '' : hex, 'hex'))
}

function hexOf(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString('hex')
}

describe('what real clients and a real broker say', () => {
  it.each(exchanges.filter(({ direction }) => direction === 'request'))(
    '$who: request $api.name $version is read, and written again to the same bytes',
    ({ api, version, frame }) => {
      if (api === undefined) throw new Error('an API we do not speak')
      const header = decodeRequestHeader(frame)
      expect(header).toMatchObject({ apiKey: api.key, apiVersion: version })
      const { value, end } = decodeMessage(api.request, version, frame, header.end)
      expect(end).toBe(frame.length)
      const again = encodeRequest(api, version, header.correlationId, header.clientId, value)
      expect(hexOf(again).slice(8)).toBe(hexOf([frame]))
    },
  )

  it.each(exchanges.filter(({ direction }) => direction === 'response'))(
    'to $who: response $api.name $version is read, and written again to the same bytes',
    ({ api, version, frame }) => {
      if (api === undefined) throw new Error('an API we do not speak')
      const { correlationId, value } = decodeResponse(api, version, frame)
      expect(hexOf(encodeResponse(api, version, correlationId, value)).slice(8)).toBe(hexOf([frame]))
    },
  )

  it('holds what was said', () => {
    const said = <M extends MessageSchema>(who: string, request: M): InferMessage<M> => {
      const found = exchanges.find((each) => each.who === who && each.api?.request === (request as MessageSchema))
      if (found === undefined) throw new Error(`${who} said no ${request.name}`)
      const header = decodeRequestHeader(found.frame)
      return decodeMessage(request, found.version, found.frame, header.end).value
    }
    const request = (key: number): MessageSchema => clientApiByKey.get(key)?.request as MessageSchema
    expect(said('kcat', request(18))).toMatchObject({ clientSoftwareName: 'librdkafka' })
    expect(said('java', request(18))).toMatchObject({ clientSoftwareName: 'apache-kafka-java' })
    expect(said('kafkajs', request(19))).toMatchObject({ topics: [{ name: 'js-topic', numPartitions: 1 }] })
    expect(said('confluent', request(11))).toMatchObject({
      groupId: 'py',
      groupInstanceId: 'i1',
      protocolType: 'consumer',
    })
    const joined = said('confluent', request(11)) as unknown as {
      readonly protocols: { readonly metadata: Uint8Array }[]
    }
    const subscription = joined.protocols[0]?.metadata ?? new Uint8Array(0)
    const version = subscription[1] ?? 0
    expect(decodeMessage(ConsumerProtocolSubscription, version, subscription, 2).value.topics).toEqual(['py-topic'])
  })
})

describe('records that Apache Kafka stored', () => {
  const records = stored.filter(({ kind }) => kind === 'metadata')

  it('of metadata are read, and written again to the same bytes', () => {
    for (const { value, valueBytes } of records) {
      expect(hexOf([encodeMetadataRecord(decodeMetadataRecord(valueBytes))])).toBe(value)
    }
  })

  it('of metadata say what happened', () => {
    const decoded = records.map(({ valueBytes }) => decodeMetadataRecord(valueBytes))
    const first = <T extends MetadataRecord['type']>(type: T) =>
      decoded.find((record) => record.type === type) as MetadataRecord & { readonly type: T }
    expect(decoded[0]).toEqual({
      type: 'FeatureLevelRecord',
      version: 0,
      value: { name: 'metadata.version', featureLevel: 30 },
    })
    expect(first('TopicRecord').value).toEqual({
      name: 'readings',
      topicId: first('PartitionRecord').value.topicId,
    })
    expect(first('PartitionRecord').value).toMatchObject({ replicas: [1], isr: [1], leader: 1, leaderEpoch: 0 })
    expect(first('PartitionRecord').value.directories).toHaveLength(1)
    expect(first('ProducerIdsRecord').value).toMatchObject({ brokerId: 1, nextProducerId: 1000 })
    expect(first('PartitionChangeRecord').value).toMatchObject({ isr: [], leader: -1, eligibleLeaderReplicas: [1] })
    expect(first('RegisterBrokerRecord').value.endPoints).toMatchObject([{ name: 'PLAINTEXT', host: '127.0.0.1' }])
  })

  it('of control are read, and written again to the same bytes', () => {
    const values: readonly MessageSchema[] = [
      LeaderChangeMessage,
      SnapshotHeaderRecord,
      SnapshotFooterRecord,
      KRaftVersionRecord,
      VotersRecord,
    ]
    const kinds = stored
      .filter(({ kind }) => kind === 'control')
      .map(({ keyBytes, value, valueBytes }) => {
        const { type } = decodeMessage(ControlRecordTypeSchema, 0, keyBytes, 2).value
        const schema = values[type - 2] as MessageSchema
        const version = valueBytes[1] as number
        const decoded = decodeMessage(schema, version, valueBytes)
        expect(decoded.end).toBe(valueBytes.length)
        expect(hexOf([encodeMessageWhole(schema, version, decoded.value)])).toBe(value)
        return type
      })
    expect(kinds.sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6])
  })

  it('of groups are read, and written again to the same bytes', () => {
    for (const { key, keyBytes, value, valueBytes } of stored.filter(({ kind }) => kind === 'group')) {
      const isOffset = keyBytes[1] === 1
      const [keySchema, valueSchema] = isOffset
        ? [OffsetCommitKey, OffsetCommitValue]
        : [GroupMetadataKey, GroupMetadataValue]
      const readKey = decodeMessage(keySchema as MessageSchema, 0, keyBytes, 2)
      expect(hexOf([encodeMessageWhole(keySchema as MessageSchema, 0, readKey.value, [0, isOffset ? 1 : 2])])).toBe(key)
      if (value === 'null') continue
      const version = valueBytes[1] as number
      const readValue = decodeMessage(valueSchema as MessageSchema, version, valueBytes, 2)
      expect(readValue.end).toBe(valueBytes.length)
      expect(hexOf([encodeMessageWhole(valueSchema as MessageSchema, version, readValue.value, [0, version])])).toBe(
        value,
      )
    }
  })

  it('of producers are read', () => {
    const snapshot = stored.find(({ kind }) => kind === 'snapshot')?.valueBytes ?? new Uint8Array(0)
    const { value, end } = decodeMessage(ProducerSnapshot, 1, snapshot, 2)
    expect(end).toBe(snapshot.length)
    expect(value.producerEntries).toMatchObject([
      { producerId: 0, epoch: 0, lastSequence: 1, lastOffset: 1, offsetDelta: 1, currentTxnFirstOffset: -1 },
      { producerId: 1, epoch: 0, lastSequence: 0, lastOffset: 3, offsetDelta: 0, currentTxnFirstOffset: -1 },
    ])
  })
})

describe('a metadata record', () => {
  it.each([
    ['of an unknown frame', '020c0000', 'unknown frame version 2'],
    ['of an unknown kind', '01640000', 'unknown kind 100'],
    ['of a version we do not know', '01020100', 'TopicRecord has no version 1'],
    ['with bytes behind it', '0114000000', 'NoOpRecord: 1 bytes too many'],
    ['that ends early', '0102', 'a varint ends early'],
    ['that is empty', '', 'a varint ends early'],
    ['with an endless varint', 'ffffffffffffff', 'longer than 32 bits'],
  ])('%s is refused', (_what, hex, said) => {
    expect(() => decodeMetadataRecord(bytesOf(hex))).toThrow(said)
    expect(() => decodeMetadataRecord(bytesOf(hex))).toThrow(ProtocolError)
  })
})
