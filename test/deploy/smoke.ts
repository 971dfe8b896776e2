/**
 * The smoke test of a delivery: the same steps against the source (no argument) or a binary (its path).
 *
 *   smoke.ts [COMMAND WORD ...]
 *
 * Ends with `N passed, N failed`; exit status 1 when a step failed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { type RunningHeadwater, sourceCommand, startHeadwater } from '../interop/headwater.ts'

const given = process.argv.slice(2)
const command: readonly string[] = given.length > 0 ? given : sourceCommand
const folder = mkdtempSync(join(tmpdir(), 'headwater-smoke-'))
const dataDir = join(folder, 'data')
const recordCount = 50

interface ShownRecord {
  readonly partition: number
  readonly key: string | null
  readonly value: string | null
}

/** The version must be there whatever the surroundings are. */
function version(): void {
  const outcome = spawnSync(command[0] ?? '', [...command.slice(1), '--version'], {
    encoding: 'utf8',
    env: given.length > 0 ? {} : process.env,
  })
  assert.equal(outcome.stderr, '')
  assert.match(outcome.stdout, /^\d+\.\d+\.\d+\n$/)
}

/** Runs the command line and answers its JSON: one value, or one for each line. */
function cli(args: readonly string[], input = ''): string {
  const outcome = spawnSync(command[0] ?? '', [...command.slice(1), ...args], {
    encoding: 'utf8',
    input,
    timeout: 60_000,
  })
  assert.equal(outcome.status, 0, `headwater ${args.join(' ')}: ${outcome.stderr}`)
  return outcome.stdout
}

async function publish(daemon: RunningHeadwater): Promise<void> {
  const client = await connectAsync(`mqtt://${daemon.mqtt}`, { clientId: 'smoke', protocolVersion: 5 })
  const publishes = Array.from({ length: recordCount }, (_, index) =>
    client.publishAsync('readings/press-1/temperature', String(index), { qos: 1 }),
  )
  await Promise.all(publishes)
  await client.endAsync()
}

/** Compressed by each codec that the native add-ons bring, and by those that Node has. */
function produce(daemon: RunningHeadwater): void {
  const lines = Array.from({ length: recordCount }, (_, index) => `key-${index}:value-${index}`).join('\n')
  const outcome: unknown = JSON.parse(
    cli(['produce', 'lines', '--key-separator', ':', '--json', '-b', daemon.kafka], lines),
  )
  assert.deepEqual(outcome, { topic: 'lines', records: recordCount })
}

function consume(daemon: RunningHeadwater, topic: string): ShownRecord[] {
  const text = cli(['consume', topic, '--from-beginning', '--exit-at-end', '--json', '-b', daemon.kafka])
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ShownRecord)
}

function expectRecords(daemon: RunningHeadwater): void {
  const readings = consume(daemon, 'readings')
  assert.deepEqual(
    readings.map(({ value }) => Number(value)),
    Array.from({ length: recordCount }, (_, index) => index),
  )
  assert.equal(new Set(readings.map(({ key, partition }) => `${key ?? ''}${partition}`)).size, 1)
  const lines = consume(daemon, 'lines').map(({ key, value }) => `${key ?? ''}:${value ?? ''}`)
  assert.deepEqual(
    lines.sort(),
    Array.from({ length: recordCount }, (_, index) => `key-${index}:value-${index}`).sort(),
  )
}

async function surfaces(daemon: RunningHeadwater): Promise<void> {
  for (const path of ['/health/live', '/health/ready', '/api/status', '/api/mirrors']) {
    const response = await fetch(`http://${daemon.http}${path}`)
    assert.equal(response.status, 200, path)
  }
  const metrics = await (await fetch(`http://${daemon.http}/metrics`)).text()
  assert.match(metrics, /^headwater_log_appended_bytes_total [1-9]/m)
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' })
  if (promtool.error === undefined) assert.equal(promtool.stdout + promtool.stderr, '')
  assert.equal((JSON.parse(cli(['status', '--json', '--http', daemon.http])) as { phase: string }).phase, 'serving')
  const topics = JSON.parse(cli(['topics', 'list', '--json', '-b', daemon.kafka])) as { name: string }[]
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['lines', 'readings'],
  )
}

/** The loop and the writer go before the threads that collect garbage. */
function priorities({ pid }: RunningHeadwater): void {
  const threads = readdirSync(`/proc/${pid}/task`)
  const helpers = threads.filter((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').startsWith('V8Worker'),
  )
  assert.ok(helpers.length > 0)
  for (const helper of helpers) assert.ok(getPriority(Number(helper)) > getPriority(pid), helper)
}

/** Another program's view of the files: every batch whole, every checksum right. */
function files(): void {
  const logs = readdirSync(join(dataDir, 'log')).filter((name) => /^(?:lines|readings)-\d+$/.test(name))
  assert.ok(logs.length > 0)
  for (const log of logs) cli(['dump-log', '--records', '--json', join(dataDir, 'log', log)])
}

async function main(): Promise<number> {
  const steps: { readonly name: string; readonly run: () => void | Promise<void> }[] = []
  let daemon: RunningHeadwater | null = null
  const running = (): RunningHeadwater => {
    assert.ok(daemon, 'no daemon runs')
    return daemon
  }
  const start = async () => {
    daemon = await startHeadwater({ dataDir, command, logFile: join(folder, 'log') })
  }
  const step = (name: string, run: () => void | Promise<void>) => steps.push({ name, run })
  step('says its version without an environment', version)
  step('starts', start)
  step('puts its own work before the collection of garbage', () => priorities(running()))
  step('takes MQTT at QoS 1', () => publish(running()))
  step('takes lines by Kafka', () => produce(running()))
  step('gives both back', () => expectRecords(running()))
  step('shows health, metrics, status and topics', () => surfaces(running()))
  step('is killed', () => running().kill())
  step('starts again', start)
  step('has lost nothing', () => expectRecords(running()))
  step('stops cleanly', async () => assert.equal(await running().stop(), 0))
  step('leaves sound files', files)
  step('starts after a clean stop', start)
  step('knows that it was clean', async () => {
    const status = (await (await fetch(`http://${running().http}/api/status`)).json()) as {
      recovery: { wasClean: boolean }
    }
    assert.equal(status.recovery.wasClean, true)
  })
  step('stops again', async () => assert.equal(await running().stop(), 0))
  let passed = 0
  try {
    for (const { name, run } of steps) {
      await run()
      passed++
      console.log(`ok ${name}`)
    }
  } catch (error) {
    console.log(`FAILED ${steps[passed]?.name}: ${error instanceof Error ? error.stack : String(error)}`)
    await (daemon as RunningHeadwater | null)?.kill().catch(() => undefined)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(`${passed} passed, ${passed === steps.length ? 0 : 1} failed`)
  return passed === steps.length ? 0 : 1
}

process.exitCode = await main()
