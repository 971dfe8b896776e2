import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The file that takes longest begins first: begun last, it would keep one of the two workers waiting for a minute and a half. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith('/test/explore/explore.test.ts')
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))]
  }
}

/** Their tests bring worlds of their own and change nothing of the process: the modules are evaluated once a worker, not once a file. */
const sharedRooms = [
  'base',
  'security',
  'admin',
  'broker',
  'cluster',
  'coordinator',
  'ingest',
  'log',
  'mirror',
  'protocol',
]
const shared = sharedRooms.map((room) => `test/${room}/**/*.test.ts`)
const never = ['test/interop/**', 'test/crash/**']

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    // Simulated disks are typed arrays, for which V8 would make a full collection every 200 ms: a fifth of the processor's time.
    execArgv: ['--external-memory-accounted-in-global-limit', '--min-semi-space-size=16'],
    // Node loads sources and tests itself, as in production, and has them in its compile cache.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'shared', include: shared, exclude: never, isolate: false } },
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: [...never, ...shared] } },
    ],
  },
})
