/** mosquitto_pub in, kcat and Kafka's console consumer out; and Kafka in, mosquitto_sub out. */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'

export const mqttToKafka: InteropCase = {
  name: 'what mosquitto_pub sends (3.1.1 and 5, QoS 0 to 2) kcat and the console consumer read, in order, with key and headers',
  missing: () => hasPrograms('mosquitto_pub', 'kcat') ?? apacheKafkaMissing(),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const [host = '', port = ''] = daemon.mqtt.split(':')
      const expected: string[] = []
      for (const version of ['mqttv311', 'mqttv5']) {
        for (const qos of ['0', '1', '2']) {
          const topic = `sensors/${version}/qos${qos}`
          const readings = Array.from({ length: 20 }, (_, index) => `${version}-${qos}-${index}`)
          const args = [
            '-h',
            host,
            '-p',
            port,
            '-V',
            version,
            '-q',
            qos,
            '-t',
            topic,
            '-i',
            `pub-${version}-${qos}`,
            '-l',
          ]
          await output('mosquitto_pub', args, { stdin: `${readings.join('\n')}\n` })
          expected.push(...readings.map((reading) => `${topic} ${reading}`))
        }
      }
      const read = await output('kcat', ['-C', '-b', daemon.kafka, '-t', 'sensors', '-e', '-q', '-f', '%k %s\n'])
      assertSameInOrder(lines(read), expected)
      const console = await kafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
        ...['--bootstrap-server', daemon.kafka, '--topic', 'sensors', '--from-beginning', '--timeout-ms', '8000'],
        ...['--max-messages', String(expected.length)],
        ...['--formatter-property', 'print.key=true', '--formatter-property', 'key.separator= '],
      ])
      assertSameInOrder(lines(console.stdout), expected)
      const headers = await output('kcat', ['-C', '-b', daemon.kafka, '-t', 'sensors', '-e', '-q', '-f', '%h\n'])
      assert.ok(
        lines(headers).every((line) => line.includes('mqtt.client=pub-')),
        headers,
      )
    } finally {
      await daemon.stop()
    }
  },
}

export const kafkaToMqtt: InteropCase = {
  name: 'what kcat produces under an MQTT topic name as key reaches mosquitto_sub; a wildcard subscriber hears MQTT publishers too',
  missing: () => hasPrograms('mosquitto_pub', 'mosquitto_sub', 'kcat'),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    const [host = '', port = ''] = daemon.mqtt.split(':')
    const subscriber = spawn('stdbuf', [
      '-oL',
      'mosquitto_sub',
      '-h',
      host,
      '-p',
      port,
      '-q',
      '1',
      '-t',
      'plant/+/t',
      '-C',
      '4',
      '-W',
      '30',
      '-v',
      '-d',
    ])
    let heard = ''
    subscriber.stdout.on('data', (bytes) => {
      heard += String(bytes)
    })
    const ended = new Promise<number | null>((resolve) => subscriber.once('exit', resolve))
    try {
      await output('mosquitto_pub', ['-h', host, '-p', port, '-q', '1', '-t', 'plant/warm/up', '-m', 'x'])
      await until(() => heard.includes('SUBACK'), 10_000, 'the SUBACK')
      await output('mosquitto_pub', ['-h', host, '-p', port, '-q', '1', '-t', 'plant/a/t', '-m', 'from-mqtt'])
      for (const codec of ['none', 'gzip', 'zstd']) {
        const args = ['-P', '-b', daemon.kafka, '-t', 'plant', '-k', 'plant/b/t', '-z', codec]
        await output('kcat', args, { stdin: `from-kafka-${codec}` })
      }
      assert.equal(await ended, 0, heard)
      const received = lines(heard).filter((line) => line.startsWith('plant/'))
      assert.deepEqual(received.toSorted(), [
        'plant/a/t from-mqtt',
        'plant/b/t from-kafka-gzip',
        'plant/b/t from-kafka-none',
        'plant/b/t from-kafka-zstd',
      ])
    } finally {
      subscriber.kill('SIGKILL')
      await daemon.stop()
    }
  },
}

export const mqttRetainedAndShared: InteropCase = {
  name: 'retained messages and shared subscriptions work with the mosquitto clients',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub'),
  async run(folder) {
    const daemon = await startHeadwater({ dataDir: `${folder}/data` })
    try {
      const [host = '', port = ''] = daemon.mqtt.split(':')
      const place = ['-h', host, '-p', port, '-V', 'mqttv5']
      await output('mosquitto_pub', [...place, '-q', '1', '-r', '-t', 'plant/x', '-m', 'kept'])
      const retained = await program('mosquitto_sub', [...place, '-t', 'plant/#', '-C', '1', '-W', '20', '-F', '%r %p'])
      assert.equal(retained.stdout, '1 kept\n')
      const shared = await program('mosquitto_sub', [...place, '-t', '$share/g/plant/#', '-W', '1', '-d'])
      assert.match(`${shared.stdout}${shared.stderr}`, /Subscribed \(mid: 1\): 0/)
      assert.doesNotMatch(shared.stdout, /kept/)
    } finally {
      await daemon.stop()
    }
  },
}

export const mqttKeptSession: InteropCase = {
  name: 'a kept session of mosquitto_sub gets over a restart what came meanwhile',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub'),
  async run(folder) {
    let daemon = await startHeadwater({ dataDir: `${folder}/data` })
    const place = (): string[] => [
      '-h',
      ...daemon.mqtt.split(':').flatMap((part, index) => (index === 0 ? [part] : ['-p', part])),
    ]
    const kept = ['-c', '-i', 'kept', '-q', '2', '-t', 'plant/#']
    try {
      await program('mosquitto_sub', [...place(), ...kept, '-E'])
      await output('mosquitto_pub', [...place(), '-q', '1', '-t', 'plant/x', '-m', 'one'])
      await daemon.stop()
      daemon = await startHeadwater({ dataDir: `${folder}/data` })
      await output('mosquitto_pub', [...place(), '-q', '2', '-t', 'plant/x', '-m', 'two'])
      const heard = await program('mosquitto_sub', [...place(), ...kept, '-C', '2', '-W', '20'])
      assert.deepEqual(heard.stdout.trim().split('\n'), ['one', 'two'])
    } finally {
      await daemon.stop()
    }
  },
}

/** Same lines, and each key's lines in the order in which they were sent. */
function assertSameInOrder(actual: readonly string[], expected: readonly string[]): void {
  const byKey = (all: readonly string[]): string[] =>
    all.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
  assert.deepEqual(byKey(actual), byKey(expected))
}

function key(line: string): string {
  return line.slice(0, line.indexOf(' '))
}
