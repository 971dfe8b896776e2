/** Mirrors into an Apache Kafka that asks for tokens of an OpenID provider, and for tickets of a Kerberos realm; and the command line with both. */
import { strict as assert } from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MirrorStatus } from '../../../src/mirror/mirror-status.ts'
import { type ApacheKafka, apacheKafkaMissing, freePort, startApacheKafka } from '../apache-kafka.ts'
import { type InteropCase, lines, output, until } from '../case.ts'
import { type ClientSettings, writeClientProperties, writeKeyStore } from '../client-properties.ts'
import { hasPrograms } from '../foreign.ts'
import { daemonEnvironment, type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { audience, clients, Issuer, writeScope } from '../issuer.ts'
import { Kdc, realm } from '../kdc.ts'
import { headwater, tryHeadwater } from '../own-command.ts'

/** Short, so that the mirror lives over the end of several. */
const tokenSeconds = 6
const lastedSeconds = 2 * tokenSeconds
const missedMax = 2
const parts = 24
const recordsOfPart = 20
const mirrors = ['by-token', 'by-ticket'] as const
const jaas = 'org.apache.kafka.common.security.oauthbearer'
const krb5 = 'com.sun.security.auth.module.Krb5LoginModule'

interface Site {
  readonly folder: string
  readonly ca: string
  readonly issuer: Issuer
  readonly kdc: Kdc
  readonly central: ApacheKafka
  readonly tokens: string
  readonly tickets: string
  readonly edge: RunningHeadwater
  readonly secretFile: string
  readonly log: string
}

export const mirrorLogins: InteropCase = {
  name: 'mirrors into an Apache Kafka by tokens of an OpenID provider and by tickets of a Kerberos realm go on over the ends of them, and the command line speaks by both',
  missing: () => apacheKafkaMissing() ?? hasPrograms('krb5kdc', 'kadmin.local', 'kcat'),
  async run(folder) {
    const closers: (() => Promise<unknown>)[] = []
    try {
      const site = await open(folder, closers)
      await mirrored(site)
      await commands(site)
      await wrongSecret(site)
      const told = readFileSync(site.log, 'utf8')
      assert.ok(!told.includes(clients.writer) && !told.includes('canary'), 'no secret is told')
      assert.doesNotMatch(told, /eyJ[A-Za-z0-9_-]{10,}\./, 'no token is told')
    } finally {
      for (const close of closers.toReversed()) await close()
    }
  },
}

async function open(folder: string, closers: (() => Promise<unknown>)[]): Promise<Site> {
  const ca = join(folder, 'ca')
  const cert = async (...words: readonly string[]): Promise<void> => {
    await headwater(['cert', ...words, '--dir', ca])
  }
  await cert('init')
  await cert('issue', 'central', '--profile', 'server', '--san', '127.0.0.1')
  const kdc = await Kdc.start(join(folder, 'kdc'))
  closers.push(() => kdc.stop())
  for (const name of ['kafka/localhost', 'mirror/plant']) await kdc.add(name)
  const issuer = await Issuer.start({ tokenSeconds, keyId: 'first' })
  closers.push(() => issuer.stop())
  const { central, tokens, tickets } = await startCentral(folder, { ca, kdc, issuer })
  closers.push(() => central.stop())
  const secretFile = join(folder, 'secret')
  writeFileSync(secretFile, `${clients.writer}\n`)
  const configFile = join(folder, 'edge.yaml')
  const common = 'topics: [ "sensors" ], backOffMax: 1s'
  writeFileSync(
    configFile,
    `node: { site: plant-7 }
mirrors:
  - { name: by-token, bootstrapServers: [ "${tokens}" ], targetTopic: "by-token.{topic}", ${common},
      tls: { ca: ${ca}/ca.pem },
      sasl: { mechanism: OAUTHBEARER, tokenEndpoint: "${issuer.tokenUrl}", clientId: writer, clientSecretFile: ${secretFile}, scope: ${writeScope} } }
  - { name: by-ticket, bootstrapServers: [ "${tickets}" ], targetTopic: "by-ticket.{topic}", ${common},
      sasl: { mechanism: GSSAPI, principal: "mirror/plant@${realm}", keytab: ${kdc.keytab('mirror/plant')} } }
log: { format: json, level: debug }
`,
  )
  const log = join(folder, 'edge.log')
  const environment = { KRB5_CONFIG: kdc.configFile }
  const edge = await startHeadwater({ dataDir: join(folder, 'edge'), configFile, logFile: log, environment })
  closers.push(() => edge.stop())
  return { folder, ca, issuer, kdc, central, tokens, tickets, edge, secretFile, log }
}

/** Sessions end with their tokens; those by ticket after a few seconds. */
async function startCentral(
  folder: string,
  { ca, kdc, issuer }: { readonly ca: string; readonly kdc: Kdc; readonly issuer: Issuer },
): Promise<{ readonly central: ApacheKafka; readonly tokens: string; readonly tickets: string }> {
  const [port, controllerPort, tokenPort, ticketPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ]
  const store = writeKeyStore(join(folder, 'central.store.pem'), ca, 'central')
  const listeners = [
    `PLAINTEXT://127.0.0.1:${port}`,
    `TOKENS://127.0.0.1:${tokenPort}`,
    `TICKETS://localhost:${ticketPort}`,
    `CONTROLLER://127.0.0.1:${controllerPort}`,
  ].join(',')
  const properties = {
    listeners,
    'advertised.listeners': listeners,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,TOKENS:SASL_SSL,TICKETS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'OAUTHBEARER,GSSAPI',
    'listener.name.tokens.sasl.enabled.mechanisms': 'OAUTHBEARER',
    'listener.name.tokens.oauthbearer.sasl.jaas.config': `${jaas}.OAuthBearerLoginModule required;`,
    'listener.name.tokens.oauthbearer.sasl.server.callback.handler.class': `${jaas}.OAuthBearerValidatorCallbackHandler`,
    'listener.name.tokens.sasl.oauthbearer.jwks.endpoint.url': issuer.keysUrl,
    'listener.name.tokens.sasl.oauthbearer.expected.audience': audience,
    'listener.name.tokens.sasl.oauthbearer.expected.issuer': issuer.url,
    'listener.name.tickets.sasl.enabled.mechanisms': 'GSSAPI',
    'listener.name.tickets.gssapi.sasl.jaas.config': `${krb5} required useKeyTab=true storeKey=true keyTab="${kdc.keytab('kafka/localhost')}" principal="kafka/localhost@${realm}";`,
    'sasl.kerberos.service.name': 'kafka',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': store,
    'connections.max.reauth.ms': tokenSeconds * 1000,
  }
  const jvm = [
    `-Djava.security.krb5.conf=${kdc.configFile}`,
    `-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${issuer.keysUrl}`,
  ]
  const central = await startApacheKafka({ dir: join(folder, 'central'), port, controllerPort, properties, jvm })
  return { central, tokens: `127.0.0.1:${tokenPort}`, tickets: `localhost:${ticketPort}` }
}

/** Records for as long as several tokens last; all of them must be at the central cluster by both ways, in order, once. */
async function mirrored(site: Site): Promise<void> {
  const valuesOf = (part: number): string[] =>
    Array.from({ length: recordsOfPart }, (_, index) => `r-${part * recordsOfPart + index}`)
  for (let part = 0; part < parts; part++) {
    await produce(site, valuesOf(part))
    const nextMs = Date.now() + (lastedSeconds / parts) * 1000
    await until(() => Date.now() >= nextMs, 60_000, 'the next part')
  }
  await until(() => isEven(site), 30_000, 'the mirrors to have nothing left to send')
  const all = Array.from({ length: parts }, (_, part) => valuesOf(part)).flat()
  for (const name of mirrors) assert.deepEqual(await arrived(site, name), all, name)
  const metrics = await (await fetch(`http://${site.edge.http}/metrics`)).text()
  const failures = [...metrics.matchAll(/^headwater_mirror_link_failures_total\{[^}]*\} (\d+)/gm)]
  const lost = failures.reduce((sum, [, count]) => sum + Number(count), 0)
  // Without renewals each connection ends with each token; a busy machine may be too late for one.
  assert.ok(lost <= missedMax, `${lost} sessions were not renewed on their connection`)
}

async function produce({ edge }: Site, values: readonly string[]): Promise<void> {
  const words = ['-P', '-b', edge.kafka, '-t', 'sensors', '-p', '0', '-X', 'enable.idempotence=true']
  await output('kcat', words, { stdin: values.join('\n') })
}

async function arrived({ central }: Site, name: (typeof mirrors)[number]): Promise<readonly string[]> {
  const words = ['-C', '-b', central.bootstrap, '-t', `${name}.sensors`, '-o', 'beginning', '-e', '-q']
  return lines(await output('kcat', words))
}

async function statusOf({ edge }: Site): Promise<readonly MirrorStatus[]> {
  return ((await (await fetch(`http://${edge.http}/api/status`)).json()) as { mirrors: MirrorStatus[] }).mirrors
}

async function isEven(site: Site): Promise<boolean> {
  const all = await statusOf(site)
  return all.every(({ partitions, lagRecords }) => partitions.length > 0 && lagRecords === 0)
}

/** `headwater` by files that Kafka's own tools read too. */
async function commands({ folder, ca, issuer, kdc, tokens, tickets }: Site): Promise<void> {
  const byToken = (secret: string): ClientSettings => ({
    'security.protocol': 'SASL_SSL',
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': `${ca}/ca.pem`,
    'sasl.mechanism': 'OAUTHBEARER',
    'sasl.jaas.config': `${jaas}.OAuthBearerLoginModule required;`,
    'sasl.oauthbearer.token.endpoint.url': issuer.tokenUrl,
    'sasl.oauthbearer.jwt.retriever.class': `${jaas}.ClientCredentialsJwtRetriever`,
    'sasl.oauthbearer.client.credentials.client.id': 'writer',
    'sasl.oauthbearer.client.credentials.client.secret': secret,
    'sasl.oauthbearer.scope': writeScope,
  })
  const byTicket = (principal: string): ClientSettings => ({
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'GSSAPI',
    'sasl.kerberos.service.name': 'kafka',
    'sasl.jaas.config': `${krb5} required useKeyTab=true storeKey=true keyTab="${kdc.keytab('mirror/plant')}" principal="${principal}@${realm}";`,
  })
  const token = join(folder, 'token')
  writeFileSync(token, await issuer.token('writer'))
  const byFile = {
    ...byToken(''),
    'sasl.oauthbearer.token.endpoint.url': `file://${token}`,
    'sasl.oauthbearer.jwt.retriever.class': `${jaas}.FileJwtRetriever`,
  }
  const fromFile = Object.fromEntries(Object.entries(byFile).filter(([name]) => !/credentials|scope/.test(name)))
  const env = { ...daemonEnvironment(), KRB5_CONFIG: kdc.configFile }
  const cases: readonly [string, string, ClientSettings, RegExp | null][] = [
    ['by-file', tokens, fromFile, null],
    ['by-issuer', tokens, byToken(clients.writer), null],
    ['by-ticket', tickets, byTicket('mirror/plant'), null],
    ['wrong-secret', tokens, byToken('canary'), /POST http:\/\/127\.0\.0\.1:\d+\/token: HTTP status 401/],
    [
      'wrong-principal',
      tickets,
      byTicket('somebody'),
      /GSSAPI: somebody@.* by .*mirror_plant\.keytab to kafka@localhost: /,
    ],
  ]
  for (const [name, address, settings, refusal] of cases) {
    const file = writeClientProperties(join(folder, `${name}.properties`), settings)
    const { code, stdout, stderr } = await tryHeadwater(
      ['topics', 'list', '-b', address, '--command-config', file],
      env,
    )
    if (refusal === null) assert.match(stdout, /by-ticket\.sensors/, `${name}: ${stderr}`)
    else assert.match(stderr, refusal, name)
    assert.equal(code, refusal === null ? 0 : 1, name)
    assert.ok(!stderr.includes('canary'), 'no secret is told')
  }
}

/** A secret that the issuer refuses stops the mirror with a reason; the right one lets it go on, and nothing is lost. */
async function wrongSecret(site: Site): Promise<void> {
  const lastError = async (): Promise<string> =>
    (await statusOf(site)).find(({ name }) => name === 'by-token')?.lastError ?? ''
  writeFileSync(site.secretFile, 'canary\n')
  await until(async () => /HTTP status 401/.test(await lastError()), 30_000, 'the mirror to say that it is refused')
  writeFileSync(site.secretFile, `${clients.writer}\n`)
  await produce(site, ['last'])
  await until(async () => (await arrived(site, 'by-token')).at(-1) === 'last', 30_000, 'the mirror to go on')
}
