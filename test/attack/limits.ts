/** Many files under a hard limit of descriptors, and a node that has nothing to do. */
import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { fetchApi, listOffsetsApi, produceApi } from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import type { RunningHeadwater } from '../interop/headwater.ts'
import { batchOfValues } from './batch-bytes.ts'
import { startDaemon } from './command.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { descriptorsOf, inputOutputOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { type Group, type OpenGroup, pause, type Row } from './row.ts'

const topic = 'many'
const partitions = 1_000
const segments = 20
/** Segments that are made by writing. */
const rounds = 2
const descriptorsMax = 1_024
/** Every batch fills the index of its segment, so that each has a segment of its own. */
const segmentABatch = { 'index.interval.bytes': '0', 'segment.index.bytes': '8' }
const idleMs = 20_000

export const limits: Group = {
  name: 'limits',
  async open(folder): Promise<OpenGroup> {
    return { rows: [...descriptorRows(join(folder, 'many'))], close: async () => {} }
  },
}

export const idle: Group = {
  name: 'idle',
  async open(folder): Promise<OpenGroup> {
    return { rows: [idleRow(join(folder, 'idle'))], close: async () => {} }
  },
}

function descriptorRows(dataDir: string): readonly Row[] {
  const missing =
    spawnSync('prlimit', ['--version']).status === 0
      ? null
      : 'skipped: no prlimit on the PATH (Debian: apt-get install util-linux)'
  const logFile = `${dataDir}.log`
  const start = (): Promise<RunningHeadwater> =>
    startDaemon({
      dataDir,
      logFile,
      prefix: ['prlimit', `--nofile=${descriptorsMax}:${descriptorsMax}`],
      readyWithinMs: 60_000,
    })
  const expectServes = async (serving: RunningHeadwater, batchesBefore: number): Promise<void> => {
    const talk = await KafkaTalk.connect(serving.kafka)
    assert.deepEqual(new Set(await endOffsets(talk)), new Set([batchesBefore]), 'the ends of all partitions')
    await produceRound(talk, batchesBefore)
    for (let partition = 0; partition < partitions; partition += 97) {
      const read = await talk.readAll(topic, partition)
      assert.deepEqual(
        read.map(({ value }) => value),
        Array.from({ length: batchesBefore + 1 }, (_, round) => valueOf(round, partition)),
      )
    }
    await readSegmentsOfAll(talk)
    talk.close()
    assert.doesNotMatch(readFileSync(logFile, 'utf8'), /EMFILE|ENFILE|directory-failed/)
  }
  return [
    {
      name: `${partitions} partitions are made, written and rolled with at most ${descriptorsMax} descriptors`,
      missing,
      async run() {
        const daemon = await start()
        const talk = await KafkaTalk.connect(daemon.kafka)
        assert.equal(await talk.createTopic(topic, partitions, segmentABatch), 'NONE')
        for (let round = 0; round < rounds; round++) await produceRound(talk, round)
        talk.close()
        assert.equal(await daemon.stop(), 0)
        for (let partition = 0; partition < partitions; partition++) cloneSegments(dataDir, partition)
        // It knows better where the logs end: what stands behind that would be taken for damage.
        rmSync(join(dataDir, 'state', 'recovery-points'))
        rmSync(join(dataDir, 'log', 'recovery-point-offset-checkpoint'))
      },
    },
    {
      name: `${partitions} partitions with ${segments} segments each: started on, read, written, and served to 300 connections`,
      missing,
      async run() {
        const daemon = await start()
        const others = await Promise.all(Array.from({ length: 300 }, () => RawClient.connect(daemon.kafka)))
        await expectServes(daemon, segments)
        assert.ok(descriptorsOf(daemon.pid) <= descriptorsMax)
        for (const client of others) client.destroy()
        await daemon.kill()
      },
    },
    {
      name: '... and the same after a kill',
      missing,
      async run() {
        const daemon = await start()
        await expectServes(daemon, segments + 1)
        assert.equal(await daemon.stop(), 0)
      },
    },
  ]
}

/**
 * Makes segments behind the last one by copies of the first: its only batch with another base offset, which its CRC does not cover. Its
 * index entries count from there. Rolling each through the daemon would take a minute.
 */
function cloneSegments(dataDir: string, partition: number): void {
  const folder = join(dataDir, 'log', `${topic}-${partition}`)
  const nameOf = (baseOffset: number): string => join(folder, String(baseOffset).padStart(20, '0'))
  const batch = readFileSync(`${nameOf(0)}.log`)
  const indexes = ['.index', '.timeindex'].map((kind) => ({ kind, bytes: readFileSync(nameOf(0) + kind) }))
  for (let baseOffset = rounds; baseOffset < segments; baseOffset++) {
    batch.writeBigInt64BE(BigInt(baseOffset), 0)
    writeFileSync(`${nameOf(baseOffset)}.log`, batch)
    for (const { kind, bytes } of indexes) writeFileSync(nameOf(baseOffset) + kind, bytes)
  }
}

async function produceRound(talk: KafkaTalk, round: number): Promise<void> {
  const partitionData = Array.from({ length: partitions }, (_, index) => ({
    index,
    records: batchOfValues([valueOf(round, index)]),
  }))
  const topicData = [{ name: topic, partitionData }]
  const answer = await talk.ask(produceApi, { acks: -1, timeoutMs: 30_000, topicData }, 12)
  const errors = new Set(answer.responses[0]?.partitionResponses.map(({ errorCode }) => errorCode))
  assert.deepEqual(errors, new Set([0]), `round ${round}`)
}

/** Copied segments hold what the first one holds. */
function valueOf(round: number, partition: number): string {
  return `round-${round < rounds || round >= segments ? round : 0}-partition-${partition}`
}

async function endOffsets(talk: KafkaTalk): Promise<number[]> {
  const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 }))
  const answer = await talk.ask(listOffsetsApi, { replicaId: -1, topics: [{ name: topic, partitions: asked }] }, 6)
  return answer.topics[0]?.partitions.map(({ offset }) => offset) ?? []
}

/** One Fetch a segment number over all partitions: every file is opened once. */
async function readSegmentsOfAll(talk: KafkaTalk): Promise<void> {
  for (let segment = 0; segment < segments; segment += 5) {
    const asked = Array.from({ length: partitions }, (_, partition) => ({
      partition,
      fetchOffset: segment,
      partitionMaxBytes: 1_000,
    }))
    const request = { maxWaitMs: 10_000, minBytes: 1, maxBytes: 50_000_000, topics: [{ topic, partitions: asked }] }
    const answer = await talk.ask(fetchApi, request, 12)
    const read = answer.responses[0]?.partitions ?? []
    assert.equal(read.length, partitions)
    assert.ok(
      read.every(({ errorCode, records }) => errorCode === 0 && (records?.length ?? 0) > 0),
      `segment ${segment}`,
    )
  }
}

// ------------------------------------------------------------------------------------------------- idle

function idleRow(dataDir: string): Row {
  return {
    name: `a node with idle clients writes nothing for ${idleMs / 1000} s: no bytes, no commits, no file touched`,
    async run() {
      const daemon = await startDaemon({ dataDir })
      const talk = await KafkaTalk.connect(daemon.kafka)
      assert.equal(await talk.createTopic('quiet', 3), 'NONE')
      assert.equal((await talk.produce('quiet', 0, batchOfValues(['last']))).error, 'NONE')
      const subscriber = await connectAsync(`mqtt://${daemon.mqtt}`, { clientId: 'idle', keepalive: 0 })
      await subscriber.subscribeAsync('quiet/#', { qos: 1 })
      await subscriber.publishAsync('quiet/a', 'last', { qos: 1 })
      const waiting = await RawClient.connect(daemon.kafka)
      const asked = [{ partition: 1, fetchOffset: 0, partitionMaxBytes: 1_000 }]
      const request = { maxWaitMs: idleMs * 3, minBytes: 1, topics: [{ topic: 'quiet', partitions: asked }] }
      waiting.send(...encodeRequest(fetchApi, 12, 1, 'idle', request))
      // What was acknowledged goes to its files; then there is nothing left to do.
      await pause(2_000)
      const before = await factsOf(daemon, dataDir)
      await pause(idleMs)
      const after = await factsOf(daemon, dataDir)
      waiting.destroy()
      talk.close()
      await subscriber.endAsync(true)
      assert.equal(await daemon.stop(), 0)
      assert.equal(after.writtenBytes - before.writtenBytes, 0, 'bytes written')
      assert.ok(after.workerBytes - before.workerBytes < 1_024, 'bytes that pass through the threads of files')
      assert.equal(after.commits, before.commits, 'commits')
      assert.deepEqual(after.files, before.files)
    },
  }
}

async function factsOf(daemon: RunningHeadwater, dataDir: string) {
  const status = (await (await fetch(`http://${daemon.http}/api/status`)).json()) as {
    readonly commit: { readonly commits: number }
  }
  return { ...inputOutputOf(daemon.pid), commits: status.commit.commits, files: filesOf(dataDir) }
}

/** Each file with its size and the time of its last change. */
function filesOf(dataDir: string): readonly string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const { size, mtimeMs } = statSync(join(dataDir, name))
      return `${name} ${size} ${mtimeMs}`
    })
}
