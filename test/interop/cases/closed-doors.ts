/** From a first start to closed doors: set-up, the audit, tokens, as programs that are not ours meet them. */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { apacheKafkaMissing, kafkaTool } from '../apache-kafka.ts'
import { type InteropCase, lines, output, program, until } from '../case.ts'
import { scramSettings, writeClientProperties } from '../client-properties.ts'
import { hasPrograms } from '../foreign.ts'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../headwater.ts'
import { headwater } from '../own-command.ts'

const password = 'canary-71e4-password'

/** Answers the prompts of a command as somebody at a terminal does. */
async function atTerminal(words: readonly string[], answers: readonly string[]): Promise<string> {
  const command = ['sh', ...sourceCommand.slice(1), ...words].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  let answered = 0
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
    while (answered < answers.length && said.split(': ').length - 1 > answered) {
      child.stdin.write(`${answers[answered++]}\n`)
    }
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  assert.equal(code, 0, said)
  return said
}

export const closedDoors: InteropCase = {
  name: 'from a first start to closed doors: curl, kcat, mosquitto and Kafka tools before and after set-up, and what the audit says of them',
  missing: () => apacheKafkaMissing() ?? hasPrograms('curl', 'kcat', 'mosquitto_pub', 'script'),
  async run(folder) {
    const config = join(folder, 'headwater.yaml')
    const logFile = join(folder, 'log')
    const open = '127.0.0.1:0'
    writeFileSync(
      config,
      `log: { level: debug }\nlisteners: { kafka: [ { listen: "${open}" } ], mqtt: [ { listen: "${open}" } ] }\n`,
    )
    const start = () =>
      startHeadwater({ dataDir: `${folder}/data`, configFile: config, kafkaPort: null, mqttPort: null, logFile })
    let daemon = await start()
    try {
      assert.equal(await curl(daemon, '/api/status'), '200')
      await kcat(daemon, ['-P', '-t', 'press'], 'anonymous\n')
      const setup = await atTerminal(
        ['setup', '--config', config, '-b', daemon.kafka, '--http', daemon.http],
        [password, password],
      )
      assert.match(setup, /User:admin may do everything/)
      assert.ok(!setup.includes(password), 'the terminal shows the password')
      await closedToStrangers(daemon)
      await daemon.stop()
      daemon = await start()
      await closedToStrangers(daemon)
      await openToUsers(folder, daemon)
      await readByAdministratorsAlone(folder, daemon)
      await daemon.kill()
      daemon = await start()
      assert.equal(await curl(daemon, '/api/status', ['-u', `admin:${password}`]), '200')
    } finally {
      await daemon.stop()
    }
    const place = ['--config', config, '--data-dir', `${folder}/data`, '--json']
    for (const more of [[], ['--topic']]) {
      const report = JSON.parse(await headwater(['audit', 'verify', ...place, ...more])) as Record<string, unknown>
      assert.equal(report['isWhole'], true)
      assert.equal(report['uncleanStops'], 1)
    }
    const audit = join(folder, 'data', 'state', 'audit')
    for (const name of readdirSync(audit)) assert.ok(!readFileSync(join(audit, name), 'utf8').includes(password))
    assert.ok(!readFileSync(logFile, 'utf8').includes(password))
  },
}

/** The status of an answer. */
async function curl(daemon: RunningHeadwater, path: string, words: readonly string[] = []): Promise<string> {
  return output('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...words, `http://${daemon.http}${path}`])
}

async function kcat(daemon: RunningHeadwater, words: readonly string[], stdin = ''): Promise<string> {
  return output('kcat', ['-b', daemon.kafka, '-m', '10', ...words], { stdin })
}

async function closedToStrangers(daemon: RunningHeadwater): Promise<void> {
  assert.equal(await curl(daemon, '/api/status'), '401')
  assert.equal(await curl(daemon, '/metrics'), '401')
  assert.equal(await curl(daemon, '/health/ready'), '200')
  assert.equal(await curl(daemon, '/health/live', ['-H', 'Host: evil.example']), '421')
  assert.equal(await curl(daemon, '/api/status', ['-u', `admin:${password}x`]), '401')
  assert.notEqual((await program('kcat', ['-b', daemon.kafka, '-m', '3', '-L'])).code, 0)
  const [host = '', port = ''] = daemon.mqtt.split(':')
  const words = ['-h', host, '-p', port, '-q', '1', '-t', 'press/1', '-m', 'x']
  assert.notEqual((await program('mosquitto_pub', words)).code, 0)
  assert.notEqual((await program('mosquitto_pub', [...words, '-u', 'admin', '-P', 'guess'])).code, 0)
  await output('mosquitto_pub', [...words, '-u', 'admin', '-P', password])
}

async function openToUsers(folder: string, daemon: RunningHeadwater): Promise<void> {
  assert.equal(await curl(daemon, '/api/status', ['-u', `admin:${password}`]), '200')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${password}\n`)
  const login = ['--user', 'admin', '--password-file', passwordFile]
  const asAdmin = ['-b', daemon.kafka, ...login]
  await headwater(['users', 'set', 'press-1', ...asAdmin], 'press-1-secret\n')
  await headwater(['users', 'set', 'auditor', '--mechanism', 'SCRAM-SHA-512', ...asAdmin], 'auditor-secret\n')
  await headwater(['role', 'grant', 'device', 'press-1', '--topic', 'press', ...asAdmin])
  // PLAIN is not offered; librdkafka before 2.6 breaks RFC 5802 and is refused, as by Apache Kafka.
  const device = ['-b', daemon.kafka, '--user', 'press-1', '--password-file', join(folder, 'device')]
  writeFileSync(join(folder, 'device'), 'press-1-secret\n')
  await headwater(['produce', 'press', ...device], 'hot\n')
  const http = ['--http', daemon.http]
  const token = (await headwater(['token', 'create', 'viewer', ...http, ...login])).trim()
  const bearer = ['-H', `Authorization: Bearer ${token}`]
  assert.equal(await curl(daemon, '/metrics', bearer), '200')
  assert.equal(await curl(daemon, '/api/tokens', bearer), '403')
  await headwater(['token', 'revoke', token.split('_')[1] ?? '', ...http, ...login])
  assert.equal(await curl(daemon, '/metrics', bearer), '401')
  const page = ['-X', 'POST', '-H', 'Origin: https://evil.example', '-u', `admin:${password}`]
  assert.equal(await curl(daemon, '/api/session', page), '403')
  const jar = join(folder, 'cookies')
  assert.equal(await curl(daemon, '/api/session', ['-X', 'POST', '-u', `admin:${password}`, '-c', jar]), '201')
  assert.equal(await curl(daemon, '/api/status', ['-b', jar]), '200')
}

async function readByAdministratorsAlone(folder: string, daemon: RunningHeadwater): Promise<void> {
  const as = (user: string, secret: string): string[] => {
    const settings = scramSettings(user, secret, 'SCRAM-SHA-512')
    const path = writeClientProperties(join(folder, `${user}.properties`), settings)
    return ['--bootstrap-server', daemon.kafka, '--command-config', path]
  }
  const acls = (words: readonly string[]) =>
    kafkaTool('org.apache.kafka.tools.AclCommand', [...as('admin', password), ...words])
  const added = await acls(['--add', '--allow-principal', 'User:auditor', '--consumer', '--topic', '*', '--group', '*'])
  assert.equal(added.code, 0, added.stderr)
  const consume = (user: string, secret: string, count: number) =>
    kafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', [
      ...as(user, secret),
      ...['--topic', '__headwater_audit', '--from-beginning', '--timeout-ms', '8000', '--max-messages', String(count)],
    ])
  const refused = await consume('auditor', 'auditor-secret', 1)
  assert.match(refused.stdout + refused.stderr, /Not authorized|TopicAuthorization/i)
  const files = join(folder, 'data', 'state', 'audit')
  const told = (): string =>
    readdirSync(files)
      .map((name) => readFileSync(join(files, name), 'utf8'))
      .join('')
  await until(
    () => told().includes('"subject":"topic:__headwater_audit"') || told().includes('cluster:kafka-cluster'),
    10_000,
    'the denial',
  )
  const count = lines(told()).length
  const read = await consume('admin', password, count)
  assert.equal(lines(read.stdout).length, count, read.stderr)
  assert.match(await headwater(['audit', 'verify', '--file', '-'], read.stdout), /whole; its end is/)
  const records = lines(read.stdout).map((line) => JSON.parse(line) as { type: string; subject: string })
  for (const type of [
    'authentication.failed',
    'authentication.succeeded',
    'user.changed',
    'acl.created',
    'token.created',
    'token.revoked',
  ]) {
    assert.ok(
      records.some((record) => record.type === `headwater.${type}`),
      `the audit says nothing of ${type}`,
    )
  }
}
