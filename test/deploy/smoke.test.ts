/** The smoke test of a delivery, here against the source; `npm run build -- --smoke` runs it against the binary. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('the source does what a delivery must do', () => {
  const outcome = spawnSync(process.execPath, [join(import.meta.dirname, 'smoke.ts')], {
    encoding: 'utf8',
    timeout: 120_000,
  })
  expect(outcome.stdout).toMatch(/^\d+ passed, 0 failed$/m)
  expect(outcome.status).toBe(0)
}, 130_000)
