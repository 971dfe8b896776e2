/** Payloads that Eclipse Tahu and pysparkplug have made, published by the npm client `mqtt`, read as JSON by kcat and mosquitto_sub. */
import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import mqtt, { type MqttClient } from 'mqtt'
import { type InteropCase, lines, output, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { repositoryRoot, type RunningHeadwater, startHeadwater } from '../headwater.ts'

interface Message {
  readonly messageType: string
  readonly edgeNodeId: string
  readonly deviceId?: string
  readonly bdSeq?: number
  readonly metrics: readonly { readonly name?: string; readonly alias?: number; readonly value: unknown }[]
}

const golden = new Map(
  readFileSync(`${repositoryRoot}/test/golden/sparkplug-payloads.txt`, 'utf8')
    .split('\n')
    .map((line) => {
      const [name = '', hex = ''] = line.split(' ')
      return [name, Buffer.from(hex, 'hex')] as const
    }),
)

function payload(name: string): Buffer {
  return golden.get(name) ?? assert.fail(`no payload ${name}`)
}

async function connect(daemon: RunningHeadwater, clientId: string, edge: string): Promise<MqttClient> {
  const [host = '', port = ''] = daemon.mqtt.split(':')
  const will = {
    topic: `spBv1.0/plant/NDEATH/${edge}`,
    payload: payload('tahu-ndeath'),
    qos: 1,
    retain: false,
  } as const
  const client = await mqtt.connectAsync({ host, port: Number(port), clientId, reconnectPeriod: 0, will })
  client.on('error', () => {})
  return client
}

/** Key and value of every record of the topic that is of the edge node, as kcat reads them. */
async function read(daemon: RunningHeadwater, topic: string, edge: string): Promise<(readonly [string, string])[]> {
  const words = ['-C', '-b', daemon.kafka, '-t', topic, '-e', '-q', '-f', '%p %k %s\n']
  const found = lines(await output('kcat', words)).map((line) => line.split(' '))
  const mine = found.filter(([, key = '']) => key.split('/').includes(edge))
  assert.equal(new Set(mine.map(([partition]) => partition)).size, 1, 'an edge node has one partition')
  return mine.map(([, key = '', ...value]) => [key, value.join(' ')] as const)
}

function told({ messageType, metrics }: Message): string {
  return `${messageType} ${metrics.map(({ name, alias, value }) => `${name ?? `#${alias}`}=${String(value)}`).join(' ')}`
}

export const sparkplugJson: InteropCase = {
  name: 'Sparkplug as JSON: payloads of Eclipse Tahu and pysparkplug get their names from births, over a kill of the daemon; kcat and mosquitto_sub read them',
  missing: () => hasPrograms('kcat', 'mosquitto_sub'),
  async run(folder) {
    const configFile = `${folder}/headwater.yaml`
    writeFileSync(configFile, 'mqtt:\n  sparkplug: { decodedTopic: sparkplug.decoded }\nkafka: { num.partitions: 4 }\n')
    const options = { dataDir: `${folder}/data`, configFile, logFile: `${folder}/daemon.log` }
    let daemon = await startHeadwater(options)
    const clients: MqttClient[] = []
    try {
      const [host = '', port = ''] = daemon.mqtt.split(':')
      const subscribed = output('mosquitto_sub', [
        ...['-h', host, '-p', port, '-q', '1', '-t', '$sparkplug/decoded/spBv1.0/+/NDATA/line1', '-C', '1', '-W', '20'],
      ])
      let edge = await connect(daemon, 'edge-line1', 'line1')
      clients.push(edge)
      const say = (topic: string, bytes: Buffer) => edge.publishAsync(`spBv1.0/plant/${topic}`, bytes, { qos: 1 })
      await say('NBIRTH/line1', payload('tahu-nbirth'))
      // The subscription may come later than the first one.
      const republished = until(
        async () => {
          await say('NDATA/line1', payload('tahu-ndata'))
          return Promise.race([
            subscribed.then(() => true),
            new Promise<boolean>((resolve) => setImmediate(resolve, false)),
          ])
        },
        20_000,
        'a decoded message by MQTT',
      )
      await republished
      const heard = lines(await subscribed)[0] ?? ''
      assert.match(
        heard,
        /"name":"UInt64","alias":9,"timestamp":1700000000000,"dataType":"UInt64","value":18446744073709551615\}/,
      )

      await say('DBIRTH/line1/press', payload('tahu-dbirth'))
      await say('DDATA/line1/press', payload('tahu-ddata'))
      await daemon.kill()
      daemon = await startHeadwater(options)
      edge = await connect(daemon, 'edge-line1', 'line1')
      clients.push(edge)
      await say('NDATA/line1', payload('tahu-ndata'))
      await say('DDATA/line1/press', payload('tahu-ddata'))
      const broken = Buffer.from([0x12, 0x7f, 0x01])
      await say('NDATA/line1', broken)
      edge.stream.destroy()
      await until(
        async () =>
          (await read(daemon, 'sparkplug.decoded', 'line1')).filter(([key]) => key.includes('/NDEATH/')).length === 2,
        10_000,
        'the deaths',
      )

      const raw = (await read(daemon, 'sparkplug', 'line1')).map(([key]) => key)
      const records = await read(daemon, 'sparkplug.decoded', 'line1')
      // All but the broken one stand there twice, in the same order.
      const brokenAt = raw.length - 2
      assert.deepEqual(
        records.map(([key]) => key),
        raw.filter((_key, index) => index !== brokenAt).map((key) => `$sparkplug/decoded/${key}`),
      )
      const messages = records.map(([, value]) => JSON.parse(value) as Message)
      const [ndata, ddata, ndeath] = messages.slice(-3)
      const names =
        'NDATA Int8=-1 Int32=-12 Int64=-9007199254740992 UInt64=18446744073709552000 DateTime=-1000 #99=4294967295'
      assert.equal(ndata === undefined ? '' : told(ndata), names)
      assert.match(records.at(-3)?.[1] ?? '', /"value":-9007199254740993\}/)
      assert.deepEqual(
        ddata?.metrics.map(({ name }) => name),
        ['Left motor', 'Int8Array'],
      )
      assert.match(records.at(-2)?.[1] ?? '', /"dataType":"Int32","value":-6\}/)
      assert.equal(ndeath?.bdSeq, 7)

      edge = await connect(daemon, 'edge-line2', 'line2')
      clients.push(edge)
      await say('NBIRTH/line2', payload('python-nbirth'))
      await say('NDATA/line2', payload('python-ndata'))
      const python = (await read(daemon, 'sparkplug.decoded', 'line2')).map(([, value]) => JSON.parse(value) as Message)
      assert.deepEqual(python.map(told), [
        'NBIRTH bdSeq=3 i8=-2 i16=-300 i32=-70000 i64=-5 u64=18446744073709552000 f=21.7 date=1700000000000 i32s=-1,2 bools=true,false,true texts=a,ü none=null',
        'NDATA i8=-3 i16=-1 i32=-12 i32s=-7',
      ])
      const metrics = async (): Promise<string> => (await fetch(`http://${daemon.http}/metrics`)).text()
      const counted = /^headwater_mqtt_sparkplug_decodings_total\{outcome="malformed"\} 1$/m
      await until(async () => counted.test(await metrics()), 10_000, 'the broken one is counted')
    } finally {
      for (const client of clients) client.end(true)
      await daemon.stop()
    }
  },
}
