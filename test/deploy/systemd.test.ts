/** The unit files, judged by systemd's own programs. Skipped where systemd is not installed. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const units = join(import.meta.dirname, '../../systemd')
const folder = mkdtempSync(join(tmpdir(), 'headwater-systemd-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isInstalled = spawnSync('systemd-analyze', ['--version']).status === 0
if (!isInstalled) console.log('systemd: skipped, systemd-analyze is not installed (Debian: apt-get install systemd)')

/** systemd names a unit by its file and wants the program of ExecStart to exist. */
function unitWithProgram(): string {
  const program = join(folder, 'headwater')
  writeFileSync(program, '#!/bin/sh\n')
  chmodSync(program, 0o755)
  const unit = join(folder, 'headwater.service')
  writeFileSync(unit, readFileSync(join(units, 'headwater.service'), 'utf8').replaceAll('/usr/bin/headwater', program))
  return unit
}

describe.skipIf(!isInstalled)('headwater.service', () => {
  it('is understood without a word', () => {
    // verify answers 0 for keys that it does not know: only its silence counts.
    const outcome = spawnSync('systemd-analyze', ['verify', unitWithProgram()], { encoding: 'utf8' })
    expect(outcome.stderr + outcome.stdout).toBe('')
    expect(outcome.status).toBe(0)
  })

  it('is exposed by at most 1.3', () => {
    const args = ['security', '--offline=yes', '--threshold=13', unitWithProgram()]
    const outcome = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    expect(/exposure level for [^:]+: ([\d.]+)/.exec(outcome.stdout)?.[1]).toMatch(/^1\.[0-3]$/)
    expect(outcome.status).toBe(0)
  })

  it('asks for what the daemon keeps: notify from the main process, a static user, no execute-protection', () => {
    const lines = readFileSync(join(units, 'headwater.service'), 'utf8').split('\n')
    for (const line of [
      'Type=notify',
      'NotifyAccess=main',
      'User=headwater',
      'PrivateMounts=yes',
      'SuccessExitStatus=SIGKILL',
    ]) {
      expect(lines).toContain(line)
    }
    expect(lines.filter((line) => /^(?:ProcSubset|MemoryDenyWriteExecute|DynamicUser)=/.test(line))).toEqual([])
  })
})

describe.skipIf(!existsSync('/usr/bin/systemd-sysusers') && !existsSync('/bin/systemd-sysusers'))(
  'the files beside it',
  () => {
    it('make the user and its directories, silently', () => {
      mkdirSync(join(folder, 'etc'))
      const input = readFileSync(join(units, 'headwater.sysusers'))
      const users = spawnSync('systemd-sysusers', [`--root=${folder}`, '-'], { input, encoding: 'utf8' })
      expect(users.status).toBe(0)
      expect(readFileSync(join(folder, 'etc/passwd'), 'utf8')).toMatch(/^headwater:/m)
      const text = readFileSync(join(units, 'headwater.tmpfiles'), 'utf8')
      expect(text.split('\n').filter((line) => line.startsWith('d '))).toHaveLength(3)
    })

    it('set only kernel parameters that exist here', () => {
      const names = [...readFileSync(join(units, 'headwater.sysctl'), 'utf8').matchAll(/^([a-z0-9_.]+) = \d+$/gm)].map(
        (match) => match[1] ?? '',
      )
      expect(names.length).toBeGreaterThan(3)
      expect(names.filter((name) => !existsSync(`/proc/sys/${name.replaceAll('.', '/')}`))).toEqual([])
    })
  },
)
