/** Apache Kafka's own command-line tools, used as the tutorials use them. */
import { strict as assert } from 'node:assert'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'

const tools = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  configs: 'kafka.admin.ConfigCommand',
  groups: 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  getOffsets: 'org.apache.kafka.tools.GetOffsetShell',
  apiVersions: 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  deleteRecords: 'org.apache.kafka.tools.DeleteRecordsCommand',
  logDirs: 'org.apache.kafka.tools.LogDirsCommand',
  cluster: 'org.apache.kafka.tools.ClusterTool',
  transactions: 'org.apache.kafka.tools.TransactionsCommand',
  consoleConsumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  dumpLog: 'org.apache.kafka.tools.DumpLogSegments',
} as const

async function tool(name: keyof typeof tools, args: readonly string[]): Promise<string> {
  const result = await kafkaTool(tools[name], args)
  assert.equal(result.code, 0, `${name} ${args.join(' ')}\n${result.stdout}${result.stderr}`)
  return result.stdout
}

export const kafkaTools: InteropCase = {
  name: "Kafka's own tools create, describe, alter, read, reset, trim and delete as in any tutorial",
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    const at = ['--bootstrap-server', daemon.kafka]
    try {
      await tool('topics', [
        ...at,
        '--create',
        '--topic',
        'events',
        '--partitions',
        '3',
        '--config',
        'retention.ms=3600000',
      ])
      assert.match(await tool('topics', [...at, '--list']), /^events$/m)
      const described = await tool('topics', [...at, '--describe', '--topic', 'events'])
      assert.match(described, /PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=3600000/)
      assert.match(described, /Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1/)
      const again = await kafkaTool(tools.topics, [...at, '--create', '--topic', 'events'])
      assert.match(again.stdout + again.stderr, /already exists/)
      await tool('topics', [...at, '--alter', '--topic', 'events', '--partitions', '5'])
      assert.match(await tool('topics', [...at, '--describe', '--topic', 'events']), /PartitionCount: 5/)

      const entity = ['--entity-type', 'topics', '--entity-name', 'events']
      await tool('configs', [...at, ...entity, '--alter', '--add-config', 'max.message.bytes=64000'])
      assert.match(await tool('configs', [...at, ...entity, '--describe']), /max\.message\.bytes=64000/)
      assert.match(
        await tool('configs', [...at, ...entity, '--describe', '--all']),
        /segment\.bytes=\d+ sensitive=false synonyms=/,
      )
      await tool('configs', [...at, ...entity, '--alter', '--delete-config', 'max.message.bytes'])
      assert.doesNotMatch(await tool('configs', [...at, ...entity, '--describe']), /max\.message\.bytes/)
      assert.match(
        await tool('configs', [...at, '--entity-type', 'brokers', '--entity-name', '1', '--describe', '--all']),
        /num\.partitions=/,
      )

      const records = Array.from({ length: 100 }, (_, index) => `k${index % 7}:v${index}`).join('\n')
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', 'events', '-K', ':'], { stdin: records })
      const offsets = await tool('getOffsets', [...at, '--topic', 'events'])
      assert.equal(sumOf(offsets), 100, offsets)
      await tool('consoleConsumer', [
        ...[
          ...at,
          '--topic',
          'events',
          '--group',
          'readers',
          '--from-beginning',
          '--max-messages',
          '60',
          '--timeout-ms',
          '10000',
        ],
      ])
      const lag = await tool('groups', [...at, '--describe', '--group', 'readers'])
      assert.equal(lagOf(lag), 40, lag)
      assert.match(await tool('groups', [...at, '--list']), /^readers$/m)
      assert.match(await tool('groups', [...at, '--describe', '--group', 'readers', '--state']), /Empty/)
      assert.match(await tool('configs', [...at, '--entity-type', 'groups', '--describe']), /configs for group readers/)
      assert.match(await tool('transactions', [...at, 'list']), /^TransactionalId\s/)
      assert.match(await tool('transactions', [...at, 'find-hanging', '--broker-id', '1']), /^Topic\s/)
      await tool('groups', [
        ...at,
        '--reset-offsets',
        '--to-earliest',
        '--topic',
        'events',
        '--group',
        'readers',
        '--execute',
      ])
      const afterReset = await tool('groups', [...at, '--describe', '--group', 'readers'])
      assert.equal(lagOf(afterReset), 100, afterReset)
      const rest = await tool('consoleConsumer', [
        ...at,
        '--topic',
        'events',
        '--group',
        'readers',
        '--timeout-ms',
        '8000',
        '--max-messages',
        '100',
      ])
      assert.equal(rest.trim().split('\n').length, 100)
      await tool('groups', [...at, '--delete', '--group', 'readers'])
      assert.doesNotMatch(await tool('groups', [...at, '--list']), /readers/)

      const plan = join(folder, 'delete.json')
      writeFileSync(
        plan,
        JSON.stringify({ partitions: [{ topic: 'events', partition: busiest(offsets), offset: 5 }], version: 1 }),
      )
      assert.match(await tool('deleteRecords', [...at, '--offset-json-file', plan]), /low_watermark: 5/)
      assert.equal(sumOf(await tool('getOffsets', [...at, '--topic', 'events', '--time', 'earliest'])), 5)
      assert.match(await tool('apiVersions', at), /Produce\(0\): 0 to 13 \[usable: 13\]/)
      assert.match(await tool('logDirs', [...at, '--describe', '--topic-list', 'events']), /"partition":"events-0"/)
      assert.match(await tool('cluster', ['cluster-id', ...at]), /Cluster ID: /)
      await tool('topics', [...at, '--delete', '--topic', 'events'])
      assert.doesNotMatch(await tool('topics', [...at, '--list']), /^events$/m)
    } finally {
      await daemon.stop()
    }
  },
}

/** Topics that ask for a codec of their own. */
const storedCodecs = ['gzip', 'snappy', 'lz4', 'zstd']

export const dumpLogSegments: InteropCase = {
  name: 'DumpLogSegments reads every file of ours, deeply and with the index check, without a complaint',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat', 'mosquitto_pub'),
  async run(folder) {
    mkdirSync(folder, { recursive: true })
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    const at = ['--bootstrap-server', daemon.kafka]
    await tool('topics', [
      ...at,
      '--create',
      '--topic',
      'small',
      '--partitions',
      '1',
      '--config',
      'segment.bytes=1048576',
    ])
    const record = `${'x'.repeat(1000)}\n`
    for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
      const args = [
        '-P',
        '-b',
        daemon.kafka,
        '-t',
        'small',
        '-z',
        codec,
        '-X',
        'enable.idempotence=true',
        '-X',
        'batch.num.messages=10',
      ]
      await output('kcat', args, { stdin: record.repeat(3000) })
    }
    for (const codec of storedCodecs) {
      await tool('topics', [...at, '--create', '--topic', `in-${codec}`, '--config', `compression.type=${codec}`])
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', `in-${codec}`], { stdin: record.repeat(300) })
    }
    const [host = '', port = ''] = daemon.mqtt.split(':')
    await output('mosquitto_pub', ['-h', host, '-p', port, '-q', '2', '-t', 'small/x', '-m', 'y'])
    await output('kcat', [
      '-C',
      '-b',
      daemon.kafka,
      '-G',
      'g',
      'small',
      '-c',
      '10',
      '-q',
      '-X',
      'auto.offset.reset=earliest',
    ])
    await daemon.stop()
    const logs = join(folder, 'data', 'log')
    const files = readdirSync(logs, { recursive: true, encoding: 'utf8' }).map((name) => join(logs, name))
    const has = (suffix: string): string[] => files.filter((name) => name.endsWith(suffix))
    assert.ok(has('.log').filter((name) => name.includes('/small-0/')).length > 1, 'the topic has several segments')
    const metadata = has('.log').filter((name) => name.includes('__cluster_metadata'))
    const offsets = has('.log').filter((name) => name.includes('__consumer_offsets'))
    const data = has('.log').filter((name) => !metadata.includes(name) && !offsets.includes(name))
    for (const [flags, group] of [
      [['--deep-iteration', '--print-data-log'], data],
      [['--deep-iteration', '--cluster-metadata-decoder'], metadata],
      [['--deep-iteration', '--cluster-metadata-decoder'], has('/bootstrap.checkpoint')],
      [['--deep-iteration', '--offsets-decoder'], offsets],
      [['--index-sanity-check'], [...has('.index'), ...has('.timeindex')]],
      [[], has('.snapshot').filter((name) => !name.includes('__cluster_metadata'))],
    ] as const) {
      assert.ok(group.length > 0, `there are files for ${flags.join(' ')}`)
      const text = await tool('dumpLog', [...flags, '--files', group.join(',')])
      assert.doesNotMatch(
        text,
        /mismatch|non-consecutive|not valid|isvalid: false|invalid|corrupt|Could not|Exception|out of order/i,
      )
    }
    for (const codec of storedCodecs) {
      const packed = await tool('dumpLog', [
        '--files',
        data.filter((name) => name.includes(`/in-${codec}-0/`)).join(','),
      ])
      assert.match(packed, new RegExp(`compresscodec: ${codec}\\b`))
      assert.doesNotMatch(packed, /compresscodec: none/)
    }
    // Without the sanity flag the tool compares each index entry with the log.
    const compared = await tool('dumpLog', [
      '--files',
      [...has('.index'), ...has('.timeindex')].filter((name) => name.includes('/small-0/')).join(','),
    ])
    assert.doesNotMatch(compared, /Mismatches in|Non-secutive|out of order/i)
  },
}

function sumOf(getOffsets: string): number {
  return getOffsets
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line.split(':')[2] ?? 0), 0)
}

/** The column LAG of a described group, over its partitions. */
function lagOf(described: string): number {
  const rows = described.split('\n').map((line) => line.trim().split(/\s+/))
  const column = rows.find((row) => row.includes('LAG'))?.indexOf('LAG') ?? -1
  assert.ok(column >= 0, described)
  return rows.filter((row) => row[1] === 'events').reduce((sum, row) => sum + Number(row[column] ?? 0), 0)
}

function busiest(getOffsets: string): number {
  const rows = getOffsets
    .trim()
    .split('\n')
    .map((line) => line.split(':').map(Number))
  return rows.toSorted((a, b) => (b[2] ?? 0) - (a[2] ?? 0))[0]?.[1] ?? 0
}
