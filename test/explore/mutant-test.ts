/** Runs a test file over sources with one deliberate bug put in. `mutant-test.ts MUTANT FILE` ends with 0 when a test has failed. */
import { join } from 'node:path'
import { startVitest } from 'vitest/node'
import { mutate } from './mutant-text.ts'
import { mutants } from './mutants.ts'

const root = join(import.meta.dirname, '..', '..')
const [name, file] = process.argv.slice(2)
const mutant = mutants.find((each) => each.name === name)
if (mutant === undefined || file === undefined) throw new Error(`no mutant ${name}, or no file`)

const vitest = await startVitest(
  'test',
  [file],
  {
    root,
    config: false,
    watch: false,
    fsModuleCache: false,
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    maxWorkers: 1,
  },
  {
    plugins: [
      {
        name: 'mutant',
        enforce: 'pre',
        transform: (source: string, id: string) => mutate(mutant, id.slice(root.length + 1), source),
      },
    ],
  },
)
const failed =
  vitest.state.getFiles().flatMap((each) => each.tasks).length > 0 && vitest.state.getCountOfFailedTests() > 0
await vitest.close()
process.exit(failed ? 0 : 1)
