/** Access control as programs that are not ours meet it, over Kafka and over MQTT. */
// Its default export has all names: of the single ones Node finds some only.
import kafkajs, { type AclOperationTypes, type AclResourceTypes, type Kafka } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaClient } from '../../src/admin/cli/kafka-client.ts'
import { setUser } from '../../src/admin/cli/users-command.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { parseAddress } from '../../src/config-values.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import { ApplianceWorld } from './appliance-world.ts'

let world: ApplianceWorld
let kafka = ''
let mqtt = ''
const users = ['root', 'writer', 'reader', 'nobody']
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  world = await ApplianceWorld.create()
  const address = parseAddress((await world.start()).kafka)
  if (typeof address === 'string') throw new Error(address)
  const ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
  const client = new KafkaClient(ports, [address])
  for (const user of users)
    await setUser(client, user, { password: `${user}-secret`, mechanism: 'SCRAM-SHA-256', iterations: 4096 })
  await client.close()
  await ports.close()
  await startGuarded()
  const admin = as('root').admin()
  await admin.connect()
  await admin.createTopics({ topics: ['plant', 'secret'].map((topic) => ({ topic, numPartitions: 2 })) })
  await admin.createAcls({
    acl: [
      entry('writer', kafkajs.AclResourceTypes.TOPIC, 'plant', kafkajs.AclOperationTypes.WRITE),
      entry(
        'reader',
        kafkajs.AclResourceTypes.TOPIC,
        'pla',
        kafkajs.AclOperationTypes.READ,
        kafkajs.ResourcePatternTypes.PREFIXED,
      ),
      entry('reader', kafkajs.AclResourceTypes.GROUP, 'readers', kafkajs.AclOperationTypes.READ),
    ],
  })
  await admin.disconnect()
})

/** With passwords and access control, on other ports each time. */
async function startGuarded(): Promise<void> {
  const facts = await world.start({
    kafka: { saslMechanisms: ['SCRAM-SHA-256'] },
    mqtt: { authentication: 'password' },
    settings: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:root',
    },
  })
  kafka = facts.kafka
  mqtt = facts.mqtt
}

afterAll(async () => {
  for (const close of closers) await close()
  await world.remove()
})

function entry(
  user: string,
  resourceType: AclResourceTypes,
  resourceName: string,
  operation: AclOperationTypes,
  resourcePatternType = kafkajs.ResourcePatternTypes.LITERAL,
) {
  const permissionType = kafkajs.AclPermissionTypes.ALLOW
  return {
    resourceType,
    resourceName,
    resourcePatternType,
    principal: `User:${user}`,
    host: '*',
    operation,
    permissionType,
  }
}

function as(user: string): Kafka {
  return new kafkajs.Kafka({
    brokers: [kafka],
    sasl: { mechanism: 'scram-sha-256', username: user, password: `${user}-secret` },
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 0 },
  })
}

async function produce(user: string, topic: string): Promise<string> {
  const producer = as(user).producer()
  await producer.connect()
  try {
    await producer.send({ topic, messages: [{ value: user }] })
    return 'done'
  } catch (thrown) {
    return String((thrown as { type?: string }).type ?? (thrown as { cause?: { type?: string } }).cause?.type ?? thrown)
  } finally {
    await producer.disconnect()
  }
}

describe('a Kafka client', () => {
  test.each([
    ['root', 'plant', 'done'],
    ['writer', 'plant', 'done'],
    ['writer', 'secret', 'TOPIC_AUTHORIZATION_FAILED'],
    ['writer', 'not-there', 'TOPIC_AUTHORIZATION_FAILED'],
    ['reader', 'plant', 'TOPIC_AUTHORIZATION_FAILED'],
    ['nobody', 'plant', 'TOPIC_AUTHORIZATION_FAILED'],
  ])('%s who writes to %s: %s', async (user, topic, outcome) => expect(await produce(user, topic)).toBe(outcome))

  test('sees what it may see, and learns nothing of the rest', async () => {
    const listed = async (user: string): Promise<string[]> => {
      const admin = as(user).admin()
      await admin.connect()
      const topics = await admin.listTopics()
      await admin.disconnect()
      return topics.filter((topic) => !topic.startsWith('__'))
    }
    expect(await listed('root')).toEqual(['plant', 'secret'])
    expect(await listed('writer')).toEqual(['plant'])
    expect(await listed('nobody')).toEqual([])
  })

  test('reads with the rights on topic and group, and not with one of them', async () => {
    const consume = async (user: string, groupId: string, topic: string): Promise<string> => {
      const consumer = as(user).consumer({ groupId })
      closers.push(() => consumer.disconnect())
      try {
        await consumer.connect()
        await consumer.subscribe({ topics: [topic], fromBeginning: true })
        return await new Promise((resolve, reject) => {
          consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
          void consumer
            .run({ eachMessage: ({ message }) => Promise.resolve(resolve(String(message.value))) })
            .catch(reject)
        })
      } catch (thrown) {
        return String((thrown as { type?: string }).type ?? thrown)
      } finally {
        await consumer.disconnect()
      }
    }
    await produce('root', 'plant')
    expect(await consume('reader', 'readers', 'plant')).toMatch(/root|writer/)
    expect(await consume('reader', 'others', 'plant')).toMatch(/GROUP_AUTHORIZATION_FAILED|group coordinator/)
    expect(await consume('reader', 'readers', 'secret')).toMatch(/TOPIC_AUTHORIZATION_FAILED/)
  })

  test('changes neither topics nor entries nor settings without the right', async () => {
    const admin = as('writer').admin()
    await admin.connect()
    const refusal = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (thrown: { type?: string; errors?: { type?: string }[]; message: string }) =>
          thrown.type ?? thrown.errors?.[0]?.type ?? thrown.message,
      )
    const resources = [{ type: 2, name: 'plant' }]
    const configs = [{ name: 'retention.ms', value: '1' }]
    const own = entry('writer', kafkajs.AclResourceTypes.TOPIC, 'secret', kafkajs.AclOperationTypes.ALL)
    expect([
      await refusal(admin.createTopics({ topics: [{ topic: 'mine' }] })),
      await refusal(admin.deleteTopics({ topics: ['plant'] })),
      await refusal(admin.createPartitions({ topicPartitions: [{ topic: 'plant', count: 9 }] })),
      await refusal(admin.describeConfigs({ includeSynonyms: false, resources })),
      await refusal(
        admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: 'plant', configEntries: configs }] }),
      ),
      await refusal(admin.createAcls({ acl: [own] })),
      await refusal(admin.describeAcls(own)),
      await refusal(admin.deleteAcls({ filters: [own] })),
    ]).toEqual([
      ...Array.from({ length: 5 }, () => 'TOPIC_AUTHORIZATION_FAILED'),
      ...Array.from({ length: 3 }, () => 'CLUSTER_AUTHORIZATION_FAILED'),
    ])
    await admin.disconnect()
  })

  test('an entry counts from the moment it is answered, and no longer than it is there', async () => {
    const admin = as('root').admin()
    await admin.connect()
    await admin.createAcls({
      acl: [entry('nobody', kafkajs.AclResourceTypes.TOPIC, 'plant', kafkajs.AclOperationTypes.WRITE)],
    })
    expect(await produce('nobody', 'plant')).toBe('done')
    const filter = entry('nobody', kafkajs.AclResourceTypes.TOPIC, 'plant', kafkajs.AclOperationTypes.WRITE)
    const described = await admin.describeAcls(filter)
    expect(described.resources.flatMap(({ acls }) => acls)).toHaveLength(1)
    await admin.deleteAcls({ filters: [filter] })
    expect(await produce('nobody', 'plant')).toBe('TOPIC_AUTHORIZATION_FAILED')
    await admin.disconnect()
  })
})

describe('an MQTT client', () => {
  const open = async (user: string, more: object = {}): Promise<MqttClient> => {
    const client = await connectAsync(`mqtt://${mqtt}`, {
      protocolVersion: 5,
      username: user,
      password: `${user}-secret`,
      reconnectPeriod: 0,
      ...more,
    })
    closers.push(() => client.endAsync(true))
    return client
  }

  test.each([1, 2] as const)('publishes to what it may write, and is told 0x87 elsewhere (QoS %i)', async (qos) => {
    const client = await open('writer')
    await client.publishAsync('plant/a/b', '1', { qos })
    await expect(client.publishAsync('secret/a', '1', { qos })).rejects.toMatchObject({ code: 0x87 })
    await client.publishAsync('plant/a/b', '2', { qos })
  })

  test('does not create a Kafka topic by a publish that is refused', async () => {
    const client = await open('writer')
    await expect(client.publishAsync('fresh/a', '1', { qos: 1 })).rejects.toMatchObject({ code: 0x87 })
    const admin = as('root').admin()
    await admin.connect()
    expect(await admin.listTopics()).not.toContain('fresh')
    await admin.disconnect()
  })

  test('subscribes to what it may read, and is delivered nothing else by a wildcard', async () => {
    const reader = await open('reader')
    const got: string[] = []
    reader.on('message', (topic) => got.push(topic))
    const granted = await reader
      .subscribeAsync(['plant/+', '#', 'secret/x'], { qos: 1 })
      .catch((thrown: unknown) => thrown)
    expect(granted).toBeInstanceOf(Error)
    const root = await open('root')
    await root.publishAsync('secret/x', 'hidden', { qos: 1 })
    await root.publishAsync('plant/last', 'shown', { qos: 1 })
    await until(() => got.includes('plant/last'))
    expect(new Set(got)).toEqual(new Set(['plant/last']))
  })

  test('subscribes to nothing where it may read nothing', async () => {
    await expect((await open('nobody')).subscribeAsync('#', { qos: 1 })).rejects.toThrow()
  })

  test('leaves no will where it may not publish', async () => {
    const will = (topic: string) => ({ will: { topic, payload: Buffer.from('x'), qos: 1 as const, retain: false } })
    await open('writer', will('plant/will'))
    await expect(open('writer', will('secret/will'))).rejects.toMatchObject({ code: 0x87 })
  })

  test('is given nothing that is retained, shared or of $SYS without the right to read it', async () => {
    const root = await open('root')
    await root.publishAsync('secret/kept', 'hidden', { qos: 1, retain: true })
    await root.publishAsync('plant/kept', 'shown', { qos: 1, retain: true })
    const reader = await open('reader')
    const got: string[] = []
    reader.on('message', (topic) => got.push(topic))
    for (const filter of ['$SYS/#', '$SYS/broker/version', '$share/g/secret/x'])
      await expect(reader.subscribeAsync(filter, { qos: 1 }), filter).rejects.toThrow()
    await reader.subscribeAsync(['#', '$share/g/#'], { qos: 1 })
    await root.publishAsync('secret/shared', 'hidden', { qos: 1 })
    await root.publishAsync('plant/shared', 'shown', { qos: 1 })
    // Once by its own subscription, once by the shared one.
    await until(() => got.filter((topic) => topic === 'plant/shared').length === 2)
    expect(new Set(got)).toEqual(new Set(['plant/kept', 'plant/shared']))
  })

  test("cannot open another user's kept session, over a restart neither", async () => {
    const kept = { clientId: 'gateway', clean: false, properties: { sessionExpiryInterval: 600 } }
    const reader = await open('reader', kept)
    await reader.subscribeAsync('plant/#', { qos: 1 })
    await reader.endAsync()
    await expect(open('writer', kept)).rejects.toMatchObject({ code: 0x87 })
    await startGuarded()
    await expect(open('writer', kept)).rejects.toMatchObject({ code: 0x87 })
    const again = await open('reader', kept)
    const got: string[] = []
    again.on('message', (topic) => got.push(topic))
    await (await open('root')).publishAsync('plant/after', '1', { qos: 1 })
    await until(() => got.includes('plant/after'))
  })
})

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('it did not happen within 20 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
