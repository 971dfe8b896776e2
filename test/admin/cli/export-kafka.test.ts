/** `headwater export-kafka` on directories of a real daemon; that Apache Kafka opens what it prints is an interop case. */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHeadwater } from '../../interop/headwater.ts'
import { headwater } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-export-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('headwater export-kafka', () => {
  it('refuses a directory that a process holds, recovers one that was killed, and prints what opens it', async () => {
    const dataDir = join(folder, 'data')
    const flags = ['export-kafka', '--data-dir', dataDir, '--kafka', '127.0.0.1:9192', '--controller', '[::1]:9193']
    const daemon = await startHeadwater({ dataDir })
    const created = headwater(['topics', 'create', 'readings', '--partitions', '2', '--bootstrap-server', daemon.kafka])
    expect(created.stderr).toBe('')
    const produced = headwater(['produce', 'readings', '--bootstrap-server', daemon.kafka], { input: 'a\nb\n' })
    expect(produced.stderr).toBe('')
    const held = headwater(flags)
    expect(held).toMatchObject({ status: 1, stdout: '' })
    expect(held.stderr).toContain(String(daemon.pid))
    await daemon.kill()

    const recovered = headwater([...flags, '--json'])
    expect(recovered.stderr).toBe('')
    const facts = JSON.parse(recovered.stdout) as Record<string, unknown>
    expect(facts).toMatchObject({ nodeId: 1, wasClean: false, logDir: join(dataDir, 'log') })
    expect(facts['topics']).toContainEqual({ name: 'readings', partitions: 2, records: 2 })

    const again = headwater(flags)
    expect(again.stdout.split('\n')).toEqual(
      expect.arrayContaining([
        '# the last stop was clean',
        'node.id=1',
        'listeners=PLAINTEXT://127.0.0.1:9192,CONTROLLER://[::1]:9193',
        `log.dirs=${join(dataDir, 'log')}`,
      ]),
    )
    expect(existsSync(join(dataDir, 'log', '.kafka_cleanshutdown'))).toBe(true)
    // Kafka is started somewhere else: a relative directory is written whole.
    const relative = headwater(['export-kafka', '--data-dir', 'data', '--json'], { cwd: dirname(dataDir) })
    expect(JSON.parse(relative.stdout)).toMatchObject({
      logDir: join(dataDir, 'log'),
      properties: { 'log.dirs': join(dataDir, 'log') },
    })
  }, 60_000)

  it('makes no directory where there is none', () => {
    const dataDir = join(folder, 'nowhere')
    const outcome = headwater(['export-kafka', '--data-dir', dataDir])
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('is not a data directory')
    expect(existsSync(dataDir)).toBe(false)
  })
})

/** A data directory with two records in `readings-0`, left cleanly; each test has a copy of it. */
let template = ''
beforeAll(async () => {
  template = join(folder, 'template')
  const daemon = await startHeadwater({ dataDir: template })
  const produced = headwater(['produce', 'readings', '--bootstrap-server', daemon.kafka], { input: 'a\nb\n' })
  expect(produced.stderr).toBe('')
  expect(await daemon.stop()).toBe(0)
}, 60_000)

function copied(name: string): { readonly dataDir: string; readonly log: string } {
  const dataDir = join(folder, name)
  cpSync(template, dataDir, { recursive: true })
  return { dataDir, log: join(dataDir, 'log') }
}

function exported(dataDir: string, ...flags: readonly string[]): ReturnType<typeof headwater> {
  return headwater(['export-kafka', '--data-dir', dataDir, ...flags])
}

describe('headwater export-kafka refuses', () => {
  it('a log with damage, by its name; --allow-damage hands it over', () => {
    const { dataDir, log } = copied('damaged')
    const file = join(log, 'readings-0', '00000000000000000000.log')
    truncateSync(file, statSync(file).size - 1)
    const outcome = exported(dataDir)
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('is damaged in readings-0:')
    // It has gone on behind the damage: that is no reason to forget it.
    expect(exported(dataDir)).toMatchObject({ status: 1, stderr: outcome.stderr })
    expect(exported(dataDir, '--allow-damage')).toMatchObject({ status: 0, stderr: '' })
  }, 60_000)

  it('topics whose settings were lost until that is confirmed; those of its own topics are there again', async () => {
    const { dataDir, log } = copied('rebuilt')
    const metadata = join(log, '__cluster_metadata-0')
    for (const name of readdirSync(metadata)) if (/\.(log|checkpoint)$/.test(name)) rmSync(join(metadata, name))
    const outcome = exported(dataDir)
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('headwater recover confirm')
    const daemon = await startHeadwater({ dataDir })
    const described = headwater(['topics', 'describe', '__headwater_retained', '-b', daemon.kafka])
    expect(described.stderr).toBe('')
    expect(described.stdout).toContain('cleanup.policy=compact')
    expect(await daemon.stop()).toBe(0)
    expect(headwater(['recover', 'confirm', '--data-dir', dataDir]).stdout).toContain('confirmed')
    expect(exported(dataDir).status).toBe(0)
  }, 60_000)

  it('folders beside which Apache Kafka does not start', () => {
    const { dataDir, log } = copied('foreign')
    for (const name of ['lost+found', 'old', `a-0.${'0'.repeat(32)}-stray`]) mkdirSync(join(log, name))
    const outcome = exported(dataDir)
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('folders that are no logs: lost+found, old.')
  }, 60_000)

  it('a path that log.dirs cannot name', () => {
    const outcome = exported(copied('one,two').dataDir)
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain('a comma separates directories')
  }, 60_000)
})

describe('headwater export-kafka', () => {
  it('prints a path as Java reads it', () => {
    const outcome = exported(copied('grö\\ße').dataDir)
    expect(outcome.stdout).toMatch(/^log\.dirs=.*\/gr\\u00f6\\\\\\u00dfe\/log$/m)
  }, 60_000)

  it.skipIf(process.getuid?.() !== 0)(
    'leaves no file of root in a directory that belongs to another user',
    () => {
      const { dataDir } = copied('owned')
      const all = (): readonly string[] => readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
      chmodSync(folder, 0o755)
      for (const name of ['.', ...all()]) chownSync(join(dataDir, name), 65_534, 65_534)
      expect(exported(dataDir)).toMatchObject({ status: 0, stderr: '' })
      expect(all().filter((name) => statSync(join(dataDir, name)).uid === 0)).toEqual([])
    },
    60_000,
  )
})
