/** A secured node goes to Apache Kafka: the printed server.properties lets the same users in by TLS and SCRAM, with the same rights. */
import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, freePort, kafkaTool, startApacheKafka, type ToolResult } from '../apache-kafka.ts'
import type { InteropCase } from '../case.ts'
import { scramSettings, writeClientProperties } from '../client-properties.ts'
import { hasPrograms } from '../foreign.ts'
import { startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'

const users = { admin: 'canary-admin-password', alice: 'canary-alice-password', bob: 'canary-bob-password' } as const
type User = keyof typeof users
const tools = {
  acls: 'org.apache.kafka.tools.AclCommand',
  producer: 'org.apache.kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
} as const

interface Place {
  readonly folder: string
  readonly ca: string
  readonly plain: string
  readonly secured: string
  readonly dataDir: string
}

export const securedExport: InteropCase = {
  name: 'a node with TLS, SCRAM and access control is opened by Apache Kafka with the same users and rights',
  missing: () => apacheKafkaMissing() ?? hasPrograms('openssl'),
  async run(folder) {
    const address = async (): Promise<string> => `127.0.0.1:${await freePort()}`
    const [plain, secured] = [await address(), await address()]
    const place = { folder, ca: join(folder, 'ca'), plain, secured, dataDir: join(folder, 'data') }
    await headwater(['cert', 'init', '--dir', place.ca])
    await headwater(['cert', 'issue', 'edge', '--dir', place.ca, '--profile', 'server', '--san', '127.0.0.1'])
    await withUsers(place)
    await withRights(place)
    await inKafka(place)
  },
}

function configOf({ folder, ca, plain, secured }: Place, isAuthorized: boolean): string {
  const path = join(folder, 'headwater.yaml')
  const rights =
    'authorizer.class.name: org.apache.kafka.metadata.authorizer.StandardAuthorizer, super.users: "User:admin"'
  writeFileSync(
    path,
    `listeners:
  kafka:
    - { listen: "${plain}" }
    - { listen: "${secured}", tls: { certificate: ${ca}/issued/edge.pem, key: ${ca}/issued/edge.key }, saslMechanisms: [SCRAM-SHA-256, PLAIN] }
kafka: { group.initial.rebalance.delay.ms: 0${isAuthorized ? `, ${rights}` : ''} }
`,
  )
  return path
}

async function withUsers(place: Place): Promise<void> {
  const options = { dataDir: place.dataDir, configFile: configOf(place, false), kafkaPort: null }
  const daemon = await startHeadwater(options)
  try {
    for (const [user, password] of Object.entries(users))
      await headwater(['users', 'set', user, '-b', place.plain], `${password}\n`)
    await headwater(['topics', 'create', 'readings', '-b', place.plain])
    await headwater(['produce', 'readings', '-b', place.plain], 'one\ntwo\n')
  } finally {
    assert.equal(await daemon.stop(), 0)
  }
}

async function withRights(place: Place): Promise<void> {
  const logFile = join(place.folder, 'headwater.log')
  const options = { dataDir: place.dataDir, configFile: configOf(place, true), kafkaPort: null, logFile }
  const daemon = await startHeadwater(options)
  try {
    const grant = [
      '--add',
      '--allow-principal',
      'User:alice',
      '--consumer',
      '--producer',
      '--topic',
      'readings',
      '--group',
      '*',
    ]
    const granted = await as('admin', 'acls', place, grant)
    assert.equal(granted.code, 0, granted.stdout + granted.stderr)
    await rightsHold(place, ['one', 'two'])
  } finally {
    assert.equal(await daemon.stop(), 0)
  }
}

/** Alice reads and writes, bob does not, and nobody comes in by another's password. */
async function rightsHold(place: Place, values: readonly string[]): Promise<void> {
  const reading = ['--topic', 'readings', '--from-beginning', '--timeout-ms', '10000']
  const read = await as('alice', 'consumer', place, [...reading, '--max-messages', String(values.length)])
  assert.deepEqual(read.stdout.trim().split('\n'), values, read.stderr)
  const denied = await as('bob', 'consumer', place, reading)
  assert.match(denied.stdout + denied.stderr, /TopicAuthorizationException|Not authorized/i)
  const stranger = await as('alice', 'consumer', place, reading, { password: users.bob })
  assert.match(stranger.stdout + stranger.stderr, /SaslAuthenticationException/)
}

function as(
  user: User,
  tool: keyof typeof tools,
  { folder, ca, secured }: Place,
  args: readonly string[],
  more: { readonly password?: string; readonly stdin?: string } = {},
): Promise<ToolResult> {
  const { password = users[user], stdin } = more
  const settings = scramSettings(user, password, 'SCRAM-SHA-256', `${ca}/ca.pem`)
  const path = writeClientProperties(join(folder, `${user}.properties`), settings)
  const to = ['--bootstrap-server', secured, '--command-config', path]
  return kafkaTool(tools[tool], [...to, ...args], stdin === undefined ? {} : { stdin })
}

async function inKafka(place: Place): Promise<void> {
  const [controllerPort, internalPort] = [await freePort(), await freePort()]
  const secretFile = join(place.folder, 'broker.secret')
  const own = [
    '--controller',
    `127.0.0.1:${controllerPort}`,
    '--internal',
    `127.0.0.1:${internalPort}`,
    '--secret-file',
    secretFile,
  ]
  const printed = await headwater([
    'export-kafka',
    '--config',
    configOf(place, true),
    '--data-dir',
    place.dataDir,
    ...own,
  ])
  const keys = readFileSync(`${place.ca}/issued/edge.key`, 'utf8').split('\n').slice(1, 3)
  const secrets = [...Object.values(users), ...keys]
  assert.deepEqual(
    secrets.filter((secret) => printed.includes(secret)),
    [],
    'no secret is printed',
  )

  // What the comments ask for, and nothing else.
  const store = /^# SASL_SSL: .*: cat (\S+) (\S+) > (\S+)$/m.exec(printed)
  assert.ok(store, printed)
  const [, key = '', certificate = '', target = ''] = store
  writeFileSync(target, readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'), { mode: 0o600 })
  assert.ok(printed.includes(`put a line password=SOMETHING-LONG into ${secretFile}`), printed)
  writeFileSync(secretFile, 'password=canary-of-the-broker\n', { mode: 0o600 })
  const kafka = await startApacheKafka({
    dir: join(place.folder, 'kafka'),
    logDir: join(place.dataDir, 'log'),
    port: Number(place.plain.split(':')[1]),
    controllerPort,
    serverProperties: printed,
  })
  try {
    const written = await as('alice', 'producer', place, ['--topic', 'readings'], { stdin: 'three\n' })
    assert.equal(written.code, 0, written.stdout + written.stderr)
    await rightsHold(place, ['one', 'two', 'three'])
  } finally {
    await kafka.stop()
  }
}
