/** `headwater produce` against the real daemon: what it says of input that is not stored whole. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningHeadwater, startHeadwater } from '../../interop/headwater.ts'
import { headwater } from './headwater-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-produce-'))
let daemon: RunningHeadwater
beforeAll(async () => {
  daemon = await startHeadwater({ dataDir: join(folder, 'data') })
}, 60_000)
afterAll(async () => {
  await daemon.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('headwater produce', () => {
  it('counts what was acknowledged, also before something is refused', () => {
    const stored = Array.from({ length: 1000 }, (_, index) => `line ${index} ${'x'.repeat(100)}`)
    const words = ['produce', 'readings', '--partition', '0', '-b', daemon.kafka]
    expect(headwater(words, { input: `${stored.join('\n')}\n` })).toMatchObject({
      stdout: '1000 records acknowledged\n',
    })

    // Far behind the first lines stands one that no batch may hold: those before it are stored.
    const failed = headwater(words, { input: `${[...stored, 'y'.repeat(2_000_000)].join('\n')}\n` })
    expect(failed).toMatchObject({ status: 1, stdout: '' })
    expect(failed.stderr).toContain('MESSAGE_TOO_LARGE')
    const count = Number(/^headwater: (\d+) records were acknowledged, then:$/m.exec(failed.stderr)?.[1])
    expect(count).toBeGreaterThan(0)
    const all = headwater(['consume', 'readings', '--from-beginning', '--exit-at-end', '-b', daemon.kafka])
    expect(all.stdout.trim().split('\n').length).toBe(1000 + count)
  }, 60_000)

  it('refuses input without line ends before it fills the memory', () => {
    const { status, stderr } = headwater(['produce', 'readings', '-b', daemon.kafka], { input: 'z'.repeat(17_000_000) })
    expect(status).toBe(1)
    expect(stderr).toContain('standard input: a line has more than 16777216 characters')
  }, 60_000)
})
