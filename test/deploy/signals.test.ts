/** What signals do to the real daemon, with and without a terminal. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { freePort, sourceCommand, startHeadwater } from '../interop/headwater.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-signals-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hasScript = spawnSync('script', ['--version']).status === 0
if (!hasScript)
  console.log('signals: skipped, there is no `script` to make a terminal (Debian: apt-get install bsdutils)')
const patience = { timeout: 20_000, interval: 50 }

describe('SIGHUP', () => {
  it('ends no daemon without a terminal, and is told', async () => {
    const logFile = join(folder, 'service.log')
    const daemon = await startHeadwater({ dataDir: join(folder, 'service'), logFile })
    process.kill(daemon.pid, 'SIGHUP')
    await vi.waitFor(() => expect(readFileSync(logFile, 'utf8')).toContain('"event":"hang-up-ignored"'), patience)
    expect((await fetch(`http://${daemon.http}/health/ready`)).status).toBe(200)
    expect(await daemon.stop()).toBe(0)
  }, 60_000)

  it.skipIf(!hasScript)(
    'ends a daemon whose terminal is closed as SIGTERM does: the next start is a clean one',
    async () => {
      const dataDir = join(folder, 'terminal')
      const port = await freePort()
      const listeners = ['--kafka', '127.0.0.1:0', '--mqtt', '127.0.0.1:0', '--http', `127.0.0.1:${port}`]
      const words = ['exec', ...sourceCommand, 'start', '--data-dir', dataDir, ...listeners]
      const terminal: ChildProcess = spawn('script', ['-qc', words.join(' '), '/dev/null'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      const isReady = async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).status
      await vi.waitFor(async () => expect(await isReady()).toBe(200), patience)
      // The other end of the terminal goes: the kernel sends SIGHUP, and what is written from now on fails.
      terminal.kill('SIGKILL')
      await once(terminal, 'exit')
      await vi.waitFor(async () => expect(await isReady().catch(() => 'gone')).toBe('gone'), patience)
      const logFile = join(folder, 'again.log')
      const again = await vi.waitFor(() => startHeadwater({ dataDir, logFile }), patience)
      expect(readFileSync(logFile, 'utf8')).toMatch(/"event":"log-directory-opened".*"clean":true/)
      expect(await again.stop()).toBe(0)
    },
    90_000,
  )
})

describe('the ready line', () => {
  it('needs no reader: the daemon serves all the same, and ends by SIGTERM with status 0', async () => {
    const port = await freePort()
    const flags = ['--kafka', '127.0.0.1:0', '--mqtt', '127.0.0.1:0', '--http', `127.0.0.1:${port}`]
    const [command = '', ...words] = sourceCommand
    const daemon = spawn(command, [...words, 'start', '--data-dir', join(folder, 'unread'), ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = once(daemon, 'exit')
    daemon.stdout.destroy()
    daemon.stderr.destroy()
    await vi.waitFor(
      async () => expect((await fetch(`http://127.0.0.1:${port}/health/ready`)).status).toBe(200),
      patience,
    )
    daemon.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
  }, 60_000)
})
