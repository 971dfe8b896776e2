/** Runs tests over sources with a deliberate bug put in: each mutant is a project of its own in one run of vitest. */
import { fileURLToPath } from 'node:url'
import { type Reporter, startVitest } from 'vitest/node'
import { root as rootUrl } from './mutant-text.ts'
import type { Mutant } from './mutant.ts'

const root = fileURLToPath(rootUrl)
const preload = new URL('mutant-preload.ts', import.meta.url).href

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
    onTestCaseResult(test) {
      const { name } = test.project
      if (test.result().state === 'failed' && !failures.has(name)) failures.set(name, test.fullName)
    },
  }
  const vitest = await startVitest('test', [], {
    root,
    config: false,
    watch: false,
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
    test: {
      name: mutant.name,
      include: [mutant.test ?? ''],
      testTimeout: 30_000,
      // Node loads the sources itself: it has the unchanged ones in its compile cache.
      experimental: { viteModuleRunner: false, nodeLoader: false },
      execArgv: ['--import', `${preload}?${mutant.name}`],
      ...(testName === null ? {} : { testNamePattern: patternOf(testName) }),
    },
  }
}

/** Vitest shows « > » between the names of suites and test, and looks for a space there. */
function patternOf(testName: string): RegExp {
  const escaped = testName.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll(' > ', ' (?:> )?')}$`)
}
