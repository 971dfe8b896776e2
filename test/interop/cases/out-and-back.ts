/** The way out and back: a stopped Headwater is opened by a real Apache Kafka, which writes, and what Kafka leaves is opened again. */
import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'
import { openedByKafka } from '../kafka-opens.ts'

const partitions = 3
const perRun = 200
const consumerGroups = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'

export const outAndBack: InteropCase = {
  name: 'a stopped Headwater is opened by Apache Kafka with everything in it, and what Kafka leaves is opened again',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const place = new Place(folder)
    for (const round of [1, 2]) {
      await place.fill(round)
      await place.throughKafka(round)
    }
    await place.check('after the last round', 4 * perRun, 4)
  },
}

class Place {
  readonly #folder: string
  readonly #dataDir: string

  constructor(folder: string) {
    this.#folder = folder
    this.#dataDir = join(folder, 'data')
  }

  /** Headwater: topics, settings, records of several producers, a group's offsets. */
  async fill(round: number): Promise<void> {
    const daemon = await startHeadwater({ dataDir: this.#dataDir, logFile: join(this.#folder, 'headwater.log') })
    try {
      if (round === 1) {
        const at = ['--bootstrap-server', daemon.kafka]
        const wide = ['--partitions', String(partitions), '--config', 'retention.ms=7200000']
        await headwater(['topics', 'create', 'readings', ...at, ...wide])
        await headwater(['topics', 'create', 'doomed', ...at])
        await headwater(['topics', 'delete', 'doomed', ...at])
        await headwater(['topics', 'create', 'shortened', ...at])
        await this.#deleteRecords(daemon.kafka, 'shortened')
      } else {
        await checkContents(daemon.kafka, 2 * perRun, 2)
        assert.match(await describeTopic(daemon.kafka, 'made-by-kafka'), /PartitionCount: 2\b.*segment\.bytes=2097152/)
        assert.match(await describeTopic(daemon.kafka, 'made-by-kafka'), /Leader: 1/)
        for (const topic of ['made-by-kafka', 'shortened'])
          assert.equal((await readAll(daemon.kafka, topic)).length, 6, `what was deleted of ${topic} stays deleted`)
      }
      await produce(daemon.kafka, `headwater-${round}`)
      await readAsGroup(daemon.kafka, round === 1 ? perRun : 2 * perRun - half)
    } finally {
      assert.equal(await daemon.stop(), 0)
    }
  }

  async throughKafka(round: number): Promise<void> {
    const metadata = join(this.#dataDir, 'log', '__cluster_metadata-0')
    const hasSnapshot = (): boolean => readdirSync(metadata).some((name) => name.endsWith('.checkpoint'))
    const bootstrap = join(this.#dataDir, 'log', 'bootstrap.checkpoint')
    let written = Buffer.alloc(0)
    const onReadied = (): void => {
      assert.ok(hasSnapshot(), 'a metadata snapshot of ours is there')
      written = readFileSync(bootstrap)
    }
    const place = { folder: join(this.#folder, 'kafka'), dataDir: this.#dataDir, settings: hurried, onReadied }
    await openedByKafka(place, async (address) => {
      await checkContents(address, (2 * round - 1) * perRun, 2 * round - 1)
      assert.match(await describeTopic(address, 'readings'), /retention\.ms=7200000/)
      assert.deepEqual(await readAll(address, 'shortened'), ['r4', 'r5', 'r6', 'r7', 'r8', 'r9'])
      await produce(address, `kafka-${round}`)
      if (round === 1) {
        const args = ['--bootstrap-server', address, '--create', '--topic', 'made-by-kafka', '--partitions', '2']
        const made = await kafkaTool('org.apache.kafka.tools.TopicCommand', [
          ...args,
          '--config',
          'segment.bytes=2097152',
        ])
        assert.equal(made.code, 0, made.stdout + made.stderr)
        await this.#deleteRecords(address, 'made-by-kafka')
      }
      await readAsGroup(address, half)
    })
    assert.deepEqual(readFileSync(bootstrap), written, 'Kafka has read what a formatting gives, and left it')
    cutMetadataLog(metadata)
  }

  /** Ten records in a partition, the first four of them deleted. */
  async #deleteRecords(bootstrap: string, topic: string): Promise<void> {
    const stdin = `${Array.from({ length: 10 }, (_, at) => `r${at}`).join('\n')}\n`
    await output('kcat', ['-P', '-b', bootstrap, '-t', topic, '-p', '0'], { stdin })
    const plan = join(this.#folder, 'delete.json')
    const partitions = [{ topic, partition: 0, offset: 4 }]
    writeFileSync(plan, JSON.stringify({ partitions, version: 1 }))
    const args = ['--bootstrap-server', bootstrap, '--offset-json-file', plan]
    const deleted = await kafkaTool('org.apache.kafka.tools.DeleteRecordsCommand', args)
    assert.match(deleted.stdout, /low_watermark: 4/)
  }

  async check(when: string, records: number, producers: number): Promise<void> {
    const daemon = await startHeadwater({ dataDir: this.#dataDir, logFile: join(this.#folder, 'headwater.log') })
    try {
      await checkContents(daemon.kafka, records, producers)
      await produce(daemon.kafka, 'afterwards')
    } catch (error) {
      throw new Error(`${when}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    } finally {
      assert.equal(await daemon.stop(), 0)
    }
  }
}

/** Of each round of Kafka's, the group reads half. */
const half = perRun / 2

/** Snapshots of the metadata after every few records, and a metadata log that is cut behind them, in seconds instead of hours. */
const hurried = [
  'metadata.log.max.record.bytes.between.snapshots=1',
  'metadata.max.retention.ms=1000',
  'metadata.log.segment.ms=1000',
  'broker.session.timeout.ms=2000',
  'broker.heartbeat.interval.ms=500',
  '',
].join('\n')

async function produce(bootstrap: string, prefix: string): Promise<void> {
  const values = Array.from({ length: perRun }, (_, at) => `${prefix}-${at}`)
  const args = ['-P', '-b', bootstrap, '-t', 'readings', '-z', 'lz4', '-X', 'enable.idempotence=true']
  await output('kcat', args, { stdin: `${values.join('\n')}\n` })
}

async function readAsGroup(bootstrap: string, count: number): Promise<void> {
  const args = [
    '-b',
    bootstrap,
    '-q',
    '-c',
    String(count),
    '-X',
    'auto.offset.reset=earliest',
    '-G',
    'plant',
    'readings',
  ]
  const read = lines(await output('kcat', args))
  assert.equal(read.length, count, 'what the group has left to read')
}

/** Every record of every run is there once, every producer is known, and the group stands where it stood. */
async function checkContents(bootstrap: string, records: number, runs: number): Promise<void> {
  const values = await readAll(bootstrap, 'readings')
  assert.equal(values.length, records)
  assert.equal(new Set(values).size, records)
  const lagging = await kafkaTool(consumerGroups, ['--bootstrap-server', bootstrap, '--describe', '--group', 'plant'])
  const lags = [...lagging.stdout.matchAll(/^plant\s+readings\s+\d+\s+(\d+)\s+(\d+)/gm)]
  assert.ok(lags.length > 0, lagging.stdout + lagging.stderr)
  const producers = new Set<string>()
  for (let partition = 0; partition < partitions; partition++) {
    const at = ['--bootstrap-server', bootstrap, 'describe-producers', '--topic', 'readings']
    const { stdout } = await kafkaTool('org.apache.kafka.tools.TransactionsCommand', [
      ...at,
      '--partition',
      String(partition),
    ])
    for (const [, id] of stdout.matchAll(/^(\d+)\s/gm)) producers.add(id as string)
  }
  assert.equal(producers.size, runs, `producers: ${[...producers].join(' ')}`)
}

async function readAll(bootstrap: string, topic: string): Promise<string[]> {
  return lines(await output('kcat', ['-C', '-b', bootstrap, '-t', topic, '-q', '-e', '-o', 'beginning']))
}

/**
 * What Kafka does with its metadata log after a minute or more: everything in front of a snapshot goes. The newest segment that a
 * snapshot stands in front of becomes the first.
 */
function cutMetadataLog(folder: string): void {
  const names = readdirSync(folder)
  const snapshots = new Set(names.flatMap((name) => /^(\d{20})-\d{10}\.checkpoint$/.exec(name)?.[1] ?? []))
  const bases = names.flatMap((name) => /^(\d{20})\.log$/.exec(name)?.[1] ?? [])
  const first = bases
    .filter((base) => snapshots.has(base))
    .toSorted()
    .at(-1)
  assert.ok(first !== undefined && Number(first) > 0, `a segment begins at a snapshot: ${names.join(' ')}`)
  for (const name of names) if (/^\d{20}[.-]/.test(name) && name.slice(0, 20) < first) rmSync(join(folder, name))
}

async function describeTopic(bootstrap: string, topic: string): Promise<string> {
  const args = ['--bootstrap-server', bootstrap, '--describe', '--topic', topic]
  return (await kafkaTool('org.apache.kafka.tools.TopicCommand', args)).stdout
}
