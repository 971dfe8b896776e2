/** A real Apache Kafka: what it answers to the same broken batches, and that neither opens a directory that the other holds. */
import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ApacheKafka, apacheKafkaMissing, startApacheKafka } from '../interop/apache-kafka.ts'
import { batchOfValues } from './batch-bytes.ts'
import { brokenBatches } from './broken-batches.ts'
import { startDaemon } from './command.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { failToStart } from './startup.ts'
import { each, type Group, type OpenGroup, until } from './row.ts'

export const peer: Group = {
  name: 'peer',
  async open(folder): Promise<OpenGroup> {
    const missing = apacheKafkaMissing()
    const dataDir = join(folder, 'edge')
    const logDir = join(dataDir, 'log')
    const kafka = missing === null ? await startApacheKafka({ dir: join(folder, 'kafka'), logDir, heap: '256m' }) : null
    return {
      rows: [
        {
          name: 'broken batches have the error here that they have at Apache Kafka; the differences are listed',
          missing,
          run: () => compareBatches(kafka as ApacheKafka),
        },
        {
          name: 'a directory that an Apache Kafka serves is refused with its pid',
          missing,
          async run() {
            const { pid } = kafka as ApacheKafka
            const { stderr } = await failToStart(dataDir)
            assert.match(stderr, new RegExp(`in use by process ${pid}\\b`))
          },
        },
        {
          name: 'an Apache Kafka does not open a directory that a daemon serves, and leaves it unharmed',
          missing,
          async run() {
            const own = join(folder, 'own')
            const daemon = await startDaemon({ dataDir: own })
            const talk = await KafkaTalk.connect(daemon.kafka)
            assert.equal(await talk.createTopic('held'), 'NONE')
            assert.equal((await talk.produce('held', 0, batchOfValues(['a']))).error, 'NONE')
            const second = startApacheKafka({ dir: join(folder, 'second'), logDir: join(own, 'log'), heap: '256m' })
            await assert.rejects(second, /ended while starting/)
            // The reason stands before what Kafka says of its own end.
            assert.match(readFileSync(join(folder, 'second', 'server.log'), 'utf8'), /Failed to acquire lock/)
            assert.equal((await talk.produce('held', 0, batchOfValues(['b']))).baseOffset, 1)
            talk.close()
            assert.equal(await daemon.stop(), 0)
          },
        },
      ],
      close: async () => kafka?.kill(),
    }
  },
}

async function compareBatches({ bootstrap }: ApacheKafka): Promise<void> {
  const talk = await KafkaTalk.connect(bootstrap)
  const topic = 'broken-batches'
  assert.equal(await talk.createTopic(topic), 'NONE')
  await until(
    async () => (await talk.metadataErrors([topic])).get(topic) === 'NONE',
    10_000,
    'the topic at Apache Kafka',
  )
  const answered = brokenBatches().filter(({ apacheKafka }) => apacheKafka !== null)
  await each(answered, async ({ records, version, error, apacheKafka }) => {
    const answer = await talk.produce(topic, 0, records, version)
    assert.equal(answer.error, apacheKafka ?? error)
  })
  talk.close()
}
