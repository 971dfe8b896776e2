/**
 * A data directory with a past: several segments, idempotent producers, deleted records, committed offsets, two leader epochs. And the
 * check, on a daemon that was started on a copy of it, that all of it is still true.
 */
import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  deleteRecordsApi,
  initProducerIdApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  offsetForLeaderEpochApi,
} from '../../src/protocol/kafka/apis.ts'
import { errorName } from '../../src/protocol/kafka/error-codes.ts'
import type { RunningHeadwater } from '../interop/headwater.ts'
import { batchOfValues } from './batch-bytes.ts'
import { startDaemon } from './command.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { pause, until } from './row.ts'

export const historyTopic = 'past'
export const historyPartitions = 8
/** Batches of each partition, of two records each; an index of 24 bytes closes a segment after three. */
const batches = 10
const recordsInBatch = 2
const shortSegments = { 'index.interval.bytes': '0', 'segment.index.bytes': '24' }
const deletedBelow = 3
const group = 'readers'

export interface History {
  readonly dataDir: string
  readonly topicId: string
  readonly producerId: number
  readonly epochEnds: readonly EpochEnd[]
}

interface EpochEnd {
  readonly leaderEpoch: number
  readonly endOffset: number
}

/** Makes the past, and ends the daemon cleanly or by SIGKILL once everything acknowledged is with the kernel. */
export async function makeHistory(dataDir: string, end: 'stop' | 'kill'): Promise<History> {
  let daemon = await startDaemon({ dataDir })
  let talk = await KafkaTalk.connect(daemon.kafka)
  assert.equal(await talk.createTopic(historyTopic, historyPartitions, shortSegments), 'NONE')
  const { producerId } = await talk.ask(initProducerIdApi, { transactionalId: null, transactionTimeoutMs: 0 })
  for (let index = 0; index < batches / 2; index++) await produceRound(talk, producerId, index)
  talk.close()
  await daemon.kill()
  daemon = await startDaemon({ dataDir })
  talk = await KafkaTalk.connect(daemon.kafka)
  for (let index = batches / 2; index < batches; index++) await produceRound(talk, producerId, index)
  const history = {
    dataDir,
    producerId,
    topicId: await topicIdOf(talk),
    epochEnds: [await epochEndOf(talk, 0), await epochEndOf(talk, 1)],
  }
  await deleteAndCommit(talk)
  talk.close()
  await settledOnDisk(dataDir, daemon)
  if (end === 'stop') assert.equal(await daemon.stop(), 0)
  else await daemon.kill()
  return history
}

/** Throws when the daemon does not serve that past, or does not go on from it. */
export async function expectHistory(history: History, daemon: RunningHeadwater): Promise<void> {
  const talk = await KafkaTalk.connect(daemon.kafka)
  try {
    assert.equal(await topicIdOf(talk), history.topicId, 'the topic id')
    for (let partition = 0; partition < historyPartitions; partition++) {
      await expectPartition(talk, history, partition)
    }
    const fetched = await talk.ask(offsetFetchApi, {
      groups: [{ groupId: group, topics: [{ name: historyTopic, partitionIndexes: [0, 7] }] }],
    })
    const committed = fetched.groups[0]?.topics[0]?.partitions.map(({ committedOffset }) => committedOffset)
    assert.deepEqual(committed, [11, 12], 'committed offsets')
  } finally {
    talk.close()
  }
}

async function expectPartition(talk: KafkaTalk, history: History, partition: number): Promise<void> {
  const what = `${historyTopic}-${partition}`
  const start = partition === 0 ? deletedBelow : 0
  const read = await talk.readAll(historyTopic, partition)
  const expected = Array.from({ length: batches * recordsInBatch }, (_, offset) => valueAt(partition, offset))
  assert.deepEqual(
    read.map(({ offset, value }) => `${offset} ${value}`),
    expected.map((value, offset) => `${offset} ${value}`).slice(start),
    `records of ${what}`,
  )
  for (const { leaderEpoch, endOffset } of history.epochEnds) {
    assert.deepEqual(await epochEndOf(talk, leaderEpoch, partition), { leaderEpoch, endOffset }, `epoch of ${what}`)
  }
  const repeated = await talk.produce(
    historyTopic,
    partition,
    idempotentBatch(partition, history.producerId, batches - 1),
  )
  const lastBase = (batches - 1) * recordsInBatch
  assert.deepEqual([repeated.error, repeated.baseOffset], ['NONE', lastBase], `a repeated batch of ${what}`)
  const next = await talk.produce(historyTopic, partition, idempotentBatch(partition, history.producerId, batches))
  assert.deepEqual([next.error, next.baseOffset], ['NONE', lastBase + recordsInBatch], `the next batch of ${what}`)
}

async function produceRound(talk: KafkaTalk, producerId: number, index: number): Promise<void> {
  for (let partition = 0; partition < historyPartitions; partition++) {
    const answer = await talk.produce(historyTopic, partition, idempotentBatch(partition, producerId, index))
    assert.deepEqual([answer.error, answer.baseOffset], ['NONE', index * recordsInBatch])
  }
}

function idempotentBatch(partition: number, producerId: number, index: number): Buffer {
  const first = index * recordsInBatch
  const values = Array.from({ length: recordsInBatch }, (_, record) => valueAt(partition, first + record))
  return batchOfValues(values, { producerId: BigInt(producerId), producerEpoch: 0, baseSequence: first })
}

function valueAt(partition: number, offset: number): string {
  return `p${partition}-${offset}-${'v'.repeat(40)}`
}

async function deleteAndCommit(talk: KafkaTalk): Promise<void> {
  const deletion = [{ name: historyTopic, partitions: [{ partitionIndex: 0, offset: deletedBelow }] }]
  const deleted = await talk.ask(deleteRecordsApi, { topics: deletion, timeoutMs: 10_000 })
  assert.equal(errorName(deleted.topics[0]?.partitions[0]?.errorCode ?? -1), 'NONE')
  const partitions = [
    { partitionIndex: 0, committedOffset: 11, committedMetadata: null },
    { partitionIndex: 7, committedOffset: 12, committedMetadata: null },
  ]
  for (;;) {
    const commit = { groupId: group, memberId: '', topics: [{ name: historyTopic, partitions }] }
    const answer = await talk.ask(offsetCommitApi, commit)
    const error = errorName(answer.topics[0]?.partitions[0]?.errorCode ?? -1)
    if (error === 'NONE') return
    assert.ok(['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR'].includes(error), error)
    await pause(50)
  }
}

async function topicIdOf(talk: KafkaTalk): Promise<string> {
  const answer = await talk.ask(metadataApi, { topics: [{ name: historyTopic }], allowAutoTopicCreation: false })
  return answer.topics[0]?.topicId ?? ''
}

async function epochEndOf(talk: KafkaTalk, leaderEpoch: number, partition = 1): Promise<EpochEnd> {
  const topics = [{ topic: historyTopic, partitions: [{ partition, leaderEpoch }] }]
  const answer = await talk.ask(offsetForLeaderEpochApi, { replicaId: -1, topics })
  const found = answer.topics[0]?.partitions[0]
  return { leaderEpoch: found?.leaderEpoch ?? -2, endOffset: found?.endOffset ?? -2 }
}

/** Waits until the segment files hold what was acknowledged and nothing is written any more: then the kernel has it, whatever comes. */
async function settledOnDisk(dataDir: string, daemon: RunningHeadwater): Promise<void> {
  const state = (): string => {
    const written = /^wchar: (\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/io`, 'utf8'))?.[1]
    const log = join(dataDir, 'log')
    const sizes = readdirSync(log, { recursive: true, encoding: 'utf8' }).map((name) => statSync(join(log, name)).size)
    return `${written} ${sizes.join()}`
  }
  let last = ''
  await until(
    async () => {
      const before = last
      last = state()
      await pause(200)
      return before === last
    },
    10_000,
    'the daemon to have written everything',
  )
}
