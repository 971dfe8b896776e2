import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, encodeMessageWhole } from '../../../src/protocol/kafka/compile.ts'
import { DeleteRecordsRequest } from '../../../src/protocol/kafka/messages/delete-records.ts'
import { FetchRequest, FetchResponse } from '../../../src/protocol/kafka/messages/fetch.ts'
import { ListOffsetsRequest } from '../../../src/protocol/kafka/messages/list-offsets.ts'
import { MetadataResponse } from '../../../src/protocol/kafka/messages/metadata.ts'
import { OffsetCommitRequest } from '../../../src/protocol/kafka/messages/offset-commit.ts'
import { ApiVersionsRequest } from '../../../src/protocol/kafka/messages/api-versions.ts'
import { ProduceRequest } from '../../../src/protocol/kafka/messages/produce.ts'
import { ProtocolError } from '../../../src/protocol/kafka/protocol-error.ts'
import {
  array,
  bytes,
  int32,
  int64,
  type MessageSchema,
  message,
  string,
  struct,
} from '../../../src/protocol/kafka/schema.ts'
import { arbitraryMessage } from './arbitrary-message.ts'
import { allLayouts, storedMessages, wireMessages } from './declared-messages.ts'

const everyMessage = [...wireMessages, ...storedMessages]
const everyVersion = everyMessage.flatMap((each) =>
  Array.from({ length: each.versions.last - each.versions.first + 1 }, (_, index) => ({
    schema: each,
    version: each.versions.first + index,
  })),
)

function whole(schema: MessageSchema, version: number, value: object): Uint8Array {
  return encodeMessageWhole(schema, version, value)
}

/** Members of all lists in a message. */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0
  const parts = Object.entries(value).filter(([name]) => name !== 'unknownTaggedFields')
  return parts.reduce((sum, [, part]) => sum + membersOf(part), Array.isArray(value) ? value.length : 0)
}

describe('the declared messages', () => {
  it('lay out as the golden file says', () => {
    expect(allLayouts()).toBe(readFileSync('test/golden/kafka-layouts.txt', 'utf8'))
  })

  it('come back as they were written, in every version', () => {
    for (const { schema, version } of everyVersion) {
      fc.assert(
        fc.property(arbitraryMessage(schema, version), (value) => {
          const encoded = whole(schema, version, value)
          const decoded = decodeMessage(schema, version, encoded)
          expect(decoded).toEqual({ value, end: encoded.length, members: membersOf(value) })
        }),
        { numRuns: 8 },
      )
    }
  })

  it('when mutated give a value or a ProtocolError, whatever the bytes', () => {
    for (const { schema, version } of everyVersion) {
      const mutated = fc.tuple(
        arbitraryMessage(schema, version).map((value) => whole(schema, version, value)),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff)), { minLength: 1, maxLength: 4 }),
        fc.nat(40),
      )
      fc.assert(
        fc.property(mutated, ([encoded, changes, cut]) => {
          const damaged = encoded.slice(0, Math.max(0, encoded.length - (cut > 20 ? cut - 20 : 0)))
          for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte
          expectValueOrProtocolError(schema, version, damaged)
        }),
        { numRuns: 12 },
      )
    }
  })

  it('decode anything at all to a value or a ProtocolError', () => {
    for (const { schema, version } of everyVersion) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), (random) =>
          expectValueOrProtocolError(schema, version, new Uint8Array(random)),
        ),
        { numRuns: 6 },
      )
    }
  })
})

function expectValueOrProtocolError(schema: MessageSchema, version: number, input: Uint8Array): void {
  try {
    const { end } = decodeMessage(schema, version, input)
    expect(end).toBeLessThanOrEqual(input.length)
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ProtocolError)
  }
}

describe('a decoder', () => {
  const refusals: readonly [what: string, hex: string, said: RegExp][] = [
    ['an array of more elements than bytes', 'ffff0001000000007fffffff', /topicData.*more elements than bytes/],
    ['an array of negative length', 'ffff000100000000fffffff0', /topicData.*negative length/],
    ['null where none may be', 'ffff000100000000ffffffff', /topicData.*null is not allowed/],
    ['a text longer than the bytes', '7fff0001', /transactionalId.*longer than the bytes/],
    [
      'bytes longer than the frame',
      'ffff0001000000000000000100017400000001000000007fffffff',
      /records.*longer than the/,
    ],
    ['an early end', 'ffff00', /ends early/],
    ['nothing', '', /ends early/],
  ]
  it.each(refusals)('refuses %s', (_what, hex, said) => {
    expect(() => decodeMessage(ProduceRequest, 3, Buffer.from(hex, 'hex'))).toThrow(said)
    expect(() => decodeMessage(ProduceRequest, 3, Buffer.from(hex, 'hex'))).toThrow(ProtocolError)
  })

  const sample = message({
    name: 'Sample',
    versions: '0-2',
    flexible: '1+',
    fields: {
      id: int32(),
      place: struct('1+', { x: int64('0+', { default: -1 }) }, { tag: 3 }),
      label: string('1+', { tag: 1, nullable: '0+', default: null }),
      late: string('2+'),
    },
  })
  const flexibleRefusals: readonly [what: string, hex: string, said: RegExp][] = [
    ['tags out of order', '00000001 02 0309 0000000000000005 00 0102 0261', /ascending/],
    ['a tag twice', '00000001 02 01 01 00 01 01 00', /ascending/],
    ['a tagged field that is longer than it says', '00000001 01 01 01 0261', /another size/],
    ['a tagged field that reaches beyond the end', '00000001 01 07 7f 00', /longer than the bytes/],
    ['more tagged fields than bytes', '00000001 ff01', /more of them than bytes/],
    ['a varint of more than 31 bits', '00000001 ffffffff0f', /varint/],
    ['a varint that never ends', '00000001 ffffffffffffffff', /varint/],
    ['a varint that is cut', '00000001 ff', /varint ends early/],
  ]
  it.each(flexibleRefusals)('refuses %s', (_what, hex, said) => {
    const input = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    expect(() => decodeMessage(sample, 1, input)).toThrow(said)
    expect(() => decodeMessage(sample, 1, input)).toThrow(ProtocolError)
  })

  it('refuses a compact text longer than 32767 bytes', () => {
    const input = new Uint8Array(40_000)
    input.set(Buffer.from('00000001018180020000', 'hex').subarray(0, 4))
    const late = Buffer.concat([Buffer.from('00000001', 'hex'), Buffer.from('818002', 'hex'), new Uint8Array(32_770)])
    expect(() => decodeMessage(sample, 2, late)).toThrow(/longer than a text may be/)
  })

  it('keeps unknown tagged fields and writes them again in their places', () => {
    const input = Buffer.from(`00000001 04 0102 0261 0201ff 0309 0000000000000007 00 0900`.replaceAll(' ', ''), 'hex')
    const { value, end } = decodeMessage(sample, 1, input)
    expect(end).toBe(input.length)
    expect(value).toEqual({
      id: 1,
      place: { x: 7 },
      label: 'a',
      late: '',
      unknownTaggedFields: [
        { tag: 2, bytes: new Uint8Array([0xff]) },
        { tag: 9, bytes: new Uint8Array(0) },
      ],
    })
    expect(Buffer.from(whole(sample, 1, value)).toString('hex')).toBe(input.toString('hex'))
  })

  it('keeps no unknown tagged field of a request, and refuses one that its bytes do not hold', () => {
    // A software name, a version, then tags 5 and 9.
    const input = Buffer.from('0261 0262 02 0501ff 0900'.replaceAll(' ', ''), 'hex')
    const { value, end } = decodeMessage(ApiVersionsRequest, 3, input)
    expect(end).toBe(input.length)
    expect(value).toEqual({ clientSoftwareName: 'a', clientSoftwareVersion: 'b' })
    expect(() => decodeMessage(ApiVersionsRequest, 3, Buffer.from('026102620105ff01', 'hex'))).toThrow(
      /one is longer than the bytes that remain/,
    )
  })

  it('gives byte fields as views into the frame', () => {
    const records = new Uint8Array(2000).fill(7)
    const topicData = [{ name: 't', partitionData: [{ index: 0, records }] }]
    const frame = new Uint8Array(Buffer.concat(encodeMessage(ProduceRequest, 9, { acks: 1, topicData })))
    const found = decodeMessage(ProduceRequest, 9, frame).value.topicData[0]?.partitionData[0]?.records
    expect(found?.buffer).toBe(frame.buffer)
    expect(found).toEqual(records)
  })

  it('begins at the offset and leaves what is behind the message alone', () => {
    const encoded = whole(sample, 0, { id: 5 })
    const padded = Buffer.concat([Buffer.alloc(3), encoded, Buffer.alloc(2)])
    expect(decodeMessage(sample, 0, padded, 3)).toMatchObject({ value: { id: 5 }, end: 7 })
  })

  it('refuses an int64 beyond 2^53 but not one declared as such', () => {
    const big = message({ name: 'Big', versions: '0', flexible: 'none', fields: { at: int64() } })
    expect(() => decodeMessage(big, 0, Buffer.from('0020000000000000', 'hex'))).toThrow(/beyond 2\^53/)
    expect(() => decodeMessage(big, 0, Buffer.from('8000000000000000', 'hex'))).toThrow(/beyond 2\^53/)
    expect(decodeMessage(big, 0, Buffer.from('001fffffffffffff', 'hex')).value.at).toBe(Number.MAX_SAFE_INTEGER)
    expect(decodeMessage(big, 0, Buffer.from('ffe0000000000001', 'hex')).value.at).toBe(Number.MIN_SAFE_INTEGER)
    expect(decodeMessage(big, 0, Buffer.from('ffffffffffffffff', 'hex')).value.at).toBe(-1)
  })

  const last = Number.MAX_SAFE_INTEGER
  const askedFor: readonly (readonly [string, MessageSchema, number, object])[] = [
    ['a time', ListOffsetsRequest, 1, { topics: [{ name: 't', partitions: [{ timestamp: last }] }] }],
    ['an offset to read from', FetchRequest, 4, { topics: [{ topic: 't', partitions: [{ fetchOffset: last }] }] }],
    ['an offset to cut at', DeleteRecordsRequest, 1, { topics: [{ name: 't', partitions: [{ offset: last }] }] }],
    [
      'an offset to keep, and for how long',
      OffsetCommitRequest,
      4,
      {
        retentionTimeMs: last,
        topics: [{ name: 't', partitions: [{ committedOffset: last, committedMetadata: '' }] }],
      },
    ],
  ]
  it.each(askedFor)('reads the largest int64 as the last safe integer where a client may ask for it: %s', (...row) => {
    const [, schema, version, value] = row
    const safe = Buffer.from(whole(schema, version, value as never))
    const hex = safe.toString('hex').replaceAll('001fffffffffffff', '7fffffffffffffff')
    expect(hex).not.toBe(safe.toString('hex'))
    const read = decodeMessage(schema, version, Buffer.from(hex, 'hex'))
    expect(read).toEqual(decodeMessage(schema, version, safe))
    const lowest = decodeMessage(
      schema,
      version,
      Buffer.from(hex.replaceAll('7fffffffffffffff', '8000000000000000'), 'hex'),
    )
    expect(inspect(lowest, { depth: null })).toContain(String(Number.MIN_SAFE_INTEGER))
  })

  it('makes no array for a count that the bytes cannot hold', () => {
    const lists = message({
      name: 'Lists',
      versions: '0',
      flexible: 'none',
      fields: { outer: array('0+', { inner: array('0+', { c: bytes() }) }) },
    })
    const claims = Buffer.from('00000001' + '03ffffff'.repeat(100), 'hex')
    const before = process.memoryUsage().heapUsed
    expect(() => decodeMessage(lists, 0, claims)).toThrow(/inner.*more elements than bytes/)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024)
  })
})

describe('an encoder', () => {
  it('fills in defaults for what is missing', () => {
    const { value } = decodeMessage(FetchRequest, 18, whole(FetchRequest, 18, { maxWaitMs: 5 }))
    expect(value).toMatchObject({ maxWaitMs: 5, maxBytes: 0x7fffffff, sessionEpoch: -1, rackId: '', topics: [] })
    expect(value.replicaState).toEqual({ replicaId: -1, replicaEpoch: -1 })
  })

  it('drops a value that the version lacks only where Kafka calls it ignorable', () => {
    expect(() => whole(FetchRequest, 4, { rackId: 'a', clusterId: 'b' })).not.toThrow()
    expect(() => whole(FetchRequest, 4, { forgottenTopicsData: [{ topic: 'a' }] })).toThrow(/no such field/)
    expect(() => whole(FetchRequest, 4, { replicaState: { replicaId: 3 } })).toThrow(ProtocolError)
    expect(() => whole(FetchRequest, 4, { replicaState: { replicaId: -1 }, forgottenTopicsData: [] })).not.toThrow()
    expect(() => whole(FetchResponse, 6, { nodeEndpoints: [{ nodeId: 1 }] })).toThrow(/no such field/)
  })

  it('refuses what does not fit: ranges, nulls, long texts, bad ids, unknown versions', () => {
    expect(() => whole(ProduceRequest, 9, { acks: 40_000 })).toThrow(/acks.*out of range/)
    expect(() => whole(ProduceRequest, 9, { timeoutMs: Number.NaN })).toThrow(/timeoutMs.*out of range/)
    expect(() => whole(ProduceRequest, 9, { timeoutMs: 1.5 })).toThrow(/out of range/)
    expect(() => whole(ProduceRequest, 9, { topicData: null })).toThrow(/null is not allowed/)
    expect(() => whole(ProduceRequest, 9, { transactionalId: 'x'.repeat(32_768) })).toThrow(/longer than 32767/)
    expect(() => whole(ProduceRequest, 3, { transactionalId: 'é'.repeat(16_384) })).toThrow(/longer than 32767/)
    expect(() => whole(ProduceRequest, 13, { topicData: [{ topicId: 'short' }] })).toThrow(/not an id/)
    expect(() => whole(ProduceRequest, 14, {})).toThrow(/has no version 14/)
    expect(() => whole(FetchRequest, 3, {})).toThrow(/has no version 3/)
    expect(() => whole(ProduceRequest, 3, { unknownTaggedFields: [] })).toThrow(/no tagged fields/)
  })

  it('writes again after a value that could not be written', () => {
    const before = whole(ProduceRequest, 9, { acks: 1 })
    expect(() => whole(ProduceRequest, 9, { acks: 1, timeoutMs: Number.NaN })).toThrow(ProtocolError)
    expect(whole(ProduceRequest, 9, { acks: 1 })).toEqual(before)
  })

  it('sends records of 1 KiB and more by reference, and everything in order', () => {
    const large = new Uint8Array(1024).fill(1)
    const small = new Uint8Array(1023).fill(2)
    const partitionData = [large, small, large].map((records, index) => ({ index, records }))
    const value = { acks: -1, topicData: [{ name: 'readings', partitionData }] }
    const chunks = encodeMessage(ProduceRequest, 11, value)
    expect(chunks.filter((chunk) => chunk === large)).toHaveLength(2)
    expect(chunks.length).toBe(5)
    const { value: decoded } = decodeMessage(ProduceRequest, 11, Buffer.concat(chunks))
    expect(decoded.topicData[0]?.partitionData.map(({ records }) => records)).toEqual([large, small, large])
  })

  it('leaves chunks that were handed out unchanged when more is written', () => {
    const kept: [Uint8Array[], string][] = []
    for (let index = 0; index < 3000; index++) {
      const chunks = encodeMessage(ProduceRequest, 9, {
        transactionalId: `producer ${index} ${'.'.repeat(index % 90)}`,
      })
      kept.push([chunks, Buffer.concat(chunks).toString('hex')])
    }
    expect(kept.every(([chunks, hex]) => Buffer.concat(chunks).toString('hex') === hex)).toBe(true)
  })

  it('grows with the message: ten thousand topics with long names in every script', () => {
    const topics = Array.from({ length: 10_000 }, (_, index) => ({
      name: `${'tøpic-温度-'.repeat(index % 9)}${index}`,
      partitions: [{ partitionIndex: index, replicaNodes: Array.from({ length: index % 50 }, (_, node) => node) }],
    }))
    for (const version of [8, 12]) {
      const { value } = decodeMessage(MetadataResponse, version, whole(MetadataResponse, version, { topics }))
      expect(value.topics.map(({ name }) => name)).toEqual(topics.map(({ name }) => name))
      expect(value.topics[9_999]?.partitions[0]?.replicaNodes).toHaveLength(49)
    }
  })

  it('sizes tagged fields of any length', () => {
    for (const count of [1, 9, 10, 11, 900, 5000]) {
      const nodeEndpoints = Array.from({ length: count }, (_, nodeId) => ({
        nodeId,
        host: 'h',
        port: 9092,
        rack: null,
      }))
      const { value } = decodeMessage(FetchResponse, 16, whole(FetchResponse, 16, { nodeEndpoints }))
      expect(value.nodeEndpoints).toEqual(nodeEndpoints)
    }
  })
})
