/** `headwater doctor` as a process of its own, on this machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it } from 'vitest'
import { headwater, headwaterProgram } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-doctor-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Report {
  readonly findings: readonly { readonly check: string; readonly verdict: string; readonly remedy: string | null }[]
}

describe('headwater doctor', () => {
  it('looks at the place for the data and leaves nothing there', () => {
    const { stdout } = headwater(['doctor', '--data-dir', folder, '--json'])
    const { findings } = JSON.parse(stdout) as Report
    const checks = findings.map(({ check }) => check)
    expect(checks).toEqual(expect.arrayContaining(['configuration', 'file-system', 'encryption', 'flush', 'clock']))
    expect(findings).toContainEqual(expect.objectContaining({ check: 'data-directory', verdict: 'ok' }))
    expect(readdirSync(folder)).toEqual([])
  })

  it('ends with status 1 when the daemon would not start, and looks at the rest all the same', () => {
    const file = join(folder, 'headwater.yaml')
    writeFileSync(file, 'dataDirr: x\n')
    const { status, stdout } = headwater(['doctor', '--config', file, '--data-dir', folder])
    rmSync(file)
    expect(status).toBe(1)
    expect(stdout).toMatch(/^fault +configuration +.*did you mean dataDir\?\n +See headwater config check\.$/m)
    expect(stdout).toMatch(/^\w+ +file-system /m)
  })

  it('writes until it is stopped without warning, and says afterwards what the disk has kept', async () => {
    const place = join(folder, 'try')
    const child = spawn('sh', [headwaterProgram, 'doctor', '--power-cut', place, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let last = 0
    for await (const line of createInterface({ input: child.stdout })) {
      last = (JSON.parse(line) as { readonly acknowledged: number }).acknowledged
      if (last >= 20) break
    }
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    const after = headwater(['doctor', '--power-cut', place, '--last', `${last}`, '--json'])
    expect(after.status).toBe(0)
    const findings = JSON.parse(after.stdout) as { readonly highest: number; readonly firstMissing: number | null }
    expect(findings.firstMissing).toBeNull()
    expect(findings.highest).toBeGreaterThanOrEqual(last)
    expect(headwater(['doctor', '--power-cut', place, '--last', '7'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no earlier run'),
    })
  })
})
