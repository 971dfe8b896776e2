/** `headwater export-kafka` on directories of a real daemon; that Apache Kafka opens what it prints is an interop case. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
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
