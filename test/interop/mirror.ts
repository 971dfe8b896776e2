/**
 * The mirror against a real Apache Kafka: records in five codecs and many batch sizes go in while both sides are killed again and
 * again; then every partition of the central topic must hold what the source partition holds, in order, nothing missing, nothing twice.
 *
 *   node test/interop/mirror.ts [--records 100000] [--kills 3] [--seed 1] [--keep]
 */
import { strict as assert } from 'node:assert'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts'
import { Prng } from '../sim/prng.ts'
import { type ApacheKafka, apacheKafkaMissing, kafkaTool, startApacheKafka } from './apache-kafka.ts'
import { type InteropCase, lines, program, until } from './case.ts'
import { hasPrograms } from './foreign.ts'
import { freePort, type RunningHeadwater, startHeadwater } from './headwater.ts'

const partitions = 4
const topics = ['sensors', 'plc.line1'] as const
const codecs = ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** Producers that are run one after the other, two at a time. */
const producerRuns = 16
const restDeadlineMs = 180_000

export interface MirrorTrial {
  readonly records: number
  /** Of each side. */
  readonly kills: number
  readonly seed: number
}

export const mirrorToApacheKafka: InteropCase = {
  name: 'a mirror brings every record to a real Apache Kafka once and in order, whoever is killed on the way',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  run: (folder) => runMirrorTrial(folder, { records: 100_000, kills: 3, seed: 1 }),
}

/** Throws when a record is missing, doubled, changed or out of order. */
export async function runMirrorTrial(folder: string, trial: MirrorTrial): Promise<void> {
  const central = await startApacheKafka({ dir: join(folder, 'central') })
  const edge = await Edge.start(folder, central)
  try {
    await Promise.all([produceAll(edge, trial), killBoth(edge, central, trial)])
    await until(async () => (await edge.lag()) === 0, restDeadlineMs, 'the mirror to have nothing left to send')
    let records = 0
    for (const topic of topics) records += await compareTopic(edge.running.kafka, central.bootstrap, topic)
    assert.equal(records, trial.records, 'records that the producer was told are stored')
  } finally {
    await edge.running.stop()
    await central.stop()
  }
}

/** The daemon under test, on ports that survive its restarts. */
class Edge {
  running: RunningHeadwater
  readonly #options: Parameters<typeof startHeadwater>[0]

  private constructor(running: RunningHeadwater, options: Parameters<typeof startHeadwater>[0]) {
    this.running = running
    this.#options = options
  }

  static async start(folder: string, central: ApacheKafka): Promise<Edge> {
    const dataDir = join(folder, 'edge')
    mkdirSync(dataDir)
    const configFile = join(folder, 'edge.yaml')
    writeFileSync(
      configFile,
      [
        'node: { id: 1, site: plant-7 }',
        `kafka: { num.partitions: ${partitions}, log.segment.bytes: 16777216 }`,
        'mirrors:',
        '  - name: central',
        `    bootstrapServers: [ "${central.bootstrap}" ]`,
        '    topics: [ "sensors", "plc\\\\..*" ]',
        '    targetTopic: "{site}.{topic}"',
        '    backOffMax: 2s',
        '',
      ].join('\n'),
    )
    const options = {
      dataDir,
      configFile,
      kafkaPort: await freePort(),
      httpPort: await freePort(),
      logFile: join(folder, 'edge.log'),
    }
    return new Edge(await startHeadwater(options), options)
  }

  async killAndRestart(): Promise<void> {
    await this.running.kill()
    this.running = await startHeadwater(this.#options)
  }

  /** Records that the central cluster has not confirmed; -1 while that cannot be told. */
  async lag(): Promise<number> {
    const mirror = await this.#mirror()
    return mirror === null || mirror.partitions.length < topics.length * partitions ? -1 : mirror.lagRecords
  }

  /** Records that it has confirmed; 0 while that cannot be told. */
  async mirrored(): Promise<number> {
    const mirror = await this.#mirror()
    return mirror?.partitions.reduce((sum, partition) => sum + partition.mirroredEndOffset, 0) ?? 0
  }

  async #mirror(): Promise<MirrorStatus | null> {
    try {
      const answer = await fetch(`http://${this.running.http}/api/status`)
      const { mirrors } = (await answer.json()) as { mirrors: MirrorStatus[] }
      return mirrors[0] ?? null
    } catch {
      return null
    }
  }
}

/** Runs of Kafka's console producer (idempotent), two at a time, of every codec and of batches from a few records to thousands. */
async function produceAll(edge: Edge, trial: MirrorTrial): Promise<void> {
  const prng = new Prng(trial.seed, 'produce')
  const linesPerRun = Math.ceil(trial.records / producerRuns)
  let next = 0
  const run = async (): Promise<void> => {
    while (next < trial.records) {
      const first = next
      next += linesPerRun
      const text: string[] = []
      for (let id = first; id < Math.min(next, trial.records); id++) {
        text.push(`key-${prng.below(1_000)}\t${id} ${'x'.repeat(prng.below(300))}`)
      }
      const topic = topics[Math.floor(first / linesPerRun) % topics.length] ?? topics[0]
      const settings = [
        `linger.ms=${prng.pick([0, 1, 5, 50])}`,
        `batch.size=${prng.pick([500, 16_384, 16_384, 400_000])}`,
      ]
      await produceRun(edge.running.kafka, topic, text, [...settings, `compression.type=${prng.pick(codecs)}`])
    }
  }
  await Promise.all([run(), run()])
}

async function produceRun(
  bootstrap: string,
  topic: string,
  text: readonly string[],
  settings: readonly string[],
): Promise<void> {
  const properties = ['delivery.timeout.ms=120000', 'request.timeout.ms=10000', 'max.block.ms=60000', ...settings]
  const result = await kafkaTool(
    'org.apache.kafka.tools.ConsoleProducer',
    [
      ...['--bootstrap-server', bootstrap, '--topic', topic, '--reader-property', 'parse.key=true'],
      ...properties.flatMap((property) => ['--command-property', property]),
    ],
    { stdin: `${text.join('\n')}\n`, timeoutMs: 180_000 },
  )
  assert.equal(result.code, 0, `the console producer: ${result.stderr}${result.stdout}`)
}

/** Kills one side and then the other, each time when the mirror has brought some more over. */
async function killBoth(edge: Edge, central: ApacheKafka, trial: MirrorTrial): Promise<void> {
  const prng = new Prng(trial.seed, 'kill')
  const share = Math.floor(trial.records / (trial.kills * 4))
  let last = 0
  for (let kill = 0; kill < trial.kills * 2; kill++) {
    const wanted = Math.min(last + share, trial.records)
    const deadline = Date.now() + 20_000
    await until(async () => (last = await edge.mirrored()) >= wanted || Date.now() > deadline, 30_000, 'progress')
    const goOnAt = Date.now() + prng.below(200)
    await until(() => Date.now() >= goOnAt, 5_000, 'the next kill')
    if (kill % 2 === 0) await edge.killAndRestart()
    else {
      await central.kill()
      await central.restart()
    }
  }
}

async function compareTopic(edge: string, central: string, topic: string): Promise<number> {
  const ids = new Set<number>()
  let records = 0
  for (let partition = 0; partition < partitions; partition++) {
    const [source, target] = await Promise.all([
      readPartition(edge, topic, partition),
      readPartition(central, `plant-7.${topic}`, partition),
    ])
    const at = `${topic}-${partition}`
    const differs = source.findIndex((line, index) => line !== target[index])
    assert.equal(differs, -1, `${at}: record ${differs} is ${source[differs]} here and ${target[differs]} there`)
    assert.equal(target.length, source.length, `${at}: ${source.length} records here, ${target.length} there`)
    records += source.length
    for (const line of source) ids.add(Number(line.split('\t')[3]?.split(' ')[0]))
  }
  assert.equal(ids.size, records, `${topic}: ${records - ids.size} records are twice in the source itself`)
  console.log(`  ${topic}: ${records} records equal in ${partitions} partitions`)
  return records
}

/** One line a record: timestamp, key, headers, value. */
async function readPartition(bootstrap: string, topic: string, partition: number): Promise<string[]> {
  const format = '%T\t%k\t%h\t%s\n'
  const args = [
    '-C',
    '-b',
    bootstrap,
    '-t',
    topic,
    '-p',
    String(partition),
    '-o',
    'beginning',
    '-e',
    '-q',
    '-f',
    format,
  ]
  const result = await program('kcat', [...args, '-X', 'check.crcs=true'], { timeoutMs: 120_000 })
  assert.equal(result.code, 0, `kcat: ${result.stderr}`)
  return lines(result.stdout)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      records: { type: 'string', default: '100000' },
      kills: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      keep: { type: 'boolean', default: false },
    },
  })
  const missing = mirrorToApacheKafka.missing()
  if (missing !== null) {
    console.log(missing)
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'headwater-mirror-'))
  const startedAt = performance.now()
  await runMirrorTrial(folder, {
    records: Number(values.records),
    kills: Number(values.kills),
    seed: Number(values.seed),
  })
  console.log(
    `ok ${values.records} records, ${values.kills} kills of each side, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
  )
  if (!values.keep) rmSync(folder, { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
