/** A fault of a configuration is told in words of our own, with its line, and before anything is started. */
import { describe, expect, it } from 'vitest'
import { inspectConfiguration } from '../src/config-reader.ts'

async function problemsOf(
  text: string,
  environment: Readonly<Record<string, string>> = {},
  flags: { readonly http?: string } = {},
): Promise<readonly string[]> {
  const report = await inspectConfiguration({ file: { name: 'hw.yaml', text }, flags, environment })
  return report.kind === 'invalid' ? report.problems : []
}

const mirror = (more: string) => `{ name: central, bootstrapServers: ["h:9092"], topics: [a], ${more} }`

describe('a fault of the form', () => {
  it.each([
    ['node:\n', 'hw.yaml:1: node: this section is empty; write its keys below it, or leave it out'],
    ['node: 5\n', 'hw.yaml:1: node: a section of keys is wanted, this is a number'],
    ['node:\n  site: 5\n', 'hw.yaml:2: node.site: text is wanted, this is a number; put it in quotes'],
    ['node: { id: 1.5 }\n', 'hw.yaml:1: node.id: a whole number is wanted'],
    ['node: { id: one }\n', 'hw.yaml:1: node.id: a number is wanted, this is text'],
    ['node: { id: -1 }\n', 'hw.yaml:1: node.id: is below the least value, 0'],
    ['node: { id: 99999999999 }\n', 'hw.yaml:1: node.id: is above the greatest value, 2147483647'],
    ['dataDir: ""\n', 'hw.yaml:1: dataDir: must not be empty'],
    ['dataDir: [a]\n', 'hw.yaml:1: dataDir: text is wanted, this is a list'],
    ['listeners: { kafka: [] }\n', 'hw.yaml:1: listeners.kafka: must name one at least'],
    ['listeners: { mqtt: }\n', 'hw.yaml:1: listeners.mqtt: nothing stands here; a list is wanted'],
    ['disk: { reserve: true }\n', 'hw.yaml:1: disk.reserve: one value is wanted, this is true or false'],
    ['disk: { scrubEvery: 1s }\n', 'hw.yaml:1: disk.scrubEvery: "1s" is below the least value, 1min'],
    [
      'disk: { budget: 1KiB }\n',
      'hw.yaml:1: disk.budget: "1KiB" is below the least value, 32MiB, or a share such as 90%',
    ],
    [
      'disk: { whenFull: Reject }\n',
      'hw.yaml:1: disk.whenFull: one of reject, drop-oldest is wanted; did you mean reject?',
    ],
    [
      'kafka: { num: { partitions: 3 } }\n',
      "hw.yaml:1: kafka.num: a value is wanted; Kafka's names stand whole on one line, as in num.partitions: 4",
    ],
    [
      'kafka: { log.cleanup.policy: [compact, delete] }\n',
      'hw.yaml:1: kafka.log.cleanup.policy: a list is written with commas, as Kafka has it: a,b',
    ],
    ['node: { id: 1 }\n---\nnode: {}\n', 'hw.yaml:2: a second document begins here (---); the file holds one'],
    ['node: { id: 1 }\nnode: {}\n', 'hw.yaml:2: keys must be unique: node stands here once more'],
    ['? [a, b]\n: c\n', 'hw.yaml:1: a key is text; a list or a mapping cannot be one'],
    ['\tnode: {}\n', 'hw.yaml:1: Tabs are not allowed as indentation'],
  ])('is told on one line, with what is wanted: %j', async (text, problem) => {
    expect(await problemsOf(text)).toEqual([problem])
  })

  it('is not covered up by a variable or a flag below the key', async () => {
    const problem = 'hw.yaml:1: listeners: a section of keys is wanted, this is a number'
    expect(await problemsOf('listeners: 5\n', { HEADWATER_LISTENERS_HTTP_LISTEN: '127.0.0.1:0' })).toEqual([problem])
    expect(await problemsOf('listeners: 5\n', {}, { http: '127.0.0.1:0' })).toEqual([problem])
  })
})

describe('what the rooms would refuse', () => {
  it.each([
    [
      'mqtt:\n  routes:\n    - { match: a, topic: b }\n    - { match: "a/#/b", topic: x }\n',
      'hw.yaml:4: mqtt.routes[1]: MQTT route 2 ("a/#/b") is not usable: # must be the last level',
    ],
    [
      'mqtt: { commandRoutes: [ { name: a, kafkaTopic: c, mqttTopic: "x/{foo}" } ] }\n',
      'hw.yaml:1: mqtt.commandRoutes[0]: MQTT command route 1 ("a") is not usable: "x/{foo}" uses {foo}',
    ],
    [
      `mirrors: [ ${mirror('targetTopic: "x"')} ]\n`,
      'hw.yaml:1: mirrors[0]: mirror central: the target topic template "x" cannot be used',
    ],
    [
      'mirrors: [ { name: central, bootstrapServers: ["h:9092"], topics: ["("] } ]\n',
      'hw.yaml:1: mirrors[0]: mirror central: the topic pattern "(" cannot be used',
    ],
  ])('is a fault of the configuration, with its line: %j', async (text, problem) => {
    expect(await problemsOf(text)).toEqual([expect.stringContaining(problem)])
  })

  it('includes anything else that would go to the topic of decoded Sparkplug messages', async () => {
    const problems = async (rest: string): Promise<readonly string[]> =>
      problemsOf(`mqtt:\n  sparkplug: { decodedTopic: json }\n${rest}`)
    const reason = 'json holds decoded messages alone (mqtt.sparkplug.decodedTopic)'
    expect(await problems('  routes: [ { match: a, topic: b }, { match: "x/#", topic: json } ]\n')).toEqual([
      `hw.yaml:3: mqtt.routes[1].topic: ${reason}`,
    ])
    expect(await problems('  commandRoutes: [ { name: a, kafkaTopic: json, mqttTopic: "x/{key}" } ]\n')).toEqual([
      `hw.yaml:3: mqtt.commandRoutes[0].kafkaTopic: ${reason}`,
    ])
    expect(await problems('  lastResortTopic: json\n')).toEqual([`hw.yaml:3: mqtt.lastResortTopic: ${reason}`])
    expect(await problems('  routes: [ { match: "x/#", topic: other } ]\n')).toEqual([])
    const same = 'mqtt: { sparkplug: { decodedTopic: sparkplug } }\n'
    expect(await problemsOf(same)).toEqual(['hw.yaml:1: mqtt.sparkplug: decoded messages need a topic of their own'])
    const large = 'mqtt: { sparkplug: { decodedPayloadMax: 1MiB } }\n'
    expect(await problemsOf(large)).toEqual([
      'hw.yaml:1: mqtt.sparkplug.decodedPayloadMax: "1MiB" is above the greatest value, 512KiB',
    ])
  })

  it('includes two mirrors of one name, which would share their positions', async () => {
    const text = `mirrors:\n  - ${mirror('')}\n  - ${mirror('')}\n`
    expect(await problemsOf(text)).toEqual(['hw.yaml:3: mirrors[1].name: mirrors[0] has this name already'])
  })

  it('includes two listeners of one address, of any protocol, but for port 0', async () => {
    expect(await problemsOf('listeners: { kafka: [ { listen: "127.0.0.1:1883" } ] }\n')).toEqual([
      'hw.yaml:1: listeners.mqtt[0].listen: listeners.kafka[0] listens on 127.0.0.1:1883 already',
    ])
    expect(await problemsOf('listeners: { mqtt: [ { listen: "unix:/a" }, { listen: "unix:/a" } ] }\n')).toEqual([
      'hw.yaml:1: listeners.mqtt[1].listen: listeners.mqtt[0] listens on unix:/a already',
    ])
    const free = 'listeners: { kafka: [ { listen: "127.0.0.1:0" }, { listen: "127.0.0.1:0" } ] }\n'
    expect(await problemsOf(free)).toEqual([])
  })

  it('includes an address that nobody can connect to', async () => {
    const text = 'listeners: { kafka: [ { listen: "127.0.0.1:9092", advertise: "edge:0" } ] }\n'
    expect(await problemsOf(text)).toEqual([
      'hw.yaml:1: listeners.kafka[0].advertise: "edge:0" is no address to connect to: port 0 is none',
    ])
  })

  it.each(['a/b', '__headwater_retained', '..'])(
    'includes a last resort that publishes must not reach: %s',
    async (name) => {
      expect(await problemsOf(`mqtt: { lastResortTopic: "${name}" }\n`)).toEqual([
        'hw.yaml:1: mqtt.lastResortTopic: a Kafka topic: letters, digits, dot, underscore and hyphen, not beginning with `__`',
      ])
    },
  )
})
