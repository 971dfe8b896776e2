/** The same input compacted by Apache Kafka and by us: the same records must be left, at the same offsets. */
import { strict as assert } from 'node:assert'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, kafkaTool, startApacheKafka } from '../apache-kafka.ts'
import { type InteropCase, lines, output, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'

const topics = [
  { name: 'plain', codec: 'none', deleteRetentionMs: 3_600_000 },
  { name: 'packed', codec: 'zstd', deleteRetentionMs: 3_600_000 },
  { name: 'hasty', codec: 'lz4', deleteRetentionMs: 1 },
] as const

/** Records of one round: the input and two that fill a segment. */
const roundRecords = 15_002

type Topic = (typeof topics)[number]

/** One of the two brokers. */
interface Site {
  readonly bootstrap: string
  readonly logDir: string
}

export const sameCompaction: InteropCase = {
  name: 'compaction leaves the records that Apache Kafka leaves, tombstones and all',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const configFile = join(folder, 'headwater.yaml')
    mkdirSync(folder, { recursive: true })
    writeFileSync(configFile, 'kafka:\n  log.cleaner.backoff.ms: 300\n')
    const apache = await startApacheKafka({
      dir: join(folder, 'kafka'),
      heap: '512m',
      properties: { 'log.cleaner.backoff.ms': 300, 'log.cleaner.dedupe.buffer.size': 16_777_216 },
    })
    const daemon = await startHeadwater({ dataDir: join(folder, 'data'), configFile })
    const sites: readonly Site[] = [
      { bootstrap: apache.bootstrap, logDir: apache.logDir },
      { bootstrap: daemon.kafka, logDir: join(folder, 'data', 'log') },
    ]
    try {
      for (const site of sites) for (const topic of topics) await create(site, topic)
      for (const round of [0, 1]) {
        for (const topic of topics) await compareRound(topic, round, sites)
      }
    } finally {
      await daemon.stop()
      await apache.stop()
    }
    await dump(join(folder, 'data', 'log'))
  },
}

async function compareRound(topic: Topic, round: number, sites: readonly Site[]): Promise<void> {
  const input = recordsOf(round * 1000 + topic.name.length)
  const ends: number[] = []
  for (const site of sites) ends.push(await fill(site, topic, round, input))
  assert.equal(ends[0], ends[1], 'both logs have the same offsets')
  const left: string[][] = []
  for (const site of sites) {
    const what = `${site.bootstrap} to compact ${topic.name} up to ${ends[0]}`
    await until(() => cleanedEnd(site, topic) === ends[0], 90_000, what)
    left.push(await read(site, topic))
  }
  // How many passes met the tombstones of this round is a matter of time; those of the round before have gone where nothing keeps them.
  const isHasty = topic.deleteRetentionMs === 1
  const isSettled = (line: string): boolean =>
    !isHasty || !isTombstone(line) || Number(line.split('|')[0]) < round * roundRecords
  const [theirs = [], ours = []] = left.map((each) => each.filter(isSettled))
  assert.ok(theirs.length < (ends[0] ?? 0) / 2, `${theirs.length} records are left of ${ends[0]}`)
  assert.equal(theirs.some(isTombstone), !isHasty, 'tombstones are there for their time')
  assert.deepEqual(ours, theirs)
}

function isTombstone(line: string): boolean {
  return line.split('|')[2] === '-1'
}

async function create(site: Site, topic: Topic): Promise<void> {
  const configs = {
    'cleanup.policy': 'compact',
    'segment.bytes': 1_048_576,
    'min.cleanable.dirty.ratio': 0.001,
    'delete.retention.ms': topic.deleteRetentionMs,
  }
  const created = await kafkaTool('org.apache.kafka.tools.TopicCommand', [
    ...['--bootstrap-server', site.bootstrap, '--create', '--topic', topic.name, '--partitions', '1'],
    ...Object.entries(configs).flatMap(([name, value]) => ['--config', `${name}=${value}`]),
  ])
  assert.equal(created.code, 0, created.stdout + created.stderr)
}

/** `key:value` lines; an empty value is a tombstone. */
function recordsOf(seed: number): string {
  let state = seed + 1
  const below = (bound: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state >>> 8) % bound
  }
  const text: string[] = []
  for (let index = 0; index < roundRecords - 2; index++) {
    const value = below(10) === 0 ? '' : `${index}-`.padEnd(40 + below(120), String(below(10_000)))
    text.push(`k${below(700)}:${value}`)
  }
  return `${text.join('\n')}\n`
}

/** Sends the input, then two records that fill a segment each, so that both brokers close their segments at one place: answers it. */
async function fill(site: Site, topic: Topic, round: number, input: string): Promise<number> {
  const send = [
    '-P',
    '-b',
    site.bootstrap,
    '-t',
    topic.name,
    '-p',
    '0',
    '-K',
    ':',
    '-Z',
    '-X',
    'enable.idempotence=true',
  ]
  await output('kcat', [...send, '-z', topic.codec, '-X', 'batch.num.messages=50'], { stdin: input })
  for (const name of ['first', 'second'])
    await output('kcat', send, { stdin: `filler${round}${name}:${'x'.repeat(900_000)}\n` })
  return (round + 1) * roundRecords - 1
}

/** How far the broker says that the topic is compacted. */
function cleanedEnd(site: Site, topic: Topic): number {
  const file = join(site.logDir, 'cleaner-offset-checkpoint')
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return Number(new RegExp(`^${topic.name} 0 (\\d+)$`, 'm').exec(text)?.[1] ?? -1)
}

/** `offset|key|length|value` of every record; of the large ones not the value. */
async function read(site: Site, topic: Topic): Promise<string[]> {
  const receive = ['-C', '-q', '-b', site.bootstrap, '-t', topic.name, '-p', '0', '-o', 'beginning', '-e']
  const text = await output('kcat', [...receive, '-f', '%o|%k|%S|%s\\n'])
  return lines(text).map((line) => line.slice(0, 400))
}

async function dump(logs: string): Promise<void> {
  const files = readdirSync(logs, { recursive: true, encoding: 'utf8' })
    .filter((name) => topics.some((topic) => name.startsWith(`${topic.name}-0/`)))
    .map((name) => join(logs, name))
  for (const [flags, suffixes] of [
    [['--deep-iteration', '--print-data-log'], ['.log']],
    [['--index-sanity-check'], ['.index', '.timeindex']],
  ] as const) {
    const chosen = files.filter((name) => suffixes.some((suffix) => name.endsWith(suffix)))
    const args = [...flags, '--files', chosen.join(',')]
    const dumped = await kafkaTool('org.apache.kafka.tools.DumpLogSegments', args)
    assert.equal(dumped.code, 0, dumped.stderr)
    assert.doesNotMatch(dumped.stdout, /isvalid: false|Found timestamp mismatch|Index position|missing/i)
  }
}
