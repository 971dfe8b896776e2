/** One topic a codec: every client that has the codec writes, every client that has it reads all of it in a group. */
import { strict as assert } from 'node:assert'
import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { repositoryRoot, startHeadwater } from '../headwater.ts'
import { foreignPython } from '../python.ts'

type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const codecs: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const recordsPerClient = 200

interface Client {
  readonly name: string
  readonly codecs: readonly Codec[]
  write(bootstrap: string, topic: string, codec: Codec, values: readonly string[]): Promise<void>
  read(bootstrap: string, topic: string, count: number): Promise<readonly string[]>
}

const kcat: Client = {
  name: 'kcat',
  codecs,
  async write(bootstrap, topic, codec, values) {
    await output('kcat', ['-P', '-b', bootstrap, '-t', topic, '-z', codec, '-X', 'linger.ms=20'], {
      stdin: values.join('\n'),
    })
  },
  async read(bootstrap, topic, count) {
    const place = [
      '-b',
      bootstrap,
      '-G',
      `kcat-${topic}`,
      topic,
      '-c',
      String(count),
      '-q',
      '-X',
      'auto.offset.reset=earliest',
    ]
    return lines(await output('kcat', [...place, '-X', 'check.crcs=true']))
  },
}

const java: Client = {
  name: 'java',
  codecs,
  async write(bootstrap, topic, codec, values) {
    const args = ['--bootstrap-server', bootstrap, '--topic', topic, '--compression-codec', codec]
    const result = await kafkaTool('org.apache.kafka.tools.ConsoleProducer', args, {
      stdin: `${values.join('\n')}\n`,
    })
    assert.equal(result.code, 0, result.stderr)
    assert.doesNotMatch(result.stderr, /ERROR|Exception/)
  },
  async read(bootstrap, topic, count) {
    const result = await kafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
      ...['--bootstrap-server', bootstrap, '--topic', topic, '--group', `java-${topic}`, '--from-beginning'],
      ...['--max-messages', String(count), '--timeout-ms', '20000'],
    ])
    assert.equal(result.code, 0, result.stderr)
    return lines(result.stdout)
  },
}

const confluent: Client = {
  name: 'confluent',
  codecs,
  async write(bootstrap, topic, codec, values) {
    const prefix = values[0]?.replace(/-0$/, '') ?? ''
    await output(python(), [script('confluent.py'), 'write', bootstrap, topic, codec, prefix, String(values.length)])
  },
  async read(bootstrap, topic, count) {
    return lines(
      await output(python(), [script('confluent.py'), 'read', bootstrap, topic, `confluent-${topic}`, String(count)]),
    )
  },
}

const kafkajs: Client = {
  name: 'kafkajs',
  codecs: ['none', 'gzip'],
  async write(bootstrap, topic, codec, values) {
    const producer = kafkajsAt(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    const compression = codec === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None
    await producer.send({
      topic,
      compression,
      messages: values.map((value) => ({ key: value, value, headers: { h: '1' } })),
    })
    await producer.disconnect()
  },
  async read(bootstrap, topic, count) {
    const consumer = kafkajsAt(bootstrap).consumer({ groupId: `kafkajs-${topic}` })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen: string[] = []
    try {
      await new Promise<void>((resolve, reject) => {
        const deadline = setTimeout(() => reject(new Error(`kafkajs read ${seen.length} of ${count}`)), 30_000)
        void consumer.run({
          eachMessage: ({ message }) => {
            seen.push(String(message.value))
            if (seen.length === count) {
              clearTimeout(deadline)
              resolve()
            }
            return Promise.resolve()
          },
        })
      })
    } finally {
      await consumer.disconnect()
    }
    return seen
  },
}

const platformatic: Client = {
  name: 'platformatic',
  codecs,
  async write(bootstrap, topic, codec, values) {
    const producer = new Producer({
      clientId: 'p',
      bootstrapBrokers: [bootstrap],
      serializers: stringSerializers,
      compression: codec,
    })
    const messages = values.map((value) => ({ topic, key: value, value, headers: new Map([['h', '1']]) }))
    try {
      await producer.send({ messages, acks: -1 })
    } finally {
      await producer.close()
    }
  },
  async read(bootstrap, topic, count) {
    const consumer = new Consumer({
      clientId: 'c',
      groupId: `platformatic-${topic}`,
      bootstrapBrokers: [bootstrap],
      deserializers: stringDeserializers,
    })
    const seen: string[] = []
    try {
      const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: true, maxWaitTime: 500 })
      const deadline = setTimeout(() => void stream.close(), 30_000)
      for await (const message of stream) {
        seen.push(String(message.value))
        if (seen.length >= count) break
      }
      clearTimeout(deadline)
      await stream.close()
    } finally {
      await consumer.close(true)
    }
    return seen
  },
}

export const codecMatrix: InteropCase = {
  name: 'kcat, Java, confluent-kafka, kafkajs and platformatic write and read one another in five codecs, each reader in a group',
  missing: () => hasPrograms('kcat') ?? apacheKafkaMissing() ?? pythonMissing(),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      for (const codec of codecs) {
        const topic = `codec-${codec}`
        const clients = [kcat, java, confluent, kafkajs, platformatic].filter((client) => client.codecs.includes(codec))
        const expected = new Set<string>()
        for (const client of clients) {
          const values = Array.from({ length: recordsPerClient }, (_, index) => `${client.name}-${codec}-${index}`)
          await client.write(daemon.kafka, topic, codec, values)
          for (const value of values) expected.add(value)
        }
        for (const client of clients) {
          const seen = await client.read(daemon.kafka, topic, expected.size)
          assert.equal(
            seen.length,
            expected.size,
            `${client.name} read ${seen.length} of ${expected.size} ${codec} records`,
          )
          assert.deepEqual(new Set(seen), expected, `${client.name} read the same ${codec} records`)
        }
      }
    } finally {
      await daemon.stop()
    }
  },
}

export const aiokafka: InteropCase = {
  name: 'aiokafka, with its old request versions, writes idempotently and reads in a group',
  missing: pythonMissing,
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      await output(python(), [script('aiokafka-round-trip.py'), daemon.kafka, 'aio', '500'])
    } finally {
      await daemon.stop()
    }
  },
}

function kafkajsAt(bootstrap: string): Kafka {
  return new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.NOTHING })
}

function python(): string {
  const found = foreignPython()
  if (found.path === null) throw new Error(found.why)
  return found.path
}

function pythonMissing(): string | null {
  const found = foreignPython()
  return found.path === null ? found.why : null
}

function script(name: string): string {
  return `${repositoryRoot}/test/interop/programs/${name}`
}
