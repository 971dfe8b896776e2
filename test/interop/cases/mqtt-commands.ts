/** Kafka topics as commands to MQTT devices: kcat produces, devices that are not ours obey, Kafka's own tool shows how far it is. */
import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { connectAsync } from 'mqtt'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { type RunningHeadwater, startHeadwater } from '../headwater.ts'

const configuration = `
kafka: { num.partitions: 1 }
mqtt:
  commandRoutes:
    - { name: pumps, kafkaTopic: commands, mqttTopic: "pump/{key}/set", correlationData: id, responseTopic: reply-to }
    - { name: replies, kafkaTopic: replies, mqttTopic: "{header.mqtt.response-topic}" }
`

async function start(folder: string): Promise<RunningHeadwater> {
  const configFile = `${folder}/headwater.yaml`
  writeFileSync(configFile, configuration)
  return startHeadwater({ dataDir: `${folder}/data`, configFile })
}

function place({ mqtt }: RunningHeadwater): string[] {
  const [host = '', port = ''] = mqtt.split(':')
  return ['-h', host, '-p', port, '-V', 'mqttv5']
}

function produce(daemon: RunningHeadwater, topic: string, key: string, value: string, headers: string[] = []) {
  const args = ['-P', '-b', daemon.kafka, '-t', topic, '-k', key, ...headers.flatMap((header) => ['-H', header])]
  return output('kcat', args, { stdin: value })
}

/** `OFFSET LAG` of partition 0, as Kafka's tool shows it. */
async function offsetOf(daemon: RunningHeadwater, group: string, topic: string): Promise<string> {
  const { stdout } = await kafkaTool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
    ...['--bootstrap-server', daemon.kafka, '--describe', '--group', group],
  ])
  const row = lines(stdout).find((line) => line.split(/\s+/)[1] === topic)
  const [, , , current, , lag] = row?.split(/\s+/) ?? []
  return `${current} ${lag}`
}

export const mqttCommands: InteropCase = {
  name: 'commands that kcat produces reach devices, wait for them over a restart, and kafka-consumer-groups.sh shows how far they are',
  missing: () => hasPrograms('mosquitto_sub', 'mosquitto_pub', 'kcat') ?? apacheKafkaMissing(),
  async run(folder) {
    let daemon = await start(folder)
    try {
      await produce(daemon, 'commands', '7', 'on')
      await produce(daemon, 'commands', '8', 'off')
      await produce(daemon, 'commands', '7', 'faster')
      await daemon.stop()
      daemon = await start(folder)
      const seven = await program('mosquitto_sub', [
        ...place(daemon),
        ...['-q', '1', '-t', 'pump/7/set', '-C', '2', '-W', '20', '-v'],
      ])
      assert.deepEqual(lines(seven.stdout), ['pump/7/set on', 'pump/7/set faster'])
      await until(
        async () => (await offsetOf(daemon, 'headwater-mqtt-pumps', 'commands')) === '1 2',
        20_000,
        'offset 1',
      )
      await daemon.kill()
      daemon = await start(folder)
      const rest = await program('mosquitto_sub', [
        ...place(daemon),
        '-q',
        '1',
        '-t',
        'pump/#',
        '-C',
        '1',
        '-W',
        '20',
        '-v',
      ])
      assert.deepEqual(lines(rest.stdout), ['pump/8/set off'])
      await until(
        async () => (await offsetOf(daemon, 'headwater-mqtt-pumps', 'commands')) === '3 0',
        20_000,
        'offset 3',
      )
    } finally {
      await daemon.stop()
    }
  },
}

export const mqttRequests: InteropCase = {
  name: 'mosquitto_rr is answered by a Kafka client, and a Kafka client by a device (mqtt.js), with correlation data',
  missing: () => hasPrograms('mosquitto_rr', 'kcat'),
  async run(folder) {
    const daemon = await start(folder)
    try {
      const asking = program('mosquitto_rr', [
        ...place(daemon),
        ...['-q', '1', '-t', 'requests/level', '-e', 'answers/rr', '-m', 'how full?', '-W', '30', '-v'],
        ...['-D', 'publish', 'correlation-data', 'q-1'],
      ])
      await until(async () => (await requests(daemon)).length > 0, 20_000, 'the request in Kafka')
      const [request = ''] = await requests(daemon)
      assert.match(request, /^how full\? .*mqtt\.response-topic=answers\/rr,mqtt\.correlation=q-1/)
      const headers = request.slice(request.indexOf(' ', 9) + 1).split(',')
      const kept = headers.filter((header) => /^mqtt\.(?:response-topic|correlation)=/.test(header))
      await produce(daemon, 'replies', 'x', 'half', kept)
      const answered = await asking
      assert.equal(answered.stdout, 'answers/rr half\n', answered.stderr)

      const device = await connectAsync(`mqtt://${daemon.mqtt}`, { protocolVersion: 5 })
      device.on('message', (topic, payload, { properties = {} }) => {
        const { responseTopic = 'none', correlationData } = properties
        const answer = `${topic} did ${payload.toString()}`
        device.publish(responseTopic, answer, {
          qos: 1,
          properties: { correlationData: correlationData ?? Buffer.of() },
        })
      })
      await device.subscribeAsync('pump/9/set', { qos: 1 })
      await produce(daemon, 'commands', '9', 'stop', ['id=k-77', 'reply-to=done/pump9'])
      await until(async () => (await recordsOf(daemon, 'done')).length > 0, 20_000, 'the answer in Kafka')
      const [answer = ''] = await recordsOf(daemon, 'done')
      assert.match(answer, /^pump\/9\/set did stop .*mqtt\.correlation=k-77/)
      await device.endAsync()
    } finally {
      await daemon.stop()
    }
  },
}

const requests = (daemon: RunningHeadwater): Promise<readonly string[]> => recordsOf(daemon, 'requests')

/** `VALUE HEADERS` of every record; none while there is no topic. */
async function recordsOf(daemon: RunningHeadwater, topic: string): Promise<readonly string[]> {
  const args = ['-C', '-b', daemon.kafka, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%s %h\n']
  return lines((await program('kcat', args)).stdout)
}
