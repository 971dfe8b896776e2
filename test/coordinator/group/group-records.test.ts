import { describe, expect, test } from 'vitest'
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord } from '../../../src/coordinator/group/group-records.ts'
import { offsetsPartitionOf } from '../../../src/coordinator/group/offsets-topic.ts'

/** Made by Apache Kafka 4.3.1 (MessageUtil.toCoordinatorTypePrefixedByteBuffer, toVersionPrefixedByteBuffer). */
const kafkas = {
  offsetKey: '000100076772c3bc707065000574656d707300000007',
  offsetValue3: '00030000001cbe991a140000000400016d0000019b76daa800',
  offsetValue1: '0001000000000000000500000000019b76daa8000000019b76daabe8',
  offsetValue4: '000400000000000000060000000905666f75720000019b76daa80001001000000000000000000000000000000001',
  groupKey: '000200076772c3bc707065',
  groupValue3:
    '00030008636f6e73756d657200000003000572616e67650003612d310000019b76daa800000000020003612d31ffff00016100092f31302e302e302e370000ea60000027100000000200010000000102000574776f2d32000374776f00016200092f31302e302e302e380000ea60000027100000000000000000',
  groupValue4:
    '000409636f6e73756d6572000000030672616e676504612d310000019b76daa8000304612d310002610a2f31302e302e302e370000ea60000027100300010202000674776f2d320474776f02620a2f31302e302e302e380000ea600000271001010000',
} as const
const wallMs = 1_767_225_600_000

const offset = (stored: (GroupRecord & { kind: 'offset' })['stored']): GroupRecord => ({
  kind: 'offset',
  groupId: 'grüppe',
  topic: 'temps',
  partition: 7,
  stored,
})
const group: GroupRecord = {
  kind: 'group',
  groupId: 'grüppe',
  stored: {
    generationId: 3,
    protocolType: 'consumer',
    protocolName: 'range',
    leader: 'a-1',
    stateTimestampMs: wallMs,
    members: [
      {
        memberId: 'a-1',
        groupInstanceId: null,
        clientId: 'a',
        clientHost: '/10.0.0.7',
        rebalanceTimeoutMs: 60_000,
        sessionTimeoutMs: 10_000,
        subscription: Uint8Array.of(0, 1),
        assignment: Uint8Array.of(2),
      },
      {
        memberId: 'two-2',
        groupInstanceId: 'two',
        clientId: 'b',
        clientHost: '/10.0.0.8',
        rebalanceTimeoutMs: 60_000,
        sessionTimeoutMs: 10_000,
        subscription: new Uint8Array(0),
        assignment: new Uint8Array(0),
      },
    ],
  },
}
const plain = {
  offset: 123_456_789_012,
  leaderEpoch: 4,
  metadata: 'm',
  commitTimestampMs: wallMs,
  expireTimestampMs: null,
}
const expiring = {
  offset: 5,
  leaderEpoch: -1,
  metadata: '',
  commitTimestampMs: wallMs,
  expireTimestampMs: wallMs + 1_000,
}

const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex')

describe('records of __consumer_offsets', () => {
  test.each([
    ['an offset', offset(plain), kafkas.offsetKey, kafkas.offsetValue3],
    ['an offset with a retention of its own', offset(expiring), kafkas.offsetKey, kafkas.offsetValue1],
    ['a forgotten offset', offset(null), kafkas.offsetKey, null],
    ['a group', group, kafkas.groupKey, kafkas.groupValue3],
    ['a deleted group', { ...group, stored: null }, kafkas.groupKey, null],
  ] as const)("%s is written as Kafka writes it, and Kafka's is read", (_, record, key, value) => {
    const encoded = encodeGroupRecord(record)
    expect({ key: hex(encoded.key), value: hex(encoded.value) }).toEqual({ key, value })
    const decoded = decodeGroupRecord(bytes(key), value === null ? null : bytes(value))
    expect(comparable(decoded)).toEqual(comparable(record))
  })

  test('the newer versions of Kafka 4.3 are read', () => {
    expect(comparable(decodeGroupRecord(bytes(kafkas.groupKey), bytes(kafkas.groupValue4)))).toEqual(comparable(group))
    const four = decodeGroupRecord(bytes(kafkas.offsetKey), bytes(kafkas.offsetValue4))
    expect(four).toEqual(offset({ ...plain, offset: 6, leaderEpoch: 9, metadata: 'four' }))
  })

  test('what is not ours, or cannot be read, is told apart and stops nothing', () => {
    expect(decodeGroupRecord(bytes('000300016700'), null)).toEqual({ kind: 'foreign' })
    expect(decodeGroupRecord(null, null)).toEqual({ kind: 'unreadable' })
    expect(decodeGroupRecord(bytes('0001ffff'), null)).toEqual({ kind: 'unreadable' })
    expect(decodeGroupRecord(bytes(kafkas.offsetKey), bytes('0063'))).toEqual({ kind: 'unreadable' })
    expect(decodeGroupRecord(bytes(kafkas.groupKey), bytes(kafkas.groupValue3.slice(0, 60)))).toEqual({
      kind: 'unreadable',
    })
  })
})

test.each([
  ['g', 7, 3],
  ['grüppe', 4, 12],
  ['my-consumer-group', 1, 13],
  ['polygenelubricants', 0, 0], // its hash is the smallest int: Math.abs would not do
  ['', 0, 0],
])("group %s lies in Kafka's partition", (groupId, of8, of50) => {
  expect([offsetsPartitionOf(groupId, 8), offsetsPartitionOf(groupId, 50)]).toEqual([of8, of50])
})

/** Views of one buffer compare by content. */
function comparable(record: unknown): string {
  return JSON.stringify(record, (_, value: unknown) => (value instanceof Uint8Array ? hex(value) : value))
}
