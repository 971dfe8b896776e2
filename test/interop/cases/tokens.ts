/** SASL/OAUTHBEARER with a real OpenID provider: Kafka's Java clients, librdkafka, kafkajs and mosquitto over the end of their tokens. */
import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { writeClientProperties } from '../client-properties.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { type RunningHeadwater, repositoryRoot, startHeadwater } from '../headwater.ts'
import { audience, type ClientName, clients, Issuer, writeScope } from '../issuer.ts'
import { foreignPython } from '../python.ts'

const tools = {
  producer: 'org.apache.kafka.tools.ConsoleProducer',
  consumer: 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  load: 'org.apache.kafka.tools.ProducerPerformance',
} as const
/** Short, so that every client lives over the end of several. */
const tokenSeconds = 6

export const tokensOfAnOpenIdProvider: InteropCase = {
  name: 'tokens of an OpenID provider let Java, librdkafka, kafkajs and mosquitto in, over their end, and no longer than that',
  missing: () => apacheKafkaMissing() ?? hasPrograms('mosquitto_pub'),
  async run(folder) {
    let issuer = await Issuer.start({ tokenSeconds, keyId: 'first' })
    const { port } = issuer
    const log = `${folder}/headwater.log`
    const start = (): Promise<RunningHeadwater> => startDaemon(folder, log, issuer)
    let daemon = await start()
    try {
      await until(() => readFileSync(log, 'utf8').includes('token-keys-loaded'), 10_000, 'the keys')
      await javaClients(folder, daemon, issuer)
      await librdkafka(daemon, issuer)
      await kafkajs(daemon, issuer)
      await mosquitto(daemon, issuer)
      assert.deepEqual(faultsOf(log), [], 'nobody with a good token was refused')
      await refusals(folder, daemon, issuer)

      // Another key: the first token by it brings the new set about.
      await issuer.stop()
      issuer = await Issuer.start({ tokenSeconds, port, keyId: 'second' })
      const open = async (): Promise<number> => publish(daemon, await issuer.token('writer'))
      await until(async () => (await open()) === 0, 20_000, 'a token by the new key')

      // The issuer and the network are gone, and the node starts again.
      const [token] = await Promise.all([issuer.token('writer'), daemon.stop()])
      await issuer.stop()
      daemon = await start()
      assert.equal(await publish(daemon, token), 0, 'a token of before, without the issuer')
    } finally {
      await daemon.stop()
      await issuer.stop().catch(() => {})
    }
  },
}

function startDaemon(folder: string, logFile: string, issuer: Issuer): Promise<RunningHeadwater> {
  const configFile = `${folder}/headwater.yaml`
  writeFileSync(
    configFile,
    `listeners:
  kafka: [ { listen: "127.0.0.1:0", saslMechanisms: [OAUTHBEARER] } ]
  mqtt: [ { listen: "127.0.0.1:0", authentication: token } ]
kafka:
  sasl.oauthbearer.jwks.endpoint.url: ${issuer.keysUrl}
  sasl.oauthbearer.expected.issuer: ${issuer.url}
  sasl.oauthbearer.expected.audience: ${audience}
  sasl.oauthbearer.clock.skew.seconds: 0
  group.initial.rebalance.delay.ms: 0
oauthbearer: { requiredScopes: [${writeScope}] }
log: { format: json }
`,
  )
  return startHeadwater({ dataDir: `${folder}/data`, configFile, kafkaPort: null, mqttPort: null, logFile })
}

/** Reasons of refused authentications. */
function faultsOf(log: string): readonly string[] {
  return lines(readFileSync(log, 'utf8'))
    .map((line) => JSON.parse(line) as { readonly event?: string; readonly reason?: string })
    .filter(({ event }) => event === 'authentication-failed')
    .map(({ reason = '' }) => reason)
}

function javaProperties(folder: string, issuer: Issuer, client: ClientName, scope = writeScope): string {
  const module = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'
  const settings = {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'OAUTHBEARER',
    'sasl.oauthbearer.token.endpoint.url': issuer.tokenUrl,
    'sasl.login.callback.handler.class': 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler',
    // Its defaults are for tokens of an hour.
    'sasl.login.refresh.min.period.seconds': 1,
    'sasl.login.refresh.buffer.seconds': 1,
    'sasl.jaas.config': `${module} required clientId="${client}" clientSecret="${clients[client]}"${scope === '' ? '' : ` scope="${scope}"`};`,
  }
  return writeClientProperties(`${folder}/${client}${scope}.properties`, settings)
}

function java(tool: keyof typeof tools, args: readonly string[], issuer: Issuer, stdin?: string) {
  const jvm = [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${issuer.tokenUrl}`]
  return kafkaTool(tools[tool], args, { jvm, ...(stdin === undefined ? {} : { stdin }) })
}

async function javaClients(folder: string, { kafka }: RunningHeadwater, issuer: Issuer): Promise<void> {
  const properties = javaProperties(folder, issuer, 'writer')
  const to = ['--bootstrap-server', kafka, '--topic', 'by-java', '--command-config', properties]
  const written = await java('producer', to, issuer, 'one\ntwo\n')
  assert.equal(written.code, 0, written.stdout + written.stderr)
  const read = await java('consumer', [...to, '--group', 'g', '--from-beginning', '--max-messages', '2'], issuer)
  assert.equal(read.stdout.trim(), 'one\ntwo', read.stderr)
  // Three tokens long, and not one record is lost.
  const seconds = 3 * tokenSeconds
  const load = ['--bootstrap-server', kafka, '--command-config', properties, '--topic', 'by-java-load']
  const size = ['--num-records', String(20 * seconds), '--record-size', '20', '--throughput', '20']
  const loaded = await java('load', [...load, ...size], issuer)
  assert.match(loaded.stdout, new RegExp(`^${20 * seconds} records sent`, 'm'), loaded.stdout + loaded.stderr)
  assert.doesNotMatch(loaded.stdout + loaded.stderr, /Exception/)
}

async function librdkafka({ kafka }: RunningHeadwater, issuer: Issuer): Promise<void> {
  const python = foreignPython()
  if (python.path === null) {
    console.log(`  ${python.why}`)
    return
  }
  const script = `${repositoryRoot}/test/interop/programs/confluent-tokens.py`
  const who = ['writer', clients.writer, writeScope]
  const seconds = String(2.5 * tokenSeconds)
  const count = await output(python.path, [script, kafka, issuer.tokenUrl, ...who, 'by-librdkafka', seconds])
  assert.ok(Number(count) > 20, count)
}

async function kafkajs({ kafka }: RunningHeadwater, issuer: Issuer): Promise<void> {
  let asked = 0
  const oauthBearerProvider = async (): Promise<{ readonly value: string }> => {
    asked++
    return { value: await issuer.token('writer') }
  }
  const sasl = { mechanism: 'oauthbearer', oauthBearerProvider } as const
  const producer = new Kafka({ brokers: [kafka], sasl, logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  const send = async (): Promise<boolean> => {
    const [answer] = await producer.send({ topic: 'by-kafkajs', messages: [{ value: 'x' }] })
    assert.equal(answer?.errorCode, 0)
    return asked >= 3
  }
  await until(send, 4 * tokenSeconds * 1000, 'kafkajs to authenticate again')
  await producer.disconnect()
}

/** The exit code of mosquitto_pub with a token as its password. */
async function publish({ mqtt }: RunningHeadwater, token: string): Promise<number> {
  const [host = '', port = ''] = mqtt.split(':')
  const words = [
    '-h',
    host,
    '-p',
    port,
    '-V',
    'mqttv5',
    '-q',
    '1',
    '-t',
    'plant/a',
    '-m',
    'x',
    '-u',
    'writer',
    '-P',
    token,
  ]
  return (await program('mosquitto_pub', words, { timeoutMs: 20_000 })).code
}

async function mosquitto(daemon: RunningHeadwater, issuer: Issuer): Promise<void> {
  assert.equal(await publish(daemon, await issuer.token('writer')), 0)
  // A subscriber without AUTH is told to go when its token ends.
  const [host = '', port = ''] = daemon.mqtt.split(':')
  const login = ['-u', 'writer', '-P', await issuer.token('writer')]
  const place = ['-h', host, '-p', port, '-V', 'mqttv5', '-t', 'plant/#', '-d', '-W', String(3 * tokenSeconds)]
  const heard = await program('mosquitto_sub', [...place, ...login], { timeoutMs: 60_000 })
  assert.match(heard.stdout + heard.stderr, /DISCONNECT.*\(160\)|maximum connect time/i)
}

async function refusals(folder: string, daemon: RunningHeadwater, issuer: Issuer): Promise<void> {
  const properties = javaProperties(folder, issuer, 'reader', '')
  const to = ['--bootstrap-server', daemon.kafka, '--topic', 'by-java', '--command-config', properties]
  const denied = await java('consumer', [...to, '--timeout-ms', '8000'], issuer)
  assert.match(denied.stdout + denied.stderr, /SaslAuthenticationException.*insufficient_scope/)
  const old = await issuer.token('writer')
  const { exp = 0 } = JSON.parse(Buffer.from(old.split('.')[1] ?? '', 'base64url').toString()) as {
    readonly exp?: number
  }
  await until(() => Date.now() / 1000 > exp, 2 * tokenSeconds * 1000, 'the end of a token')
  assert.notEqual(await publish(daemon, old), 0)
  assert.notEqual(await publish(daemon, await issuer.token('reader', '')), 0)
  assert.notEqual(await publish(daemon, `${(await issuer.token('writer')).slice(0, -4)}AAAA`), 0)
}
