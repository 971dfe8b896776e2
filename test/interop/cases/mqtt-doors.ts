/** paho-mqtt and the mosquitto clients through every kind of MQTT listener. */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { CertificateFolder, hasOpenssl } from '../../security/certificates.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { hasPrograms } from '../foreign.ts'
import { repositoryRoot, type RunningHeadwater, startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'
import { foreignPython, pythonMissing } from '../python.ts'

const opensslMissing = (): string | null =>
  hasOpenssl ? null : 'skipped: no openssl (Debian: apt-get install openssl)'

/** A daemon with a listener of each kind. */
interface Doors {
  readonly daemon: RunningHeadwater
  readonly ports: Readonly<Record<'tcp' | 'tls' | 'ws' | 'wss', string>>
  readonly unix: string
  readonly authority: string
  readonly client: { readonly certificate: string; readonly key: string }
  close(): Promise<void>
}

const secret = 'a passphrase, with a comma'

async function openDoors(folder: string): Promise<Doors> {
  const certificates = new CertificateFolder()
  const authority = certificates.authority('authority')
  const server = certificates.leaf('server', authority)
  const client = certificates.leaf('client', authority, { subject: '/O=Works/CN=client' })
  const unix = `${folder}/mqtt.sock`
  const secured = (clientAuth: string): string =>
    `{ certificate: ${server.certificate}, key: ${server.key}, clientCa: ${authority.certificate}, clientAuth: ${clientAuth} }`
  const configFile = `${folder}/headwater.yaml`
  writeFileSync(
    configFile,
    `listeners:
  mqtt:
    - { listen: "127.0.0.1:0" }
    - { listen: "127.0.0.1:0", tls: ${secured('required')} }
    - { listen: "127.0.0.1:0", authentication: password, webSocket: {} }
    - { listen: "127.0.0.1:0", tls: ${secured('requested')}, authentication: password, webSocket: {} }
    - { listen: "unix:${unix}" }
`,
  )
  const daemon = await startHeadwater({
    dataDir: `${folder}/data`,
    configFile,
    mqttPort: null,
    logFile: `${folder}/daemon.log`,
  })
  const status = (await (await fetch(`http://${daemon.http}/api/status`)).json()) as {
    listeners: readonly { protocol: string; port: number }[]
  }
  const [tcp, tls, ws, wss] = status.listeners
    .filter(({ protocol }) => protocol === 'mqtt')
    .map(({ port }) => `${port}`)
  await headwater(['users', 'set', 'alice', '-b', daemon.kafka], secret)
  return {
    daemon,
    ports: { tcp: tcp ?? '', tls: tls ?? '', ws: ws ?? '', wss: wss ?? '' },
    unix,
    authority: authority.certificate,
    client,
    close: async () => {
      await daemon.stop()
      certificates.remove()
    },
  }
}

export const pahoEverywhere: InteropCase = {
  name: 'paho-mqtt at 3.1.1 and 5.0 does all it can over TCP, TLS, WebSocket and WSS',
  missing: () => pythonMissing() ?? opensslMissing(),
  async run(folder) {
    const python = foreignPython()
    const doors = await openDoors(folder)
    const script = `${repositoryRoot}/test/interop/programs/paho-doors.py`
    const { authority, client } = doors
    const env = { ...process.env, USER_NAME: 'alice', PASSWORD: secret }
    const run = async (transport: keyof Doors['ports'], files: readonly string[]): Promise<void> => {
      const asks = transport === 'ws' || transport === 'wss'
      const words = [script, transport, doors.ports[transport], ...files]
      const said = await output(python.path ?? '', words, { timeoutMs: 25_000, ...(asks ? { env } : {}) })
      assert.deepEqual(lines(said), [`ok ${transport} 3.1.1`, `ok ${transport} 5.0`])
    }
    try {
      await Promise.all([
        run('tcp', []),
        run('tls', [authority, client.certificate, client.key]),
        run('ws', []),
        run('wss', [authority]),
      ])
    } finally {
      await doors.close()
    }
  },
}

/** Clients of mosquitto for one daemon. */
class Mosquitto {
  readonly doors: Doors
  constructor(doors: Doors) {
    this.doors = doors
  }

  get tcp(): readonly string[] {
    return ['-h', '127.0.0.1', '-p', this.doors.ports.tcp]
  }

  get tls(): readonly string[] {
    const { ports, authority, client } = this.doors
    const identity = ['--cert', client.certificate, '--key', client.key]
    return ['-h', '127.0.0.1', '-p', ports.tls, '--cafile', authority, ...identity]
  }

  publish(...words: readonly string[]): Promise<string> {
    return output('mosquitto_pub', words)
  }

  /** What a subscriber that has subscribed hears of what `meanwhile` does. */
  async hear(words: readonly string[], meanwhile: () => Promise<unknown>): Promise<string[]> {
    const child = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...words, '-d', '-W', '15'])
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += String(bytes)))
    // Behind its end, all that it has written.
    const ended = new Promise((resolve) => child.once('close', resolve))
    try {
      await until(() => said.includes('SUBACK'), 10_000, `the SUBACK of ${words.join(' ')}`)
      await meanwhile()
      assert.equal(await ended, 0, said)
      return lines(said).filter((line) => line.startsWith('= '))
    } finally {
      child.kill('SIGKILL')
    }
  }
}

export const mosquittoOptions: InteropCase = {
  name: 'mosquitto_pub and mosquitto_sub mean what each of their options says, at each version, plain, under TLS and by file',
  missing: () => hasPrograms('mosquitto_pub', 'mosquitto_sub') ?? opensslMissing(),
  async run(folder) {
    const doors = await openDoors(folder)
    try {
      const clients = new Mosquitto(doors)
      await Promise.all([
        transports(clients),
        ...['mqttv31', 'mqttv311', 'mqttv5'].map((version) => messages(clients, version)),
        propertiesOf5(clients),
        sessionsAndWills(clients),
        refusals(clients),
      ])
    } finally {
      await doors.close()
    }
  },
}

async function transports(clients: Mosquitto): Promise<void> {
  const { doors } = clients
  const heard = await clients.hear(['--unix', doors.unix, '-t', 'plant/by/#', '-C', '5', '-F', '= %t %p'], async () => {
    await clients.publish(...clients.tcp, '-t', 'plant/by/tcp', '-m', 'x', '-q', '1', '--nodelay')
    for (const version of ['tlsv1.2', 'tlsv1.3']) {
      const words = ['--tls-version', version, '-t', `plant/by/${version}`, '-m', 'x', '-q', '1']
      await clients.publish(...clients.tls, ...words)
    }
    await clients.publish('--unix', doors.unix, '-t', 'plant/by/unix', '-m', 'x', '-q', '1')
    const url = `mqtt://127.0.0.1:${doors.ports.tcp}/plant/by/url`
    await clients.publish('-L', url, '-A', '127.0.0.1', '-m', 'x', '-q', '1')
  })
  assert.deepEqual(
    heard,
    ['tcp', 'tlsv1.2', 'tlsv1.3', 'unix', 'url'].map((way) => `= plant/by/${way} x`),
  )
  const insecure = ['-h', 'localhost', '-p', doors.ports.tls, '--cafile', doors.authority, '-t', 'plant/x', '-m', 'x']
  const refused = await program('mosquitto_pub', insecure)
  assert.notEqual(refused.code, 0, 'a client without a certificate was let in')
}

/** -l, -s, -n, -r, -q, -M, -k, -c, -i, -I, --repeat; -R, -T, -N, --retained-only, --remove-retained. */
async function messages(clients: Mosquitto, version: string): Promise<void> {
  const place = [...clients.tcp, '-V', version, '-k', '30']
  const root = `plant/${version}`
  const heard = await clients.hear(
    [...place, '-t', `${root}/#`, '-q', '2', '-C', '9', '-F', '= %t %p %q', '-T', `${root}/not`],
    async () => {
      await output('mosquitto_pub', [...place, '-t', `${root}/l`, '-l', '-q', '2', '-M', '1'], { stdin: 'one\ntwo\n' })
      await output('mosquitto_pub', [...place, '-t', `${root}/s`, '-s', '-q', '1', '-I', 'pre-'], { stdin: 'whole' })
      await clients.publish(...place, '-t', `${root}/not`, '-m', 'filtered out', '-q', '1')
      await clients.publish(...place, '-t', `${root}/n`, '-n', '-q', '1')
      await clients.publish(
        ...place,
        '-t',
        `${root}/r`,
        '-m',
        'again',
        '-q',
        '1',
        '--repeat',
        '3',
        '--repeat-delay',
        '0.01',
      )
      await clients.publish(...place, '-t', `${root}/zero`, '-m', 'at most once', '-q', '0')
      await clients.publish(...place, '-t', `${root}/kept`, '-m', 'state', '-q', '1', '-r')
    },
  )
  const quality = [
    'l one 2',
    'l two 2',
    's whole 1',
    'n  1',
    'r again 1',
    'r again 1',
    'r again 1',
    'zero at most once 0',
  ]
  assert.deepEqual(heard.toSorted(), [...quality, 'kept state 1'].map((line) => `= ${root}/${line}`).toSorted())
  const retained = (...words: readonly string[]): Promise<string> =>
    output('mosquitto_sub', [...place, '-t', `${root}/#`, '-F', '%r %p', '-W', '15', ...words])
  assert.equal(await retained('-C', '1'), '1 state\n')
  assert.equal(await retained('--retained-only', '-C', '1'), '1 state\n')
  // Version 2.0 does not end by -C once it has removed something.
  const removing = ['-t', `${root}/#`, '-F', '%r %p', '-W', '2', '--remove-retained']
  assert.match((await program('mosquitto_sub', [...place, ...removing])).stdout, /^1 state\n/)
  const none = await clients.hear([...place, '-t', `${root}/kept`, '-C', '1', '-F', '= %r %p', '-R'], () =>
    clients.publish(...place, '-t', `${root}/kept`, '-m', 'after', '-q', '1'),
  )
  assert.deepEqual(none, ['= 0 after'])
}

/** -D for every packet that has properties, -x, --retain-as-published, --retain-handling, -U. */
async function propertiesOf5(clients: Mosquitto): Promise<void> {
  const place = [...clients.tcp, '-V', 'mqttv5']
  const connect = ['-D', 'connect', 'receive-maximum', '5', '-D', 'connect', 'user-property', 'who', 'me']
  const sizes = ['-D', 'connect', 'maximum-packet-size', '100000', '-D', 'connect', 'topic-alias-maximum', '4']
  const subscribe = ['-D', 'subscribe', 'subscription-identifier', '7', '--retain-as-published']
  const format = ['-F', '= %t %p %r %C %R %D %P %F %S']
  const heard = await clients.hear(
    [...place, ...connect, ...sizes, ...subscribe, '-t', 'plant/five/#', '-q', '1', '-C', '1', ...format],
    () => {
      const properties = [
        ...['payload-format-indicator', '1'],
        ...['-D', 'publish', 'message-expiry-interval', '600'],
        ...['-D', 'publish', 'content-type', 'text/plain'],
        ...['-D', 'publish', 'response-topic', 'plant/answer'],
        ...['-D', 'publish', 'correlation-data', 'id-1'],
        ...['-D', 'publish', 'user-property', 'unit', 'C'],
        ...['-D', 'publish', 'topic-alias', '2'],
      ]
      const words = ['-t', 'plant/five/x', '-m', 'v', '-q', '1', '-r', '-D', 'publish', ...properties]
      return clients.publish(...place, ...connect, '-x', '0', ...words)
    },
  )
  assert.deepEqual(heard, ['= plant/five/x v 1 text/plain plant/answer id-1 unit:C 1 7'])
  await clients.publish(...place, '-t', 'plant/five/x', '-n', '-r', '-q', '1')
  // The client holds to the maximum packet size that it was told: nothing of 300,000 bytes arrives.
  const after = await clients.hear([...place, '-t', 'plant/five/y', '-C', '1', '-F', '= %l'], async () => {
    await program('mosquitto_pub', [...place, '-t', 'plant/five/y', '-q', '1', '-s'], { stdin: 'x'.repeat(300_000) })
    await clients.publish(...place, '-t', 'plant/five/y', '-q', '1', '-m', 'small')
  })
  assert.deepEqual(after, ['= 5'])
}

async function sessionsAndWills(clients: Mosquitto): Promise<void> {
  for (const [version, expiry] of [
    ['mqttv311', []],
    ['mqttv5', ['-x', '300']],
  ] as const) {
    const place = [...clients.tcp, '-V', version]
    const kept = [...place, '-c', '-i', `kept-${version}`, ...expiry, '-t', `plant/away/${version}`, '-q', '2']
    await program('mosquitto_sub', [...kept, '-E'])
    await clients.publish(...place, '-t', `plant/away/${version}`, '-m', 'meanwhile', '-q', '2')
    assert.equal(await output('mosquitto_sub', [...kept, '-C', '1', '-W', '15']), 'meanwhile\n')
    const left = ['-i', `left-${version}`, '-t', 'plant/other', '--will-topic', `plant/will/${version}`]
    const will = ['--will-payload', 'gone', '--will-qos', '1', '--will-retain']
    const delay = version === 'mqttv5' ? ['-D', 'will', 'user-property', 'why', 'lost'] : []
    const lost = spawn('stdbuf', ['-oL', 'mosquitto_sub', ...place, ...left, ...will, ...delay, '-d'])
    let said = ''
    lost.stdout.on('data', (bytes) => (said += String(bytes)))
    await until(() => said.includes('SUBACK'), 10_000, 'the SUBACK of whoever has the will')
    const watch = [...place, '-t', `plant/will/${version}`, '-q', '1', '-C', '1', '-F', '= %p %q']
    assert.deepEqual(await clients.hear(watch, async () => lost.kill('SIGKILL')), ['= gone 1'])
    const retained = await output('mosquitto_sub', [...watch.slice(0, -1), '%r %p', '-W', '15'])
    assert.equal(retained, '1 gone\n')
  }
}

/** What may not be done is refused, and the client says so. */
async function refusals(clients: Mosquitto): Promise<void> {
  const words = (...more: readonly string[]): readonly string[] => [...clients.tcp, '-q', '1', '-m', 'x', ...more]
  const long = 'x'.repeat(300)
  for (const [refused, said] of [
    [words('-V', 'mqttv5', '-t', '$SYS/mine'), /Topic name invalid/i],
    [words('-V', 'mqttv5', '-t', 'plant/x', '-i', long), /Client identifier not valid/i],
    [words('-V', 'mqttv311', '-t', 'plant/x', '-i', long), /identifier rejected/i],
    [words('-V', 'mqttv5', '-t', 'plant/x', '-D', 'connect', 'authentication-method', 'X'), /authentication method/i],
  ] as const) {
    const { stdout, stderr } = await program('mosquitto_pub', refused, { timeoutMs: 10_000 })
    assert.match(`${stdout}${stderr}`, said)
  }
}
