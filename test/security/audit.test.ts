/**
 * The audit of a daemon as its operator meets it: what clients that are not ours leave in it, that no secret is in it or anywhere else,
 * who may read it, and that `headwater audit verify` finds what was done to it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// Its default export has all names: of the single ones Node finds some only.
import kafkajs, { type Kafka } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAuditLine } from '../../src/security/audit/audit-line.ts'
import { until } from '../interop/case.ts'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'
import { runProgram } from './appliance-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-audit-'))
const dataDir = join(folder, 'data')
const logFile = join(folder, 'log')
const configFile = join(folder, 'headwater.yaml')
const auditFolder = join(dataDir, 'state', 'audit')
const canary = 'canary-b1946ac9'
const users = ['root', 'writer', 'nobody', 'auditor']
const passwordOf = (user: string): string => `${user}-${canary}`
let daemon: RunningHeadwater

function headwater(words: readonly string[], input = '') {
  return runProgram('sh', [...sourceCommand.slice(1), ...words], { input })
}

async function start(): Promise<void> {
  daemon = await startHeadwater({ dataDir, configFile, logFile, kafkaPort: null, mqttPort: null })
}

/** The files of the audit, one behind the other. */
function auditText(): string {
  return readdirSync(auditFolder)
    .sort()
    .map((name) => readFileSync(join(auditFolder, name), 'utf8'))
    .join('')
}

interface Told {
  readonly type: string
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

function told(): Told[] {
  return auditText()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Told)
}

function as(user: string, password = passwordOf(user)): Kafka {
  return new kafkajs.Kafka({
    brokers: [daemon.kafka],
    clientId: 'audit-test',
    sasl: { mechanism: 'plain', username: user, password },
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 0 },
  })
}

async function failing(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (thrown: unknown) => String((thrown as Error).message),
  )
}

/** Reads the audit's topic as a consumer of this user. */
async function readTopic(user: string): Promise<string[]> {
  const consumer = as(user).consumer({ groupId: `readers-of-${user}`, maxWaitTimeInMs: 100 })
  const lines: string[] = []
  let error: Error | null = null
  await consumer.connect()
  try {
    consumer.on(consumer.events.CRASH, (event) => {
      error = event.payload.error
    })
    await consumer.subscribe({ topic: '__headwater_audit', fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void lines.push(message.value?.toString('utf8') ?? '') })
    await until(() => error !== null || lines.length >= 10, 10_000, 'records of the audit')
  } catch (thrown) {
    error = thrown as Error
  } finally {
    await consumer.disconnect()
  }
  if (error !== null) throw error
  return lines
}

beforeAll(async () => {
  writeFileSync(
    configFile,
    'log: { level: debug }\nlisteners: { kafka: [{ listen: "127.0.0.1:0" }], mqtt: [{ listen: "127.0.0.1:0" }] }\n',
  )
  await start()
  for (const user of users) {
    expect(await headwater(['users', 'set', user, '-b', daemon.kafka], `${passwordOf(user)}\n`)).toMatchObject({
      code: 0,
    })
  }
  await daemon.stop()
  writeFileSync(
    configFile,
    `log: { level: debug }
listeners:
  kafka: [{ listen: "127.0.0.1:0", saslMechanisms: [PLAIN, SCRAM-SHA-256] }]
  mqtt: [{ listen: "127.0.0.1:0", authentication: password }]
kafka:
  authorizer.class.name: org.apache.kafka.metadata.authorizer.StandardAuthorizer
  super.users: User:root
  group.initial.rebalance.delay.ms: 0
`,
  )
  await start()
}, 60_000)

afterAll(async () => {
  await daemon.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('the audit of a daemon', () => {
  it('is not kept while nobody has a name', () => {
    // The users above were made by User:ANONYMOUS, before a listener asked for names.
    expect(auditTextOrNothing()).not.toContain('headwater.user.changed')
  })

  it('tells who came in, who did not, who was denied what, and who changed what', { timeout: 30_000 }, async () => {
    const admin = as('root').admin()
    await admin.connect()
    await admin.createTopics({
      topics: [{ topic: 'press', numPartitions: 3, configEntries: [{ name: 'retention.ms', value: '60000' }] }],
    })
    await admin.createPartitions({ topicPartitions: [{ topic: 'press', count: 4 }] })
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: 'press', configEntries: [{ name: 'retention.ms', value: '120000' }] }],
    })
    await failing(
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: 'press', configEntries: [{ name: 'secret.key', value: canary }] }],
      }),
    )
    const acl = {
      resourceType: kafkajs.AclResourceTypes.TOPIC,
      resourceName: 'press',
      resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
      principal: 'User:writer',
      host: '*',
      operation: kafkajs.AclOperationTypes.WRITE,
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    }
    const auditor = { ...acl, principal: 'User:auditor', operation: kafkajs.AclOperationTypes.READ }
    await admin.createAcls({
      acl: [
        acl,
        { ...acl, operation: kafkajs.AclOperationTypes.DELETE },
        { ...auditor, resourceName: '*' },
        { ...auditor, resourceType: kafkajs.AclResourceTypes.GROUP, resourceName: '*' },
      ],
    })
    await admin.deleteAcls({ filters: [{ ...acl, operation: kafkajs.AclOperationTypes.DELETE }] })
    await admin.createTopics({ topics: [{ topic: 'short-lived', numPartitions: 1 }] })
    await admin.deleteTopics({ topics: ['short-lived'] })
    await admin.disconnect()
    expect(await failing(as('writer', `${canary}-wrong`).admin().connect())).toContain('Authentication failed')
    expect(await failing(as('evil\r\n\u001b[31m', canary).admin().connect())).toContain('Authentication failed')
    const nobody = as('nobody').producer()
    await nobody.connect()
    for (let turn = 0; turn < 5; turn++) await failing(nobody.send({ topic: 'press', messages: [{ value: 'x' }] }))
    await nobody.disconnect()
    const [host = '', port = ''] = daemon.mqtt.split(':')
    const mqtt = await connectAsync({
      host,
      port: Number(port),
      protocolVersion: 5,
      username: 'nobody',
      password: passwordOf('nobody'),
      reconnectPeriod: 0,
    })
    await failing(mqtt.publishAsync('press/1', 'x', { qos: 1 }))
    await mqtt.endAsync()
    await until(
      () => told().some(({ data }) => data['client'] === '127.0.0.1' && data['mechanism'] === 'password'),
      10_000,
      'the audit',
    )
    const all = told()
    const of = (type: string): Told[] => all.filter((record) => record.type === `headwater.${type}`)
    expect(of('topic.created').find(({ subject }) => subject === 'press')?.data).toEqual({
      principal: 'User:root',
      client: '127.0.0.1',
      outcome: 'done',
      detail: 'partitions=3, retention.ms=60000',
      repeated: 0,
    })
    expect(of('topic.grown').map(({ data }) => data['detail'])).toEqual(['partitions=4'])
    expect(of('topic.deleted').map(({ subject }) => subject)).toEqual(['short-lived'])
    expect(of('config.changed').map(({ subject, data }) => [subject, data['outcome'], data['detail']])).toEqual([
      ['topic:press', 'done', 'all of them, retention.ms=120000'],
      ['topic:press', 'INVALID_CONFIG', 'all of them, secret.key (value left out)'],
    ])
    expect(of('acl.created')).toHaveLength(4)
    expect(of('acl.deleted').map(({ data }) => data['detail'])).toEqual([
      'allow User:writer from * delete topic literal "press"',
    ])
    expect(of('authentication.succeeded').map(({ subject }) => subject)).toContain('User:root')
    expect(of('authentication.failed').map(({ subject }) => subject)).toEqual([
      'User:writer',
      'User:evil\r\n\u001b[31m',
    ])
    // Five refusals within ten seconds are one record.
    const denied = of('authorization.denied').filter(({ subject }) => subject === 'topic:press')
    expect(denied.map(({ data }) => `${data['principal']} ${data['operation']}`)).toContain('User:nobody describe')
    expect(new Set(denied.map(({ data }) => JSON.stringify(data))).size).toBe(denied.length)
    expect(Buffer.from(auditText()).filter((byte) => (byte < 0x20 && byte !== 0x0a) || byte > 0x7e)).toHaveLength(0)
  })

  it('is read by superusers and by nobody else, whatever entries they have', { timeout: 30_000 }, async () => {
    const lines = await readTopic('root')
    expect(readAuditLine(lines[0] ?? '')).toMatchObject({ sequence: 0, type: 'headwater.audit.started' })
    await expect(readTopic('auditor')).rejects.toThrow(/[Nn]ot authorized/)
  })

  it('holds no secret, and neither do logs, figures, answers and the arguments of the process', async () => {
    const proc = (name: string): string => readFileSync(`/proc/${daemon.pid}/${name}`, 'utf8')
    const http = async (path: string): Promise<string> => (await fetch(`http://${daemon.http}${path}`)).text()
    const places = {
      audit: auditText(),
      log: readFileSync(logFile, 'utf8'),
      metrics: await http('/metrics'),
      status: await http('/api/status'),
      arguments: proc('cmdline'),
      environment: proc('environ'),
    }
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, place).toBeGreaterThan(0)
      expect(text.includes(canary) || text.includes(Buffer.from(canary).toString('base64')), place).toBe(false)
    }
  })

  it('is whole after a stop and after a kill, offline, in both places; and what was done to it is named', {
    timeout: 60_000,
  }, async () => {
    const place = ['--config', configFile, '--data-dir', dataDir]
    await daemon.stop()
    expect((await headwater(['audit', 'verify', ...place])).stdout).toMatch(/whole; its end is/)
    const topic = await headwater(['audit', 'verify', '--topic', '--json', ...place])
    expect(JSON.parse(topic.stdout)).toMatchObject({ isWhole: true, firstSequence: 0, uncleanStops: 0 })
    await start()
    await failing(as('writer', 'wrong').admin().connect())
    await until(() => told().at(-1)?.type === 'headwater.authentication.failed', 10_000, 'the failure in the audit')
    await daemon.kill()
    await start()
    await failing(as('writer', 'wrong').admin().connect())
    await until(() => told().at(-1)?.type === 'headwater.authentication.failed', 10_000, 'the failure in the audit')
    await daemon.stop()
    const report = JSON.parse((await headwater(['audit', 'verify', '--json', ...place])).stdout) as {
      lastSequence: number
      lastHash: string
    }
    expect(report).toMatchObject({ isWhole: true, uncleanStops: 1, gaps: [] })
    const anchor = `${report.lastSequence}:${report.lastHash}`
    expect(await headwater(['audit', 'verify', '--topic', '--anchor', anchor, ...place])).toMatchObject({ code: 0 })
    const lines = auditText().split('\n')
    const copy = join(folder, 'copy.jsonl')
    writeFileSync(copy, lines.toSpliced(4, 1).join('\n'))
    expect(await headwater(['audit', 'verify', '--file', copy])).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/NOT WHOLE at .*copy\.jsonl:5: records 4 to 4 are missing/),
    })
    const shorter = lines
      .slice(0, 6)
      .map((line) => `${line}\n`)
      .join('')
    expect(await headwater(['audit', 'verify', '--file', '-'], shorter)).toMatchObject({ code: 0 })
    expect(await headwater(['audit', 'verify', '--file', '-', '--anchor', anchor], shorter)).toMatchObject({ code: 1 })
    expect(await headwater(['audit', 'verify', '--anchor', 'x'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/SEQUENCE:HASH/),
    })
    expect(await headwater(['audit', 'verify', '--file', copy, '--topic'])).toMatchObject({ code: 1 })
    expect(await headwater(['audit', 'verify', '--data-dir', join(folder, 'nowhere')])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is no audit in .*nowhere/),
    })
    await start()
  })
})

function auditTextOrNothing(): string {
  try {
    return auditText()
  } catch {
    return ''
  }
}
