/** `headwater setup` at a daemon as it comes: the first admin, closed listeners, and a second run that changes nothing. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { setUpConfiguration } from '../../../src/admin/cli/setup-configuration.ts'
import { type RunningHeadwater, startHeadwater } from '../../interop/headwater.ts'
import { headwater } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-setup-'))
const file = join(folder, 'headwater.yaml')
const password = 'a long enough secret'
let daemon: RunningHeadwater | null = null

async function start(): Promise<RunningHeadwater> {
  daemon = await startHeadwater({
    dataDir: join(folder, 'data'),
    configFile: file,
    kafkaPort: null,
    mqttPort: null,
    logFile: join(folder, 'log'),
  })
  return daemon
}

async function stop(): Promise<void> {
  await daemon?.stop()
  daemon = null
}

afterEach(stop)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const written = `# The box at the press.
listeners:
  kafka:
    - listen: "127.0.0.1:0" # the loopback
  mqtt:
    - listen: "127.0.0.1:0"
log: { level: debug }
`

describe('headwater setup', () => {
  it('makes an admin, closes the listeners, keeps comments, and does nothing the second time', {
    timeout: 60_000,
  }, async () => {
    writeFileSync(file, written, { mode: 0o600 })
    const open = await start()
    const run = (input: string, ...more: string[]) =>
      headwater(
        [
          'setup',
          '--config',
          file,
          '--password-file',
          '-',
          '-b',
          daemon?.kafka ?? '',
          '--http',
          daemon?.http ?? '',
          ...more,
        ],
        { input },
      )
    expect(run('short\n')).toMatchObject({ status: 1, stderr: expect.stringMatching(/at least 8/) })
    expect(run(`${password}\n`, '--admin', 'a;User:b')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/--admin/),
    })
    expect(headwater(['setup', '--config', file, '-b', open.kafka])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/--password-file/),
    })
    expect(headwater(['setup', password])).toMatchObject({ status: 2 })
    expect(readFileSync(file, 'utf8')).toBe(written)
    const first = run(`${password}\n`)
    expect(first).toMatchObject({ status: 0, stderr: '' })
    expect(first.stdout).toMatch(/super\.users: User:admin/)
    expect(first.stdout).toMatch(/At once, without a restart, listeners.kafka.0, listeners.mqtt.0, listeners.http ask/)
    expect(first.stdout).toMatch(/the audit begins with the next start/)
    const after = readFileSync(file, 'utf8')
    expect(after).toContain('# The box at the press.')
    expect(after).toContain('# the loopback')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).filter((name) => name.includes('setup'))).toEqual([])
    expect(run(`${password}\n`)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^nothing to do/) })
    await stop()
    const closed = await start()
    expect(run(`${password}\n`)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^nothing to do/) })
    expect(readFileSync(file, 'utf8')).toBe(after)
    expect(run('another password\n')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/does not let in admin/),
    })
    const topics = ['topics', 'create', 'press', '-b', closed.kafka]
    expect(headwater(topics)).toMatchObject({ status: 1 })
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, `${password}\n`)
    const asAdmin = ['--user', 'admin', '--password-file', passwordFile]
    expect(headwater([...topics, ...asAdmin])).toMatchObject({ status: 0, stderr: '' })
    const nameless = headwater(topics)
    expect(nameless.status).toBe(1)
    expect(nameless.stderr).toContain('closed by the broker')
    expect(nameless.stderr).toContain('name a --user, or a file by --command-config')
    expect(headwater([...topics, '--user', 'admin', '--password-file', join(folder, 'nowhere')])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/ENOENT/),
    })
    expect(headwater([...topics, '--password-file', passwordFile])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/--user/),
    })
    const mechanism = [...asAdmin, '--sasl-mechanism', 'SCRAM-SHA-512']
    expect(headwater(['topics', 'list', '-b', closed.kafka, ...mechanism]).stdout).toContain('press')
    expect(
      headwater(['users', 'set', 'press-1', '-b', closed.kafka, ...asAdmin], { input: 'wonderland\n' }),
    ).toMatchObject({ status: 0 })
    const role = (...words: string[]) => headwater(['role', ...words, '-b', closed.kafka, ...asAdmin])
    expect(role('grant', 'device', 'press-1', '--topic', 'press')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^allow User:press-1 from \* write topic prefixed "press"$/m),
    })
    const device = join(folder, 'device')
    writeFileSync(device, 'wonderland\n')
    const asDevice = ['-b', closed.kafka, '--user', 'press-1', '--password-file', device]
    expect(headwater(['produce', 'press', ...asDevice], { input: 'hot\n' })).toMatchObject({ status: 0 })
    expect(headwater(['topics', 'delete', 'press', ...asDevice])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/AUTHORIZATION/),
    })
    expect(role('grant', 'viewer', 'press-1').status).toBe(0)
    expect(role('grant', 'device', 'press-1')).toMatchObject({ status: 1, stderr: expect.stringMatching(/--topic/) })
    expect(role('grant', 'king', 'press-1')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/viewer, operator/),
    })
    expect(role('revoke', 'device', 'press-1', '--topic', 'press').status).toBe(0)
    expect(headwater(['produce', 'press', ...asDevice], { input: 'hot\n' })).toMatchObject({ status: 1 })
    expect(headwater(['role', 'list']).stdout).toMatch(/^operator/m)
    const [host = '', port = ''] = closed.mqtt.split(':')
    const connect = (options: object) => connectAsync({ host, port: Number(port), reconnectPeriod: 0, ...options })
    await expect(connect({})).rejects.toThrow(/[Nn]ot authorized|[Bb]ad [Uu]ser/)
    await (await connect({ username: 'admin', password })).endAsync()
    expect(readFileSync(join(folder, 'log'), 'utf8')).not.toContain(password)
    expect(readFileSync(join(folder, 'log'), 'utf8')).not.toContain('listener-without-names')
  })

  it('makes the file when there is none, and closes what listens by default', () => {
    const { text, changes } = setUpConfiguration('', 'root')
    expect(changes).toHaveLength(5)
    expect(text).toContain('127.0.0.1:9092')
    expect(text).toMatch(/super\.users: User:root/)
    expect(setUpConfiguration(text, 'root')).toEqual({ text, changes: [] })
    expect(setUpConfiguration(text, 'other').changes).toEqual(['kafka.super.users: User:root;User:other'])
  })

  it('leaves a listener alone that asks for certificates, and refuses what it cannot read', () => {
    const tls = 'tls: { certificate: a, key: b, clientCa: c, clientAuth: required }'
    const text = `listeners: { kafka: [ { listen: "127.0.0.1:1", ${tls} } ], mqtt: [ { listen: "127.0.0.1:2", saslMechanisms: [SCRAM-SHA-256] } ] }\n`
    expect(setUpConfiguration(text, 'root').changes).toHaveLength(3)
    const byToken = 'listeners: { mqtt: [ { listen: "127.0.0.1:2", authentication: token } ] }\n'
    expect(setUpConfiguration(byToken, 'root').changes.join()).not.toContain('listeners.mqtt')
    expect(() => setUpConfiguration('- a list\n', 'root')).toThrow(/mapping/)
    expect(() => setUpConfiguration('a: [', 'root')).toThrow(/set-up cannot go on/)
  })

  it('refuses before it changes anything: a wrong file, a variable that overrules it, no daemon', () => {
    writeFileSync(file, 'listeners: { kafak: [] }\n')
    const words = ['setup', '--config', file, '--password-file', '-', '-b', '127.0.0.1:1']
    expect(headwater(words, { input: password })).toMatchObject({ status: 1, stderr: expect.stringMatching(/kafak/) })
    writeFileSync(file, written)
    expect(headwater(words, { input: password })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/no broker answers/),
    })
    expect(readFileSync(file, 'utf8')).toBe(written)
  })
})
