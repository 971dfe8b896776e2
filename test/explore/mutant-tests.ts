/** Runs tests over sources with a deliberate bug put in: each mutant is a project of its own in one run of vitest. */
import { join } from 'node:path'
import type { Reporter, TestCase } from 'vitest/node'
import { startVitest } from 'vitest/node'
import { mutate } from './mutant-text.ts'
import type { Mutant } from './mutant.ts'

const root = join(import.meta.dirname, '..', '..')

/** A mutant, and the full name of the one test to run for it; null runs its whole file. */
export interface Trial {
  readonly mutant: Mutant
  readonly testName: string | null
}

/** The full name of the first test that failed for each mutant, under the mutant's name. Without one: none failed. */
export async function failuresOf(trials: readonly Trial[]): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>()
  if (trials.length === 0) return failures
  const reporter: Reporter = {
    onTestCaseResult(test: TestCase): void {
      const { name } = test.project
      if (test.result().state === 'failed' && !failures.has(name)) failures.set(name, test.fullName)
    },
  }
  const vitest = await startVitest('test', [], {
    root,
    config: false,
    watch: false,
    fsModuleCache: false,
    reporters: [reporter],
    maxWorkers: 1,
    projects: trials.map(projectOf),
  })
  await vitest.close()
  return failures
}

function projectOf({ mutant, testName }: Trial) {
  return {
    root,
    plugins: [
      {
        name: 'mutant',
        enforce: 'pre' as const,
        transform: (source: string, id: string): string => mutate(mutant, id.slice(root.length + 1), source),
      },
    ],
    test: {
      name: mutant.name,
      // What one mutant has made of a source is of no use to another, nor to who runs the tests next.
      fsModuleCache: false,
      include: [mutant.test ?? ''],
      testTimeout: 30_000,
      ...(testName === null ? {} : { testNamePattern: patternOf(testName) }),
    },
  }
}

/** Vitest shows « > » between the names of suites and test, and looks for a space there. */
function patternOf(testName: string): RegExp {
  const escaped = testName.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^ ?${escaped.replaceAll(' > ', ' (?:> )?')}$`)
}
