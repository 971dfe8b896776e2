/** A mirror into an Apache Kafka that asks for TLS, a certificate and a user, over ends of sessions and changes of secrets; and the command line to both. */
import { strict as assert } from 'node:assert'
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MirrorStatus } from '../../../src/mirror/mirror-status.ts'
import { type ApacheKafka, apacheKafkaMissing, freePort, kafkaTool, startApacheKafka } from '../apache-kafka.ts'
import { type InteropCase, lines, output, until } from '../case.ts'
import { writeKeyStore } from '../client-properties.ts'
import { hasPrograms } from '../foreign.ts'
import { type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { headwater, tryHeadwater } from '../own-command.ts'

const sessionMs = 4_000
const secrets = { first: 'canary-first-password', second: 'canary-second-password', plain: 'canary-plain-password' }

interface Site {
  readonly folder: string
  readonly central: ApacheKafka
  /** HOST:PORT of its secured listener. */
  readonly secured: string
  readonly edge: RunningHeadwater
  /** HOST:PORT of its secured listener. */
  readonly securedEdge: string
  readonly log: string
  readonly ca: string
  readonly passwordFile: string
}

export const securedMirror: InteropCase = {
  name: 'a mirror into an Apache Kafka with SASL_SSL goes on over the ends of its sessions and new secrets, and the command line speaks to both',
  missing: () => apacheKafkaMissing() ?? hasPrograms('openssl', 'kcat'),
  async run(folder) {
    const site = await open(folder)
    try {
      await mirrored(site, 0, 3_000)
      assert.equal(await failuresOf(site), 0, 'sessions are renewed on the connection')
      await newSecrets(site)
      await wrongSecret(site)
      await commands(site)
      const told = readFileSync(site.log, 'utf8') + (await metricsOf(site)) + (await statusText(site))
      assert.deepEqual(
        Object.values(secrets).filter((secret) => told.includes(secret)),
        [],
        'no secret is told',
      )
    } finally {
      await site.edge.stop()
      await site.central.stop()
    }
  },
}

async function open(folder: string): Promise<Site> {
  const ca = join(folder, 'ca')
  await headwater(['cert', 'init', '--dir', ca])
  await headwater(['cert', 'issue', 'central', '--dir', ca, '--profile', 'server', '--san', '127.0.0.1'])
  await headwater(['cert', 'issue', 'edge', '--dir', ca, '--profile', 'server', '--san', '127.0.0.1'])
  await headwater(['cert', 'issue', 'mirror', '--dir', ca, '--profile', 'client'])
  const { central, secured } = await startCentral(folder, ca)
  await setPassword(central, secrets.first)
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${secrets.first}\n`)
  const configFile = join(folder, 'edge.yaml')
  const securedEdge = `127.0.0.1:${await freePort()}`
  writeFileSync(
    configFile,
    `node: { site: plant-7 }
listeners:
  kafka:
    - { listen: "127.0.0.1:0" }
    - { listen: "${securedEdge}", tls: { certificate: ${ca}/issued/edge.pem, key: ${ca}/issued/edge.key }, saslMechanisms: [SCRAM-SHA-512, PLAIN] }
mirrors:
  - name: central
    bootstrapServers: [ "${secured}" ]
    topics: [ "sensors" ]
    targetTopic: "{site}.{topic}"
    backOffMax: 2s
    tls: { ca: ${ca}/ca.pem, certificate: ${ca}/issued/mirror.pem, key: ${ca}/issued/mirror.key }
    sasl: { mechanism: SCRAM-SHA-512, userName: mirror, passwordFile: ${passwordFile} }
log: { format: json, level: debug }
`,
  )
  const log = join(folder, 'edge.log')
  const options = { dataDir: join(folder, 'edge'), configFile, kafkaPort: null, logFile: log }
  const edge = await startHeadwater(options)
  return { folder, central, secured, edge, securedEdge, log, ca, passwordFile }
}

/** Clients must show a certificate and a user; sessions end after a few seconds. */
async function startCentral(
  folder: string,
  ca: string,
): Promise<{ readonly central: ApacheKafka; readonly secured: string }> {
  const [port, controllerPort, securedPort] = [await freePort(), await freePort(), await freePort()]
  const store = writeKeyStore(join(folder, 'central.store.pem'), ca, 'central')
  const listeners = `PLAINTEXT://127.0.0.1:${port},SECURED://127.0.0.1:${securedPort},CONTROLLER://127.0.0.1:${controllerPort}`
  const jaas = 'org.apache.kafka.common.security'
  const properties = {
    listeners,
    'advertised.listeners': listeners,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
    'listener.name.secured.scram-sha-512.sasl.jaas.config': `${jaas}.scram.ScramLoginModule required;`,
    'listener.name.secured.plain.sasl.jaas.config': `${jaas}.plain.PlainLoginModule required user_operator="${secrets.plain}";`,
    'listener.name.secured.ssl.client.auth': 'required',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': store,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': `${ca}/ca.pem`,
    'connections.max.reauth.ms': sessionMs,
  }
  const central = await startApacheKafka({ dir: join(folder, 'central'), port, controllerPort, properties })
  return { central, secured: `127.0.0.1:${securedPort}` }
}

async function setPassword(central: ApacheKafka, password: string): Promise<void> {
  const user = ['--bootstrap-server', central.bootstrap, '--entity-type', 'users', '--entity-name', 'mirror']
  const credential = ['--alter', '--add-config', `SCRAM-SHA-512=[iterations=4096,password=${password}]`]
  const result = await kafkaTool('kafka.admin.ConfigCommand', [...user, ...credential])
  assert.equal(result.code, 0, result.stdout + result.stderr)
}

/** Records from `first` on, for three sessions; all of them must be at the central cluster in order, once. */
async function mirrored(site: Site, first: number, count: number): Promise<void> {
  const parts = 30
  for (let part = 0; part < parts; part++) {
    const from = first + (part * count) / parts
    const values = Array.from({ length: count / parts }, (_, index) => `r-${from + index}`)
    await output('kcat', ['-P', '-b', site.edge.kafka, '-t', 'sensors', '-X', 'enable.idempotence=true'], {
      stdin: values.join('\n'),
    })
    const nextMs = Date.now() + (3 * sessionMs) / parts
    await until(() => Date.now() >= nextMs, 60_000, 'the next part')
  }
  await until(async () => (await lagOf(site)) === 0, 60_000, 'the mirror to have nothing left to send')
  const words = ['-C', '-b', site.central.bootstrap, '-t', 'plant-7.sensors', '-o', 'beginning', '-e', '-q']
  const found = lines(await output('kcat', words))
  assert.deepEqual(
    found,
    Array.from({ length: first + count }, (_, index) => `r-${index}`),
  )
}

async function statusText({ edge }: Site): Promise<string> {
  return (await fetch(`http://${edge.http}/api/status`)).text()
}

async function mirrorOf(site: Site): Promise<MirrorStatus | undefined> {
  return (JSON.parse(await statusText(site)) as { mirrors: MirrorStatus[] }).mirrors[0]
}

async function lagOf(site: Site): Promise<number> {
  const mirror = await mirrorOf(site)
  return mirror === undefined || mirror.partitions.length === 0 ? -1 : mirror.lagRecords
}

async function metricsOf({ edge }: Site): Promise<string> {
  return (await fetch(`http://${edge.http}/metrics`)).text()
}

async function failuresOf(site: Site): Promise<number> {
  const found = /^headwater_mirror_link_failures_total\{[^}]*\} (\d+)/m.exec(await metricsOf(site))
  return Number(found?.[1] ?? 0)
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** The password and the certificate change on both sides; the next session and the next connection take them. */
async function newSecrets(site: Site): Promise<void> {
  await setPassword(site.central, secrets.second)
  replaceFile(site.passwordFile, `${secrets.second}\n`)
  await headwater(['cert', 'renew', 'mirror', '--dir', site.ca])
  await mirrored(site, 3_000, 300)
}

/** A wrong password stops the mirror with a reason, and the right one makes it go on: nothing is lost, nothing comes twice. */
async function wrongSecret(site: Site): Promise<void> {
  replaceFile(site.passwordFile, 'canary-wrong\n')
  const refused = async (): Promise<boolean> => /authentication|SASL/i.test((await mirrorOf(site))?.lastError ?? '')
  await until(refused, 30_000, 'the mirror to say that it is refused')
  assert.doesNotMatch(readFileSync(site.log, 'utf8'), /canary-wrong/)
  replaceFile(site.passwordFile, `${secrets.second}\n`)
  await mirrored(site, 3_300, 300)
}

/** `headwater` by the files of Kafka's own tools. */
async function commands({ folder, secured, edge, ca, securedEdge }: Site): Promise<void> {
  const store = writeKeyStore(join(folder, 'client.store.pem'), ca, 'mirror')
  const properties = (name: string, mechanism: string, module: string, user: string, password: string): string => {
    const path = join(folder, `${name}.properties`)
    const settings = [
      'security.protocol=SASL_SSL',
      'ssl.truststore.type=PEM',
      `ssl.truststore.location=${ca}/ca.pem`,
      `sasl.mechanism=${mechanism}`,
      `sasl.jaas.config=org.apache.kafka.common.security.${module} required \\\n  username="${user}" \\\n  password="${password}";`,
    ]
    writeFileSync(path, `# as Kafka's own tools read it\n${settings.join('\n')}\n`)
    return path
  }
  const withCertificate = (path: string): string => {
    appendFileSync(path, `ssl.keystore.type=PEM\nssl.keystore.location=${store}\n`)
    return path
  }
  const topics = (address: string, path: string) =>
    headwater(['topics', 'list', '-b', address, '--command-config', path])
  const scram = withCertificate(
    properties('scram', 'SCRAM-SHA-512', 'scram.ScramLoginModule', 'mirror', secrets.second),
  )
  const plain = withCertificate(properties('plain', 'PLAIN', 'plain.PlainLoginModule', 'operator', secrets.plain))
  for (const path of [scram, plain]) {
    assert.match(await topics(secured, path), /plant-7\.sensors/)
    const theirs = await kafkaTool('org.apache.kafka.tools.TopicCommand', [
      '--list',
      '--bootstrap-server',
      secured,
      '--command-config',
      path,
    ])
    assert.match(theirs.stdout, /plant-7\.sensors/, 'the same file does for their tools')
  }

  // The same against a listener of ours with a user of its own.
  for (const mechanism of ['SCRAM-SHA-512', 'SCRAM-SHA-256']) {
    await headwater(['users', 'set', 'operator', '--mechanism', mechanism, '-b', edge.kafka], `${secrets.plain}\n`)
  }
  const ownScram = properties('own-scram', 'SCRAM-SHA-512', 'scram.ScramLoginModule', 'operator', secrets.plain)
  const ownPlain = properties('own-plain', 'PLAIN', 'plain.PlainLoginModule', 'operator', secrets.plain)
  for (const path of [ownScram, ownPlain]) assert.match(await topics(securedEdge, path), /sensors/)
  const wrong = properties('wrong', 'SCRAM-SHA-512', 'scram.ScramLoginModule', 'operator', 'canary-wrong')
  const refused = await tryHeadwater(['topics', 'list', '-b', securedEdge, '--command-config', wrong])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /SCRAM-SHA-512: Authentication failed/)
  assert.doesNotMatch(refused.stderr, /canary/)
}
