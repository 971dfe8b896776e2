/**
 * The first administrator that is made over the loopback by Kafka's own requests, without `headwater setup`: from his credential on, or from the
 * entry that names him on, nobody is anonymous, on no listener and after no restart.
 */
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { alterUserScramCredentialsApi, createAclsApi, metadataApi } from '../../src/protocol/kafka/apis.ts'
import { aclOperation, aclPattern, aclPermission, aclResource, clusterResourceName } from '../../src/security/acl.ts'
import { KafkaTalk } from '../attack/kafka-talk.ts'
import { RawClient } from '../attack/raw-client.ts'
import { adminPassword, asAdmin, OpenNode } from './open-node.ts'

const open = 'kafka: [{ listen: "127.0.0.1:0" }], mqtt: [{ listen: "127.0.0.1:0" }]'
const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
const superUser = `listeners: { ${open} }\nkafka: { super.users: "User:admin" }\n`
/** Apache Kafka's way to begin: whoever has no name may do everything, until entries say who may. */
const superNobody = `listeners: { ${open} }\nkafka: { authorizer.class.name: ${authorizer}, super.users: "User:ANONYMOUS" }\n`

let node: OpenNode
afterEach(() => node.remove())

async function startOpen(configuration: string): Promise<void> {
  node = new OpenNode(configuration)
  await node.start()
  await node.isOpen()
}

/** As `kafka-configs --entity-type users --alter --add-config SCRAM-SHA-512=...` asks for it. */
async function makeUser(talk: KafkaTalk, name: string): Promise<void> {
  const [iterations, salt] = [4096, randomBytes(20)]
  const saltedPassword = pbkdf2Sync(adminPassword, salt, iterations, 64, 'sha512')
  const answer = await talk.ask(alterUserScramCredentialsApi, {
    deletions: [],
    upsertions: [{ name, mechanism: 2, iterations, salt, saltedPassword }],
  })
  expect(answer.results).toMatchObject([{ user: name, errorCode: 0 }])
}

/** As `kafka-acls --add --cluster` asks for it. */
async function allow(talk: KafkaTalk, principal: string, operation: number): Promise<void> {
  const answer = await talk.ask(createAclsApi, {
    creations: [
      {
        resourceType: aclResource.cluster,
        resourceName: clusterResourceName,
        resourcePatternType: aclPattern.literal,
        principal,
        host: '*',
        operation,
        permissionType: aclPermission.allow,
      },
    ],
  })
  expect(answer.results).toMatchObject([{ errorCode: 0 }])
}

describe('the first administrator', { timeout: 60_000 }, () => {
  it('is answered, and then every listener asks for names, though the file does not', async () => {
    await startOpen(superUser)
    const silent = [await RawClient.connect(node.daemon.kafka), await RawClient.connect(node.daemon.mqtt)]
    const press = await node.mqtt({ clientId: 'press' })
    const last = new Promise<number | undefined>((resolve) => {
      press.once('disconnect', ({ reasonCode }) => resolve(reasonCode))
    })
    const other = await KafkaTalk.connect(node.daemon.kafka)
    await other.ask(metadataApi, { topics: [], allowAutoTopicCreation: false })
    const maker = await KafkaTalk.connect(node.daemon.kafka)
    await makeUser(maker, 'admin')
    expect(await last).toBe(0x87)
    for (const each of [maker.raw, other.raw, ...silent]) await each.closed()
    await node.isClosed()
    expect(readFileSync(node.file, 'utf8')).toBe(superUser)
    const log = readFileSync(node.logFile, 'utf8')
    expect(log).toMatch(/listeners-closed.*User:admin.*kafka\.0, mqtt\.0, http/)
    // Who is not the admin has no right: somebody decides about rights now, though the file names nobody for it.
    const made = await node.headwater(['users', 'set', 'press-1'], { asAdmin: false, input: `${adminPassword}\n` })
    expect(made.code).toBe(1)
    for (const how of ['stop', 'kill'] as const) {
      await node.restart(how)
      await node.isClosed()
    }
    const control = await node.mqtt({ ...asAdmin, clientId: 'control' })
    await control.publishAsync('plant/heat', '70', { qos: 1 })
    await control.endAsync()
  })

  it('is whom an entry lets alter the cluster, as soon as there are both: the entry and a password', async () => {
    await startOpen(superNobody)
    const talk = await KafkaTalk.connect(node.daemon.kafka)
    await makeUser(talk, 'press-1')
    await allow(talk, 'User:press-1', aclOperation.describe)
    await allow(talk, 'User:*', aclOperation.all)
    await allow(talk, 'User:admin', aclOperation.all)
    await node.isOpen()
    await makeUser(talk, 'admin')
    await talk.raw.closed()
    await node.isClosed()
    await node.restart('kill')
    await node.isClosed()
  })

  it('is one also by an entry that comes behind the password', async () => {
    await startOpen(superNobody)
    const talk = await KafkaTalk.connect(node.daemon.kafka)
    await makeUser(talk, 'admin')
    await node.isOpen()
    await allow(talk, 'User:admin', aclOperation.alter)
    await talk.raw.closed()
    await node.isClosed()
  })

  it('leaves nothing to headwater setup but the file, which then says it', async () => {
    await startOpen(superUser)
    await makeUser(await KafkaTalk.connect(node.daemon.kafka), 'admin')
    expect(await node.setup()).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/asked for names already/),
    })
    expect(readFileSync(node.file, 'utf8')).toMatch(
      /saslMechanisms[^]*authentication: password[^]*authentication: required/,
    )
    await node.isClosed()
    await node.restart('stop')
    await node.isClosed()
    expect(readFileSync(node.logFile, 'utf8').match(/listeners-closed/g)).toHaveLength(1)
    expect(await node.setup()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing to do/) })
  })

  it('closes nothing where the configuration says aloud that it is to stay open, and every start tells so', async () => {
    const dangerous = superUser.replace('listeners: {', 'listeners: { dangerouslyAllowUnprotected: true,')
    await startOpen(dangerous)
    await makeUser(await KafkaTalk.connect(node.daemon.kafka), 'admin')
    await node.isOpen()
    await node.restart('stop')
    await node.isOpen()
    const log = readFileSync(node.logFile, 'utf8')
    for (const listener of ['kafka.0', 'mqtt.0', 'http']) expect(log).toContain(`listeners.${listener} asks clients`)
    writeFileSync(node.file, superUser)
    await node.restart('stop')
    await node.isClosed()
  })
})
