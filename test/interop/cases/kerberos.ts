/** SASL/GSSAPI with a real KDC: Kafka's Java clients and kcat come in by their tickets, and nobody else does. */
import { strict as assert } from 'node:assert'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, kafkaTool, type ToolResult } from '../apache-kafka.ts'
import { type InteropCase, lines, output, program } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { freePort, repositoryRoot, type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { Kdc, realm } from '../kdc.ts'

const tools = {
  producer: 'org.apache.kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
} as const
const standard = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
const triple = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
const saslModule = `/usr/lib/${triple}/sasl2/libgssapiv2.so`

interface Site {
  readonly folder: string
  readonly kdc: Kdc
  readonly daemon: RunningHeadwater
  readonly address: string
  readonly log: string
}

export const ticketsOfARealm: InteropCase = {
  name: 'tickets of a Kerberos realm let Java clients and kcat in as their principals, with the rights of these',
  missing: () => apacheKafkaMissing() ?? hasPrograms('krb5kdc', 'kadmin.local', 'kinit', 'kcat'),
  async run(folder) {
    const kdc = await Kdc.start(join(folder, 'kdc'))
    try {
      for (const name of ['kafka/localhost', 'kafka/other', 'alice', 'bob/plant']) await kdc.add(name)
      const site = await open(folder, kdc, kdc.keytab('kafka/localhost'))
      try {
        await javaClients(site)
        await kcat(site)
        await mqtt(site)
        await refusals(site)
      } finally {
        await site.daemon.stop()
      }
      await withoutKey(folder, kdc)
    } finally {
      await kdc.stop()
    }
  },
}

async function open(folder: string, kdc: Kdc, keytab: string): Promise<Site> {
  const [port, mqttPort] = [await freePort(), await freePort()]
  const configFile = join(folder, 'headwater.yaml')
  writeFileSync(
    configFile,
    `listeners:
  kafka: [ { listen: "127.0.0.1:${port}", advertise: "localhost:${port}", saslMechanisms: [GSSAPI] } ]
  mqtt: [ { listen: "127.0.0.1:${mqttPort}", saslMechanisms: [GSSAPI] } ]
kerberos: { keytab: ${keytab}, principal: kafka/localhost@${realm} }
kafka:
  authorizer.class.name: ${standard}
  super.users: "User:alice"
  sasl.kerberos.principal.to.local.rules: "RULE:[2:$1-$2@$0](bob-.*@${realm})s/@.*//U,DEFAULT"
  group.initial.rebalance.delay.ms: 0
log: { format: json }
`,
  )
  const log = join(folder, 'headwater.log')
  const environment = { KRB5_CONFIG: kdc.configFile, KRB5RCACHENAME: 'none:' }
  const options = {
    dataDir: join(folder, 'data'),
    configFile,
    kafkaPort: null,
    mqttPort: null,
    logFile: log,
    environment,
  }
  return { folder, kdc, daemon: await startHeadwater(options), address: `localhost:${port}`, log }
}

function java(
  site: Site,
  tool: keyof typeof tools,
  name: string,
  args: readonly string[],
  stdin?: string,
): Promise<ToolResult> {
  const path = join(site.folder, `${name.replace('/', '_')}.properties`)
  const login = `com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="${site.kdc.keytab(name)}" principal="${name}@${realm}";`
  const settings = [
    'security.protocol=SASL_PLAINTEXT',
    'sasl.mechanism=GSSAPI',
    'sasl.kerberos.service.name=kafka',
    `sasl.jaas.config=${login}`,
  ]
  writeFileSync(path, `${settings.join('\n')}\n`)
  const jvm = [`-Djava.security.krb5.conf=${site.kdc.configFile}`]
  const to = ['--bootstrap-server', site.address, '--command-config', path]
  return kafkaTool(tools[tool], [...to, ...args], { jvm, ...(stdin === undefined ? {} : { stdin }) })
}

async function javaClients(site: Site): Promise<void> {
  const written = await java(site, 'producer', 'alice', ['--topic', 'by-ticket'], 'one\ntwo\n')
  assert.equal(written.code, 0, written.stdout + written.stderr)
  const read = ['--topic', 'by-ticket', '--from-beginning', '--max-messages', '2', '--timeout-ms', '15000']
  const got = await java(site, 'consumer', 'alice', read)
  assert.equal(got.stdout.trim(), 'one\ntwo', got.stderr)
  // Another principal of the realm is somebody else, by the rule: BOB-PLANT, who has no rights.
  const denied = await java(site, 'consumer', 'bob/plant', read)
  assert.match(denied.stdout + denied.stderr, /AuthorizationException|Not authorized/i)
}

async function kcat(site: Site): Promise<void> {
  if (!existsSync(saslModule))
    return console.log('  kcat skipped: no module (Debian: apt-get install libsasl2-modules-gssapi-mit)')
  const env = { ...site.kdc.environment, KRB5CCNAME: await site.kdc.tickets('alice') }
  const settings = [
    'security.protocol=sasl_plaintext',
    'sasl.mechanisms=GSSAPI',
    'sasl.kerberos.service.name=kafka',
    'sasl.kerberos.kinit.cmd=true',
  ]
  const words = settings.flatMap((setting) => ['-X', setting])
  const place = ['-b', site.address, '-t', 'by-ticket', ...words]
  await output('kcat', ['-P', ...place], { env, stdin: 'three' })
  assert.deepEqual(lines(await output('kcat', ['-C', '-e', '-q', '-o', 'beginning', ...place], { env })), [
    'one',
    'two',
    'three',
  ])
  const without = { ...env, KRB5CCNAME: `FILE:${site.folder}/none` }
  const refused = await program('kcat', ['-L', '-m', '4', ...place], { env: without, timeoutMs: 20_000 })
  assert.notEqual(refused.code, 0)
}

/** A client of MQTT 5.0 by its ticket, in AUTH packets. There is no library that speaks it: the tickets are those of MIT Kerberos. */
async function mqtt(site: Site): Promise<void> {
  const connack = async (principal: string, service: string): Promise<number> => {
    const place = [
      '--input-type=module',
      '-e',
      mqttByTicket,
      site.daemon.mqtt,
      site.kdc.keytab(principal),
      `${principal}@${realm}`,
      service,
    ]
    const words = [join(repositoryRoot, 'tools/with-node'), 'node', ...place]
    const env = { ...site.kdc.environment, KRB5_CONFIG: site.kdc.configFile }
    return Number(await output('sh', words, { env, cwd: repositoryRoot }))
  }
  assert.equal(await connack('alice', 'kafka@localhost'), 0)
  const refused = 0x87
  assert.equal(await connack('alice', 'kafka@other'), refused, 'a ticket for another service')
}

const mqttByTicket = `
import { nodeCompute } from './src/node/compute.ts'
import { GssapiClient } from './src/security/sasl/gssapi-client.ts'
import { RawClient } from './test/attack/raw-client.ts'
import { connectPacket, field, MqttTalk, packet, properties } from './test/attack/mqtt-talk.ts'
const [address, keytab, principal, service] = process.argv.slice(1)
const client = new GssapiClient(nodeCompute().gssInitiator(keytab, principal, service))
const about = (data) => [Buffer.from([0x15]), field('GSSAPI'), Buffer.from([0x16]), field(data)]
const talk = new MqttTalk(await RawClient.connect(address), 5)
talk.raw.send(connectPacket(5, 'by-ticket', { properties: about(await client.respond(null)) }))
for (;;) {
  const { type, body } = await talk.read(10000)
  if (type === 2) { console.log(body[1]); break }
  if (type !== 15) { console.log(-type); break }
  const at = body.indexOf(Buffer.from([0x16]), 2 + 3 + 'GSSAPI'.length)
  const data = body.subarray(at + 3, at + 3 + body.readUInt16BE(at + 1))
  talk.raw.send(packet(0xf0, Buffer.from([0x18]), properties(5, ...about(await client.respond(data)))))
}
talk.close()
`

/** What is no ticket, and a ticket for another service. */
async function refusals(site: Site): Promise<void> {
  const before = failuresOf(site.log)
  const { Kafka, logLevel } = await import('kafkajs')
  for (const token of [
    Buffer.from(''),
    Buffer.from('ticket'),
    Buffer.alloc(70_000, 0x60),
    Buffer.from('6082', 'hex'),
  ]) {
    const sasl = {
      mechanism: 'GSSAPI',
      authenticationProvider: ({ saslAuthenticate }: { saslAuthenticate: (message: object) => Promise<unknown> }) => ({
        authenticate: async () => {
          const length = Buffer.alloc(4)
          length.writeInt32BE(token.length)
          const request = { encode: () => Buffer.concat([length, token]) }
          await saslAuthenticate({ request, response: { decode: (raw: Buffer) => raw, parse: () => null } })
        },
      }),
    }
    const client = new Kafka({
      brokers: [site.address],
      sasl: sasl as never,
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    }).admin()
    await assert.rejects(client.connect().then(() => client.listTopics()))
  }
  assert.ok(failuresOf(site.log) >= before + 4, readFileSync(site.log, 'utf8').slice(-2000))
}

function failuresOf(log: string): number {
  return lines(readFileSync(log, 'utf8')).filter((line) => line.includes('"event":"authentication-failed"')).length
}

/** Without a key for its principal the node starts, says so, and offers no GSSAPI. */
async function withoutKey(folder: string, kdc: Kdc): Promise<void> {
  const site = await open(folder, kdc, kdc.keytab('kafka/other'))
  try {
    assert.match(readFileSync(site.log, 'utf8'), /"event":"kerberos-missing"/)
    const refused = await java(site, 'consumer', 'alice', ['--topic', 'by-ticket', '--timeout-ms', '8000'])
    assert.match(refused.stdout + refused.stderr, /UnsupportedSaslMechanism/)
  } finally {
    await site.daemon.stop()
  }
}
