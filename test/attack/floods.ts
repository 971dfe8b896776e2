/** Much of the same: connections, handshakes, client ids, producers, filters and names, by the ten thousand; with `--long` by the million. */
import { strict as assert } from 'node:assert'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { mapBounded } from '../../src/base/map-bounded.ts'
import { CaFolder } from '../../src/admin/certificates/ca-folder.ts'
import { PrivateCa } from '../../src/admin/certificates/private-ca.ts'
import { apiVersionsApi, findCoordinatorApi, initProducerIdApi } from '../../src/protocol/kafka/apis.ts'
import { decodeResponse, encodeRequest } from '../../src/protocol/kafka/header.ts'
import { freePort } from '../interop/headwater.ts'
import { Prng } from '../sim/prng.ts'
import { startBystanders } from './bystanders.ts'
import { startDaemon } from './command.ts'
import { figure } from './figures.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { connectPacket, field, MqttTalk, packet, publishPacket, types } from './mqtt-talk.ts'
import { assertGrowth, memoryOf, socketsOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import type { Group, OpenGroup, Row } from './row.ts'
import { until } from './row.ts'

const mib = 1_048_576
const connections = figure(3_000, 50_000)
const handshakes = figure(1_000, 100_000)
const clientIds = figure(2_000, 1_000_000)
const sessionsMax = figure(200, 10_000)
const producers = figure(5_000, 1_000_000)
const filters = figure(5_000, 100_000)
const paths = figure(300, 10_000)
const atOnce = 100
const filtersOfSession = 1_000
/**
 * What a closed socket leaves survives a scavenge, whatever the server is; V8 looks at its old generation when that has grown by some 70 MB. Of 30,000
 * connections resident memory grows by 150 MB, of the next 30,000 by 11.
 */
const grownMiBMax = figure(128, 192)

interface Place {
  readonly pid: number
  readonly kafka: string
  readonly mqtt: string
  readonly kafkaTls: string
  readonly folder: string
}

export const floods: Group = {
  name: 'floods',
  async open(folder): Promise<OpenGroup> {
    const outside = join(folder, 'outside')
    mkdirSync(outside)
    const authority = new PrivateCa(new CaFolder(join(folder, 'ca')), Date.now)
    await authority.init('Attack CA', { days: 60, crlDays: 60 })
    await authority.issue({ name: 'edge', profile: 'server', alternatives: ['IP:127.0.0.1'], days: 30 })
    const secured = await freePort()
    const configFile = join(folder, 'headwater.yaml')
    const { certificate, key } = new CaFolder(join(folder, 'ca')).issued('edge')
    writeFileSync(
      configFile,
      `listeners:
  kafka:
    - { listen: "127.0.0.1:0" }
    - { listen: "127.0.0.1:${secured}", tls: { certificate: ${certificate}, key: ${key} } }
  mqtt: [ { listen: "127.0.0.1:0" } ]
mqtt: { sessionsMax: ${sessionsMax} }
kafka: { group.initial.rebalance.delay.ms: 0 }
`,
    )
    const daemon = await startDaemon({
      dataDir: join(folder, 'data'),
      configFile,
      kafkaPort: null,
      mqttPort: null,
      logFile: join(folder, 'daemon.log'),
    })
    const { bystanders, close } = await startBystanders(daemon)
    const { pid, kafka, mqtt } = daemon
    const place = { pid, kafka, mqtt, kafkaTls: `127.0.0.1:${secured}`, folder }
    return {
      rows: [
        connectionRow(place),
        handshakeRow(place),
        clientIdRow(place),
        producerRow(place),
        filterRow(place),
        pathRow(place),
      ],
      check: () => bystanders.check(),
      close,
    }
  },
}

/** Runs `work` so many times, `atOnce` at a time. */
async function flood(count: number, work: (index: number) => Promise<void>): Promise<void> {
  await mapBounded([...Array(count).keys()], atOnce, work)
}

/** Throws when the memory has grown by more than a flood may cost, or sockets are left. */
async function unharmed(pid: number, before: { readonly residentBytes: number; readonly sockets: number }) {
  await until(() => socketsOf(pid) <= before.sockets + 5, 15_000, 'the sockets of the flood to be closed')
  const grown = memoryOf(pid).residentBytes - before.residentBytes
  assertGrowth(grown, grownMiBMax * mib)
}

const factsOf = (pid: number) => ({ residentBytes: memoryOf(pid).residentBytes, sockets: socketsOf(pid) })

function connectionRow({ pid, kafka, mqtt, kafkaTls }: Place): Row {
  return {
    name: `Connections: ${connections} in a row, ${atOnce} at a time, that say nothing, nonsense, or go while they are answered leave nothing behind`,
    async run() {
      const before = factsOf(pid)
      const request = Buffer.concat(encodeRequest(apiVersionsApi, 0, 1, 'flood', {}))
      const nonsense = Buffer.alloc(200, 0x5a)
      const said = [Buffer.alloc(0), nonsense, request, connectPacket(4, 'flood'), request.subarray(0, 7)]
      const addresses = [kafka, mqtt, kafkaTls]
      const startedAt = performance.now()
      await flood(connections, async (index) => {
        const client = await RawClient.connect(addresses[index % addresses.length] as string)
        client.send(said[index % said.length] as Buffer)
        client.destroy()
      })
      const perMinute = (connections / (performance.now() - startedAt)) * 60_000
      console.log(`  ${Math.round(perMinute)} connections a minute`)
      await unharmed(pid, before)
    },
  }
}

/** Behind the lengths of the record and of the message: more bytes than they say would be waited for. */
const lengthsEnd = 9

/** What a client of TLS 1.3 sends first. */
async function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (bytes: Buffer, _encoding, written) => {
        resolve(bytes)
        written()
      },
    })
    tls.connect({ socket: wire, servername: 'localhost' }).on('error', () => {})
  })
}

function handshakeRow({ pid, kafkaTls }: Place): Row {
  return {
    name: `TLS: ${handshakes} handshakes that end behind the first message, broken in every second, hurt nobody`,
    async run() {
      const before = factsOf(pid)
      const prng = new Prng(15)
      const hello = await clientHello()
      await flood(handshakes, async (index) => {
        const bytes = Buffer.from(hello)
        if (index % 2 === 1) bytes[lengthsEnd + prng.below(bytes.length - lengthsEnd)] = prng.below(256)
        const client = await RawClient.connect(kafkaTls)
        client.send(bytes)
        // A server hello, an alert, or the end: the work has been done.
        await until(() => client.receivedBytes > 0 || client.isClosed, 15_000, 'an answer to a client hello')
        client.destroy()
      })
      await unharmed(pid, before)
    },
  }
}

function clientIdRow({ pid, mqtt }: Place): Row {
  return {
    name: `MQTT: ${clientIds} client ids whose sessions never expire keep to the bound on sessions, and the good clients keep theirs`,
    async run() {
      const before = factsOf(pid)
      const prng = new Prng(11)
      const forEver = Buffer.from([0x11, 0xff, 0xff, 0xff, 0xff])
      let granted = 0
      await flood(clientIds, async (index) => {
        const id = `flood-${prng.uint32().toString(36)}-${index}`
        const talk = new MqttTalk(await RawClient.connect(mqtt), 5)
        talk.raw.send(connectPacket(5, id, { flags: 0, properties: [forEver] }))
        const answer = await talk.read(15_000)
        assert.equal(answer.type, types.connack)
        if (answer.body[1] === 0) granted++
        talk.close()
      })
      assert.ok(granted >= sessionsMax / 2, `${granted} were let in`)
      await unharmed(pid, before)
    },
  }
}

function producerRow({ pid, kafka }: Place): Row {
  return {
    name: `Kafka: ${producers} producer ids and as many group names that nobody uses take a bounded memory`,
    async run() {
      const before = factsOf(pid)
      const client = await RawClient.connect(kafka)
      const window = 500
      for (let from = 0; from < producers; from += window) {
        const count = Math.min(window, producers - from)
        for (let index = 0; index < count; index++) {
          client.send(
            ...encodeRequest(initProducerIdApi, 4, 2 * index, 'flood', {
              transactionalId: null,
              transactionTimeoutMs: 60_000,
            }),
            ...encodeRequest(findCoordinatorApi, 4, 2 * index + 1, 'flood', {
              keyType: 0,
              coordinatorKeys: [`flood-${from + index}`],
            }),
          )
        }
        for (let index = 0; index < count; index++) {
          const made = decodeResponse(initProducerIdApi, 4, await client.frame(20_000))
          assert.deepEqual([made.correlationId, made.value.errorCode], [2 * index, 0])
          await client.frame(20_000)
        }
      }
      client.destroy()
      await unharmed(pid, before)
    },
  }
}

function filterRow({ pid, mqtt }: Place): Row {
  return {
    name: `MQTT: ${filters} filters of many wildcards are bounded for each session, and do not hold up the publishers they match`,
    async run() {
      const before = factsOf(pid)
      const sessions = Math.ceil(filters / filtersOfSession)
      const talks: MqttTalk[] = []
      for (let session = 0; session < sessions; session++) {
        const talk = await MqttTalk.connect(mqtt, 5, `attack-filters-${session}`)
        const list = Array.from({ length: filtersOfSession }, (_, index) =>
          Buffer.concat([field(`${'+/'.repeat(1 + (index % 30))}flood/${index}/#`), Buffer.from([0])]),
        )
        talk.raw.send(packet(0x82, Buffer.from([0, 1]), Buffer.from([0]), ...list))
        const answer = await talk.read(20_000)
        assert.equal(answer.type, types.suback)
        talk.raw.send(packet(0x82, Buffer.from([0, 2]), Buffer.from([0]), field('one/more/#'), Buffer.from([0])))
        const beyond = await talk.read(20_000)
        assert.equal(beyond.body.at(-1), 0x97, 'a filter beyond the bound is refused')
        talks.push(talk)
      }
      const publisher = await MqttTalk.connect(mqtt, 5, 'attack-filters-publisher')
      for (let index = 0; index < 200; index++) {
        publisher.raw.send(
          publishPacket(5, { topic: `${'a/'.repeat(1 + (index % 30))}flood/${index}/x`, packetId: index + 1 }),
        )
        assert.equal((await publisher.read(10_000)).type, 4)
      }
      for (const talk of [...talks, publisher]) talk.close()
      await unharmed(pid, before)
    },
  }
}

const pathParts = [
  '..',
  '.',
  '/',
  '\\',
  '%2e%2e',
  '%2f',
  '\0',
  'outside',
  'etc',
  'passwd',
  '\u2215',
  '\uff0e',
  '~',
  'data',
  ':',
  'con',
  ' ',
]

function pathRow({ kafka, mqtt, folder }: Place): Row {
  return {
    name: `Names: ${paths} paths as topics, groups and client ids make no file anywhere but in the data directory`,
    async run() {
      const prng = new Prng(18)
      const outside = (): string[] =>
        readdirSync(folder, { recursive: true })
          .map(String)
          .filter((path) => !path.startsWith('data/'))
          .toSorted()
      const before = outside()
      const talk = await KafkaTalk.connect(kafka)
      const names = Array.from({ length: paths }, () =>
        Array.from({ length: 1 + prng.below(6) }, () => prng.pick(pathParts)).join(prng.pick(['/', '', '..', '\\'])),
      )
      for (const name of names) {
        const isLegal = /^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..'
        const error = await talk.createTopic(name)
        if (!isLegal) assert.equal(error, 'INVALID_TOPIC_EXCEPTION', JSON.stringify(name))
        const client = new MqttTalk(await RawClient.connect(mqtt), 5)
        client.raw.send(connectPacket(5, name.replaceAll('\0', '')))
        client.raw.send(publishPacket(5, { topic: name.replaceAll('\0', ''), packetId: 1 }))
        assert.equal((await client.read(10_000)).type, types.connack)
        client.close()
      }
      talk.close()
      assert.deepEqual(outside(), before)
    },
  }
}
