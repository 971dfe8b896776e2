/** Runs the `headwater` command of this checkout as a user does. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** The words `sh FILE` start it. */
export const headwaterProgram = join(import.meta.dirname, '../../../tools/headwater')

export interface CommandOutcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The environment without the HEADWATER_ variables of whoever runs the test. */
export function cleanEnvironment(): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HEADWATER_')))
}

/** Without the HEADWATER_ variables of whoever runs the test. */
export function headwater(
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string } = {},
): CommandOutcome {
  const { status, stdout, stderr } = spawnSync('sh', [headwaterProgram, ...args], {
    encoding: 'utf8',
    env: cleanEnvironment(),
    timeout: 30_000,
    input: '',
    ...options,
  })
  return { status, stdout, stderr }
}
