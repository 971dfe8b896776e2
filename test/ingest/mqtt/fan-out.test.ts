import { expect, it } from 'vitest'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import type { Reader } from '../../../src/ingest/mqtt/catch-up.ts'
import { FanOut } from '../../../src/ingest/mqtt/fan-out.ts'
import { headerNames } from '../../../src/ingest/mqtt/record-headers.ts'
import { scanRecords } from '../../../src/ingest/mqtt/record-scan.ts'
import { MqttSession } from '../../../src/ingest/mqtt/session.ts'
import type { SessionLink } from '../../../src/ingest/mqtt/session-types.ts'
import { SubscriptionIndex } from '../../../src/ingest/mqtt/subscription-index.ts'
import { TopicAliases } from '../../../src/ingest/mqtt/topic-aliases.ts'
import { batchHeaderBytes } from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'

const link = (sendWindow: number): SessionLink => ({
  level: 4,
  aliases: new TopicAliases(0),
  packetBytesMax: 1000,
  isWritable: true,
  sendWindow,
  sendPublish() {},
  sendRelease() {},
  flush() {},
  takeOver() {},
})

function sessionWith(clientId: string, sendWindow: number): MqttSession {
  const session = new MqttSession(clientId, {
    queuedMessagesMax: 1,
    queuedBytesMax: 10_000,
    queuedBytesTotalMax: 10_000,
    finishedIdsMax: 8192,
    queuedBytesTotal: 0,
    held: { queued: 0, inflight: 0 },
    onDrop() {},
    onRoom() {},
    onProgress() {},
    recordOutgoing: () => false,
  })
  session.attach(link(sendWindow), 0)
  return session
}

it('a record offered to those who are behind counts for whoever takes it, and not for who has no room', () => {
  const index = new SubscriptionIndex(10, 1000, () => {})
  const fanOut = new FanOut(index, { onDelivered() {}, onBehind() {}, commands: null })
  const roomy = sessionWith('roomy', 1)
  const narrow = sessionWith('narrow', 0)
  for (const session of [roomy, narrow]) {
    const rest = { noLocal: false, retainAsPublished: false, subscriptionId: 0, since: null }
    index.set({ session, filter: 'a/#', qos: 1, ...rest })
  }
  const headers = encodeHeaders([{ key: headerNames.qos, value: Buffer.from('1') }])
  const builder = new RecordBatchBuilder()
  for (const value of ['one', 'two']) builder.append(0, Buffer.from('a/x'), Buffer.from(value), headers)
  const batch = builder.build()
  const place = { partition: { topicId: 't', index: 0 } as Partition, offset: 0, wallMs: 0, summary: null }
  const full: Reader[] = []
  const taken: number[] = []
  scanRecords(batch, { start: batchHeaderBytes, end: batch.length, count: 2 }, (record) => {
    taken.push(fanOut.offerToAll(new Set([roomy, narrow]), batch, record, place, (reader) => full.push(reader)))
  })
  // The narrow one has a message waiting, and no place for a second.
  expect([taken, full]).toEqual([[2, 1], [narrow]])
})

it('a record that nobody takes at the live end is made for nobody, and one whose group does is', () => {
  const index = new SubscriptionIndex(10, 1000, () => {})
  const fanOut = new FanOut(index, { onDelivered() {}, onBehind() {}, commands: null })
  const taken: string[] = []
  const rest = { qos: 1, noLocal: false, retainAsPublished: false, subscriptionId: 0, since: null } as const
  const partition = { topicId: 't', index: 0 } as Partition
  const headers = encodeHeaders([{ key: headerNames.qos, value: Buffer.from('1') }])
  const builder = new RecordBatchBuilder()
  builder.append(0, Buffer.from('a/x'), Buffer.from('one'), headers)
  const batch = builder.build()
  const offer = (offset: number): void => {
    taken.length = 0
    scanRecords(batch, { start: batchHeaderBytes, end: batch.length, count: 1 }, (record) =>
      fanOut.offer(batch, record, { partition, offset, wallMs: 0, summary: null }),
    )
  }
  const subscribe = (name: string, filter: string): MqttSession => {
    const session = sessionWith(name, 10)
    session.attach({ ...link(10), sendPublish: () => void taken.push(name) }, 0)
    index.set({ session, filter, ...rest })
    fanOut.onSubscriptionsChanged()
    return session
  }
  const behind = subscribe('behind', 'a/#')
  behind.fallBehind(partition, 0)
  offer(1)
  expect(taken).toEqual([])
  subscribe('member', '$share/group/a/#')
  offer(2)
  expect(taken).toEqual(['member'])
  subscribe('live', 'a/x')
  offer(3)
  expect(taken).toEqual(['live', 'member'])
  behind.behind.delete(partition)
  offer(4)
  expect(taken).toEqual(['behind', 'live', 'member'])
})
