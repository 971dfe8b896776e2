import { describe, expect, it } from 'vitest'
import {
  apiVersionsApi,
  fetchApi,
  heartbeatApi,
  kafkaApis,
  kafkaClientApis,
  offsetDeleteApi,
  produceApi,
} from '../../../src/protocol/kafka/apis.ts'
import { decodeMessage } from '../../../src/protocol/kafka/compile.ts'
import {
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeRequestHeader,
  encodeResponse,
} from '../../../src/protocol/kafka/header.ts'
import { ProtocolError } from '../../../src/protocol/kafka/protocol-error.ts'

function hexOf(chunks: readonly Uint8Array[]): string {
  return Buffer.concat(chunks).toString('hex')
}

function frameOf(chunks: readonly Uint8Array[]): Uint8Array {
  const stream = Buffer.concat(chunks)
  expect(stream.readInt32BE(0)).toBe(stream.length - 4)
  return new Uint8Array(stream.subarray(4))
}

describe('the table of APIs', () => {
  it('is that of Apache Kafka 4.1 for what we serve', () => {
    const rows = kafkaApis.map(({ key, name, minVersion, maxVersion, flexibleFrom }) =>
      [key, name, `${minVersion}-${maxVersion}`, flexibleFrom].join(' '),
    )
    expect(rows).toEqual([
      '0 Produce 0-13 9',
      '1 Fetch 4-18 12',
      '2 ListOffsets 1-11 6',
      '3 Metadata 0-13 9',
      '8 OffsetCommit 2-9 8',
      '9 OffsetFetch 1-9 6',
      '10 FindCoordinator 0-6 3',
      '11 JoinGroup 0-9 6',
      '12 Heartbeat 0-4 4',
      '13 LeaveGroup 0-5 4',
      '14 SyncGroup 0-5 4',
      '15 DescribeGroups 0-6 5',
      '16 ListGroups 0-5 3',
      '17 SaslHandshake 0-1 Infinity',
      '18 ApiVersions 0-4 3',
      '19 CreateTopics 2-7 5',
      '20 DeleteTopics 1-6 4',
      '21 DeleteRecords 0-2 2',
      '22 InitProducerId 0-5 2',
      '23 OffsetForLeaderEpoch 2-4 4',
      '29 DescribeAcls 1-3 2',
      '30 CreateAcls 1-3 2',
      '31 DeleteAcls 1-3 2',
      '32 DescribeConfigs 1-4 4',
      '33 AlterConfigs 0-2 2',
      '34 AlterReplicaLogDirs 1-2 2',
      '35 DescribeLogDirs 1-4 2',
      '36 SaslAuthenticate 0-2 2',
      '37 CreatePartitions 0-3 2',
      '42 DeleteGroups 0-2 2',
      '43 ElectLeaders 0-2 2',
      '44 IncrementalAlterConfigs 0-1 1',
      '45 AlterPartitionReassignments 0-1 0',
      '46 ListPartitionReassignments 0-0 0',
      '47 OffsetDelete 0-0 Infinity',
      '48 DescribeClientQuotas 0-1 1',
      '49 AlterClientQuotas 0-1 1',
      '50 DescribeUserScramCredentials 0-0 0',
      '51 AlterUserScramCredentials 0-0 0',
      '55 DescribeQuorum 0-2 0',
      '60 DescribeCluster 0-2 0',
      '61 DescribeProducers 0-0 0',
      '65 DescribeTransactions 0-0 0',
      '66 ListTransactions 0-2 0',
      '68 ConsumerGroupHeartbeat 0-1 0',
      '74 ListConfigResources 0-1 0',
      '75 DescribeTopicPartitions 0-0 0',
    ])
  })
})

describe('a request', () => {
  it('has a header that is read as it was written, in every version of every API', () => {
    for (const api of kafkaClientApis) {
      for (let version = api.minVersion; version <= api.maxVersion; version++) {
        for (const clientId of [null, '', 'sensor gateway', 'wärmepumpe'.repeat(20)]) {
          const frame = frameOf(encodeRequest(api, version, 9, clientId, {}))
          const header = decodeRequestHeader(frame)
          expect(header).toMatchObject({ apiKey: api.key, apiVersion: version, correlationId: 9, clientId })
          expect(decodeMessage(api.request, version, frame, header.end).end).toBe(frame.length)
          const head = encodeRequestHeader(
            { apiKey: api.key, apiVersion: version, correlationId: 9, clientId },
            version >= api.flexibleFrom,
          )
          expect(Buffer.compare(head, frame.subarray(0, header.end))).toBe(0)
        }
      }
    }
  })

  it('never has a compact client id', () => {
    expect(hexOf(encodeRequest(heartbeatApi, 4, 1, 'id', { groupId: 'g' }))).toBe(
      '00000016 000c 0004 00000001 0002 6964 00 0267 00000000 01 00 00'.replaceAll(' ', ''),
    )
  })

  it('may have tagged fields in its header that we do not know', () => {
    const header = decodeRequestHeader(
      Buffer.from('0012 0003 00000007 0001 61 02 00 02 6869 05 00 ff'.replaceAll(' ', ''), 'hex'),
    )
    expect(header).toEqual({ apiKey: 18, apiVersion: 3, correlationId: 7, clientId: 'a', end: 18 })
  })

  it('of an unknown API is read up to its client id', () => {
    const header = decodeRequestHeader(Buffer.from('03e7 0001 00000007 ffff 00'.replaceAll(' ', ''), 'hex'))
    expect(header).toEqual({ apiKey: 999, apiVersion: 1, correlationId: 7, clientId: null, end: 10 })
  })

  it.each([
    ['is empty', ''],
    ['ends in the header', '000000030000000100'],
    ['has a client id longer than itself', '00000003000000010005616263'],
    ['has a client id of negative length', '0000000300000001fffe'],
    ['has no tagged section where one belongs', '0000000900000001ffff'],
    ['has a tagged field beyond its end', '0000000900000001ffff01007f'],
    ['has a count of tagged fields that never ends', '0000000900000001ffffffffffffffff'],
  ])('is refused when it %s', (_what, hex) => {
    expect(() => decodeRequestHeader(Buffer.from(hex, 'hex'))).toThrow(ProtocolError)
  })
})

describe('a response', () => {
  it('is read as it was written, in every version of every API', () => {
    for (const api of kafkaClientApis) {
      for (let version = api.minVersion; version <= api.maxVersion; version++) {
        const frame = frameOf(encodeResponse(api, version, 0x7fff_fff0, {}))
        const { correlationId, value } = decodeResponse(api, version, frame)
        expect(correlationId).toBe(0x7fff_fff0)
        expect(value).toEqual(decodeResponse(api, version, frameOf(encodeResponse(api, version, 1, value))).value)
      }
    }
  })

  it('has a header of version 0 when it answers ApiVersions, in all versions', () => {
    // Correlation id, then at once the error code.
    expect(hexOf(encodeResponse(apiVersionsApi, 4, 5, { errorCode: 35 }))).toBe(
      '0000000c' + '00000005' + '0023' + '01' + '00000000' + '00',
    )
    expect(hexOf(encodeResponse(apiVersionsApi, 0, 5, { errorCode: 35 }))).toBe(
      '0000000a' + '00000005' + '0023' + '00000000',
    )
  })

  it('has tagged fields in its header from the first flexible version on', () => {
    expect(hexOf(encodeResponse(heartbeatApi, 3, 5, { errorCode: 27 }))).toBe(
      '0000000a' + '00000005' + '00000000' + '001b',
    )
    expect(hexOf(encodeResponse(heartbeatApi, 4, 5, { errorCode: 27 }))).toBe(
      '0000000c' + '00000005' + '00' + '00000000' + '001b' + '00',
    )
    expect(hexOf(encodeResponse(offsetDeleteApi, 0, 5, {}))).toBe(
      '0000000e' + '00000005' + '0000' + '00000000' + '00000000',
    )
  })

  it('counts referenced records in its length', () => {
    const records = new Uint8Array(5000)
    const chunks = encodeResponse(fetchApi, 12, 1, {
      responses: [{ topic: 't', partitions: [{ records }, { records }] }],
    })
    expect(chunks.filter((chunk) => chunk === records)).toHaveLength(2)
    expect(decodeResponse(fetchApi, 12, frameOf(chunks)).value.responses[0]?.partitions[1]?.records).toEqual(records)
  })

  it('is refused when it ends early or goes on too long', () => {
    const frame = frameOf(encodeResponse(produceApi, 9, 1, {}))
    for (let length = 0; length < frame.length; length++) {
      expect(() => decodeResponse(produceApi, 9, frame.subarray(0, length))).toThrow(ProtocolError)
    }
    expect(() => decodeResponse(produceApi, 9, Buffer.concat([frame, Buffer.alloc(1)]))).toThrow(/1 bytes too many/)
  })
})
