/** Starts that must not happen: each ends at once with status 1, one sentence and what to do, and harms nobody who runs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { headwater } from '../admin/cli/headwater-command.ts'
import { type RunningHeadwater, startHeadwater } from '../interop/headwater.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-refusals-'))
const dataDir = join(folder, 'data')
let running: RunningHeadwater

beforeAll(async () => {
  running = await startHeadwater({ dataDir })
})
afterAll(async () => {
  await running.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A start on free ports, but for what the case says. */
function start(flags: {
  readonly dataDir?: string
  readonly kafka?: string
  readonly mqtt?: string
  readonly http?: string
}) {
  const { kafka = '127.0.0.1:0', mqtt = '127.0.0.1:0', http = '127.0.0.1:0' } = flags
  const places = ['--kafka', kafka, '--mqtt', mqtt, '--http', http, '--log-level', 'silent']
  return headwater(['start', '--data-dir', flags.dataDir ?? join(folder, 'other'), ...places])
}

describe('a start is refused', () => {
  it('on the directory of another daemon, whose process is named', () => {
    const outcome = start({ dataDir })
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain(`is in use by process ${running.pid}`)
  })

  it.each(['kafka', 'mqtt', 'http'] as const)('on the occupied %s port, which is named', (protocol) => {
    const outcome = start({ [protocol]: running[protocol] })
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toContain(`${running[protocol]}: EADDRINUSE`)
  })

  it('where no directory can be made', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    for (const place of [join(file, 'data'), '/proc/headwater']) {
      const outcome = start({ dataDir: place })
      expect(outcome).toMatchObject({ status: 1, stdout: '' })
      expect(outcome.stderr).toContain(`The data directory ${place} cannot be used`)
      expect(outcome.stderr).toContain('give it to the user that Headwater runs as')
    }
  })

  it('while the one that runs goes on serving', async () => {
    expect((await fetch(`http://${running.http}/health/ready`)).status).toBe(200)
    expect(headwater(['topics', 'create', 'still', '-b', running.kafka])).toMatchObject({ status: 0 })
  })
})

it('a stopped directory is refused to another node', async () => {
  const place = join(folder, 'node')
  const first = await startHeadwater({ dataDir: place })
  expect(await first.stop()).toBe(0)
  const config = join(folder, 'node-9.yaml')
  writeFileSync(config, 'node: { id: 9 }\n')
  const outcome = headwater([
    'start',
    '--config',
    config,
    '--data-dir',
    place,
    '--kafka',
    '127.0.0.1:0',
    '--mqtt',
    '127.0.0.1:0',
    '--http',
    '127.0.0.1:0',
  ])
  expect(outcome.status).toBe(1)
  expect(outcome.stderr).toContain('belongs to node 1, not to node 9')
  expect(outcome.stderr).toContain('Set node.id to 1')
})
