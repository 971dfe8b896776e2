/**
 * A whole appliance on the operating system, and client libraries that are not ours: what they say over the door is what users see.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentObserver } from '../../../src/admin/silent-observer.ts'
import { type Appliance, createAppliance } from '../../../src/appliance.ts'
import { configSchema } from '../../../src/config.ts'
import { nodePorts } from '../../../src/node/node-ports.ts'

let dataDir = ''
let appliance: Appliance
let ports: ReturnType<typeof nodePorts>
let broker = ''

async function start(port: number): Promise<void> {
  ports = nodePorts({ observer: silentObserver })
  const config = configSchema.parse({
    dataDir,
    listeners: {
      kafka: [{ listen: `127.0.0.1:${port}` }],
      mqtt: [{ listen: '127.0.0.1:0' }],
      http: { listen: '127.0.0.1:0' },
    },
    kafka: { 'group.initial.rebalance.delay.ms': 0, 'num.partitions': 4 },
  })
  appliance = createAppliance(config, ports, { version: 'test' })
  broker = (await appliance.start()).kafka
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'headwater-clients-'))
  await start(0)
})

afterAll(async () => {
  await appliance.stop()
  await ports.close()
  await rm(dataDir, { recursive: true, force: true })
})

/** Waits for a condition, with a deadline. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 20_000; performance.now() < endMs; ) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${what}: not within 20 s`)
}

test('kafkajs: two members share a topic, commit, and an administrator sees, resets and deletes the group', async () => {
  const kafka = new Kafka({ clientId: 'js', brokers: [broker], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 4 }] })
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: 400 }, (_, at) => ({ key: `k${at}`, value: `v${at}` }))
  await producer.send({ topic: 'shared', acks: -1, messages })
  const seen = new Map<string, number>()
  const owned = new Map<string, number>()
  const open = async (name: string) => {
    const consumer = kafka.consumer({
      groupId: 'js-group',
      sessionTimeout: 6_000,
      heartbeatInterval: 200,
      maxWaitTimeInMs: 100,
    })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
      owned.set(name, payload.memberAssignment.shared?.length ?? 0),
    )
    await consumer.connect()
    await consumer.subscribe({ topic: 'shared', fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        const value = String(message.value)
        seen.set(value, (seen.get(value) ?? 0) + 1)
      },
    })
    return consumer
  }
  const first = await open('first')
  const second = await open('second')
  await until('both own two partitions', () => owned.get('first') === 2 && owned.get('second') === 2)
  await until('all read', () => seen.size === 400)
  const { groups } = await admin.describeGroups(['js-group'])
  expect(groups.map(({ state, members }) => [state, members.length])).toEqual([['Stable', 2]])
  await Promise.all([first.disconnect(), second.disconnect()])
  const committed = async () =>
    (await admin.fetchOffsets({ groupId: 'js-group', topics: ['shared'] }))[0]?.partitions ?? []
  expect((await committed()).reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(400)
  await until('the group is empty', async () => (await admin.describeGroups(['js-group'])).groups[0]?.state === 'Empty')
  await admin.setOffsets({ groupId: 'js-group', topic: 'shared', partitions: [{ partition: 0, offset: '1' }] })
  expect((await committed()).find(({ partition }) => partition === 0)?.offset).toBe('1')
  expect(await admin.deleteGroups(['js-group'])).toEqual([{ groupId: 'js-group', errorCode: 0 }])
  expect((await admin.listGroups()).groups).toEqual([])
  await producer.disconnect()
  await admin.disconnect()
}, 60_000)

test('@platformatic/kafka: a member goes on by its heartbeat when the daemon has been restarted', async () => {
  const options = { bootstrapBrokers: [broker], retries: 40, retryDelay: 200 }
  const producer = new Producer({ ...options, clientId: 'producer', serializers: stringSerializers })
  const consumer = new Consumer({
    ...options,
    clientId: 'consumer',
    groupId: 'platformatic',
    deserializers: stringDeserializers,
    sessionTimeout: 10_000,
    heartbeatInterval: 500,
  })
  const admin = new Admin({ ...options, clientId: 'admin' })
  await admin.createTopics({ topics: ['lasting'], partitions: 2, replicas: 1 })
  const send = (value: string) => producer.send({ messages: [{ topic: 'lasting', key: value, value }], acks: -1 })
  let generations = 0
  consumer.on('consumer:group:join', () => generations++)
  const seen = new Set<string>()
  await send('before')
  const stream = await consumer.consume({ topics: ['lasting'], mode: 'earliest', autocommit: true, maxWaitTime: 100 })
  stream.on('data', ({ value }) => seen.add(value))
  await until('the first is read', () => seen.has('before'))
  const port = Number(broker.split(':')[1])
  await appliance.stop()
  await ports.close()
  await start(port)
  await until('it is taken', () =>
    send('after').then(
      () => true,
      () => false,
    ),
  )
  await until('the second is read', () => seen.has('after'))
  expect(generations).toBe(1)
  const described = await admin.describeGroups({ groups: ['platformatic'] })
  expect(described.get('platformatic')).toMatchObject({ state: 'Stable', id: 'platformatic' })
  await stream.close()
  await Promise.all([consumer.close(true), producer.close(), admin.close()])
}, 60_000)
