/** `npm run lint`: oxlint with type-aware rules, then the formatter's check. Exit status 1 when either finds fault. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

const steps: readonly (readonly [string, readonly string[]])[] = [
  ['oxlint', ['node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings']],
  ['biome', ['node_modules/@biomejs/biome/bin/biome', 'format', '.']],
]

for (const [name, args] of steps) {
  const outcome = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (outcome.status !== 0) {
    console.error(`${name} found fault`)
    process.exitCode = 1
  }
}
