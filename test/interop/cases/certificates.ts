/** A private authority made by `headwater cert`, its revocation list in a listener, and certificates that change under load. */
import { strict as assert } from 'node:assert'
import { X509Certificate } from 'node:crypto'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import tls from 'node:tls'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { CaFolder } from '../../../src/admin/certificates/ca-folder.ts'
import { PrivateCa } from '../../../src/admin/certificates/private-ca.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'

const dayMs = 86_400_000
const rotations = 5
const loadClients = 10

interface Site {
  readonly folder: CaFolder
  readonly daemon: RunningHeadwater
  readonly log: string
  /** `headwater cert ...` */
  readonly cert: (...words: readonly string[]) => Promise<string>
  /** Where the daemon looks. */
  readonly files: { readonly certificate: string; readonly key: string; readonly crl: string }
}

export const privateAuthority: InteropCase = {
  name: 'a private authority: openssl trusts it, kcat and mosquitto are refused once revoked or expired, and rotation drops nobody',
  missing: () => hasPrograms('openssl', 'kcat', 'mosquitto_pub'),
  async run(folder) {
    const site = await open(folder)
    try {
      await trustedByOpenssl(site)
      await refusedOnceRevoked(site)
      await rotatedUnderLoad(site)
    } finally {
      await site.daemon.stop()
    }
  },
}

async function open(path: string): Promise<Site> {
  const dir = `${path}/ca`
  const cert = (...words: readonly string[]): Promise<string> => headwater(['cert', ...words, '--dir', dir])
  await cert('init', '--name', 'Plant CA')
  await cert('issue', 'edge', '--profile', 'server', '--san', 'localhost', '--san', 'IP:127.0.0.1')
  for (const name of ['press-1', 'press-2']) await cert('issue', name, '--profile', 'client')
  const folder = new CaFolder(dir)
  await new PrivateCa(folder, () => Date.now() - 30 * dayMs).issue({
    name: 'expired',
    profile: 'client',
    alternatives: [],
    days: 1,
  })
  const files = { certificate: `${path}/edge.pem`, key: `${path}/edge.key`, crl: `${path}/plant.crl` }
  install(folder.issued('edge').certificate, files.certificate)
  install(folder.issued('edge').key, files.key)
  install(folder.file('ca.crl.pem'), files.crl)
  const section = `{ certificate: ${files.certificate}, key: ${files.key}, clientCa: ${folder.file('ca.pem')}, clientCrl: ${files.crl}, clientAuth: required }`
  writeFileSync(
    `${path}/headwater.yaml`,
    `listeners:
  kafka: [ { listen: "127.0.0.1:0", tls: ${section} } ]
  mqtt: [ { listen: "127.0.0.1:0", tls: ${section} } ]
log: { format: json }
`,
  )
  const log = `${path}/headwater.log`
  const configFile = `${path}/headwater.yaml`
  const options = { dataDir: `${path}/data`, configFile, kafkaPort: null, mqttPort: null, logFile: log }
  return { folder, cert, files, log, daemon: await startHeadwater(options) }
}

/** Under its own name only when it is whole. */
function install(from: string, to: string): void {
  copyFileSync(from, `${to}.new`)
  renameSync(`${to}.new`, to)
}

function eventsOf(log: string, id: string): number {
  return lines(readFileSync(log, 'utf8')).filter((line) => line.includes(`"event":"${id}"`)).length
}

async function trustedByOpenssl({ folder }: Site): Promise<void> {
  const ca = ['-x509_strict', '-crl_check_all', '-CAfile', folder.file('ca.pem'), '-CRLfile', folder.file('ca.crl.pem')]
  const server = [...ca, '-purpose', 'sslserver', '-verify_hostname', 'localhost', folder.issued('edge').certificate]
  assert.match(await output('openssl', ['verify', ...server]), /: OK/)
  assert.match(
    await output('openssl', ['verify', ...ca, '-purpose', 'sslclient', folder.issued('press-1').certificate]),
    /: OK/,
  )
  const expired = await program('openssl', ['verify', ...ca, folder.issued('expired').certificate])
  assert.match(expired.stdout + expired.stderr, /certificate has expired/)
}

/** The exit codes of kcat and mosquitto_pub with the certificate of a name. */
async function tried({ folder, daemon }: Site, name: string): Promise<readonly boolean[]> {
  const { certificate, key } = folder.issued(name)
  const [host = '', port = ''] = daemon.mqtt.split(':')
  const place = ['-h', host, '-p', port, '--cafile', folder.file('ca.pem'), '--cert', certificate, '--key', key]
  const published = await program('mosquitto_pub', [...place, '-q', '1', '-t', 'plant/a', '-m', 'x'], {
    timeoutMs: 20_000,
  })
  const settings = {
    'security.protocol': 'ssl',
    'ssl.ca.location': folder.file('ca.pem'),
    'ssl.certificate.location': certificate,
    'ssl.key.location': key,
  }
  const words = Object.entries(settings).flatMap(([setting, value]) => ['-X', `${setting}=${value}`])
  const listed = await program('kcat', ['-L', '-b', daemon.kafka, '-m', '4', ...words], { timeoutMs: 30_000 })
  return [listed.code === 0, published.code === 0]
}

async function refusedOnceRevoked(site: Site): Promise<void> {
  const { cert, folder, files, log } = site
  assert.deepEqual(await tried(site, 'expired'), [false, false])
  assert.deepEqual(await tried(site, 'press-1'), [true, true])
  await cert('revoke', 'press-1', '--reason', 'keyCompromise')
  const before = eventsOf(log, 'tls-certificate-reloaded')
  install(folder.file('ca.crl.pem'), files.crl)
  // One event a listener.
  await until(() => eventsOf(log, 'tls-certificate-reloaded') === before + 2, 30_000, 'the new revocation list')
  assert.deepEqual(await tried(site, 'press-1'), [false, false])
  assert.deepEqual(await tried(site, 'press-2'), [true, true])
  assert.match(await cert('list'), /press-1 .*revoked/)
}

async function rotatedUnderLoad(site: Site): Promise<void> {
  const { cert, folder, files, log, daemon } = site
  const identity = {
    ca: readFileSync(folder.file('ca.pem')),
    cert: readFileSync(folder.issued('press-2').certificate),
    key: readFileSync(folder.issued('press-2').key),
  }
  let dropped = 0
  let sent = 0
  let drop: () => void = () => {}
  // A client that has lost its connection answers no publish any more.
  const lost = new Promise<never>((_, reject) => {
    drop = () => {
      dropped++
      reject(new Error('a connection was dropped'))
    }
  })
  lost.catch(() => {})
  const mqtts = await Promise.all(
    Array.from({ length: loadClients }, () =>
      connectAsync(`mqtts://${daemon.mqtt}`, { ...identity, reconnectPeriod: 0 }),
    ),
  )
  for (const client of mqtts) client.on('close', drop)
  const ssl = { ca: [identity.ca], cert: identity.cert, key: identity.key }
  const producer = new Kafka({ brokers: [daemon.kafka], ssl, logLevel: logLevel.NOTHING }).producer()
  producer.on(producer.events.DISCONNECT, drop)
  await producer.connect()
  let isOver = false
  const publishing = mqtts.map(async (client) => {
    while (!isOver) {
      await client.publishAsync('load/a', 'x', { qos: 1 })
      sent++
    }
  })
  const producing = (async (): Promise<void> => {
    while (!isOver) {
      await producer.send({ topic: 'load-kafka', messages: [{ value: 'x' }] })
      sent++
    }
  })()
  const work = Promise.all([...publishing, producing])
  // Whatever fails first is told; a refused publish must not go unseen until the end.
  const failed = work.then(() => new Error('the load ended'))
  const rotate = async (): Promise<void> => {
    for (let round = 0; round < rotations; round++) {
      await cert('renew', 'edge')
      const before = eventsOf(log, 'tls-certificate-reloaded')
      if (round === 2) await refusedWhenBad(site)
      install(folder.issued('edge').key, files.key)
      install(folder.issued('edge').certificate, files.certificate)
      await until(() => eventsOf(log, 'tls-certificate-reloaded') >= before + 2, 30_000, 'the new certificate')
      assert.equal(await serialShown(daemon, identity), serialOf(files.certificate))
    }
  }
  await Promise.race([rotate(), lost, failed.then((error) => Promise.reject(error))])
  isOver = true
  await Promise.race([work, lost])
  assert.equal(dropped, 0)
  console.log(`  ${rotations} rotations, ${sent} acknowledged on ${loadClients + 1} connections, ${dropped} dropped`)
  for (const client of mqtts) {
    client.removeAllListeners('close')
    await client.endAsync()
  }
  await producer.disconnect()
}

/** A file that is none: the certificate of before stays. */
async function refusedWhenBad({ files, log, daemon, folder }: Site): Promise<void> {
  const identity = {
    ca: readFileSync(folder.file('ca.pem')),
    cert: readFileSync(folder.issued('press-2').certificate),
    key: readFileSync(folder.issued('press-2').key),
  }
  const good = serialOf(files.certificate)
  const before = eventsOf(log, 'tls-certificate-refused')
  writeFileSync(`${files.certificate}.new`, 'not a certificate')
  renameSync(`${files.certificate}.new`, files.certificate)
  await until(() => eventsOf(log, 'tls-certificate-refused') >= before + 2, 30_000, 'the bad certificate')
  assert.equal(await serialShown(daemon, identity), good)
}

function serialOf(path: string): string {
  return new X509Certificate(readFileSync(path)).serialNumber
}

async function serialShown(daemon: RunningHeadwater, identity: tls.ConnectionOptions): Promise<string> {
  const port = Number(daemon.mqtt.split(':')[1])
  const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ...identity })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}
