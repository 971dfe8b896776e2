/** What asks a cluster for more than records: tools that move leaders and replicas, and Kafka Streams with topics of its own. */
import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { apacheKafkaLibs, apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'

const countWords = fileURLToPath(new URL('../programs/CountWords.java', import.meta.url))

export const oneNodeCluster: InteropCase = {
  name: "Kafka's tools elect, reassign and describe the quorum of a node that is alone",
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat'),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    const tool = async (name: string, ...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await kafkaTool(`org.apache.kafka.tools.${name}`, [
        '--bootstrap-server',
        daemon.kafka,
        ...args,
      ])
      assert.equal(code, 0, `${name} ${args.join(' ')}\n${stdout}${stderr}`)
      return stdout
    }
    try {
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', 'events'], { stdin: 'one\ntwo\n' })
      const elected = await tool(
        'LeaderElectionCommand',
        '--election-type',
        'preferred',
        '--topic',
        'events',
        '--partition',
        '0',
      )
      assert.match(elected, /Valid replica already elected for partitions events-0/)
      const quorum = await tool('MetadataQuorumCommand', 'describe', '--status')
      assert.match(quorum, /LeaderId: +1\n/)
      assert.match(quorum, /CurrentVoters: +\[\{"id": 1, "directoryId": "[\w-]{22}"/)
      const plan = join(folder, 'plan.json')
      writeFileSync(
        plan,
        JSON.stringify({ version: 1, partitions: [{ topic: 'events', partition: 0, replicas: [1] }] }),
      )
      const reassign = (verb: string): Promise<string> =>
        tool('reassign.ReassignPartitionsCommand', '--reassignment-json-file', plan, verb)
      assert.match(await reassign('--execute'), /Successfully started partition reassignment for events-0/)
      assert.match(await reassign('--verify'), /Reassignment of partition events-0 is completed/)
    } finally {
      await daemon.stop()
    }
  },
}

export const kafkaStreams: InteropCase = {
  name: 'Kafka Streams counts words over topics that it makes itself',
  missing: () => apacheKafkaMissing() ?? hasPrograms('kcat', 'javac'),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const text = ['the log is the truth', 'the log is a table', 'a table is a log']
      for (const topic of ['lines', 'counts']) await output('kcat', ['-L', '-b', daemon.kafka, '-t', topic])
      await output('kcat', ['-P', '-b', daemon.kafka, '-t', 'lines'], { stdin: `${text.join('\n')}\n` })
      const words = text.flatMap((line) => line.split(' '))
      await output(
        'java',
        [
          '-XX:TieredStopAtLevel=1',
          '-cp',
          `${apacheKafkaLibs()}/*`,
          countWords,
          daemon.kafka,
          'lines',
          'counts',
          String(words.length),
          join(folder, 'streams'),
        ],
        { timeoutMs: 90_000 },
      )
      const told = await output('kcat', [
        ...['-C', '-b', daemon.kafka, '-t', 'counts', '-e', '-q', '-s', 'value=q', '-f', '%k %s\n'],
      ])
      // Of each word the last count.
      const counted = new Map(lines(told).map((line) => line.split(' ') as [string, string]))
      const expected = new Map<string, string>()
      for (const word of words) expected.set(word, String(Number(expected.get(word) ?? 0) + 1))
      assert.deepEqual(counted, expected)
      assert.match(await output('kcat', ['-L', '-b', daemon.kafka]), /count-words-counts-changelog/)
    } finally {
      await daemon.stop()
    }
  },
}
