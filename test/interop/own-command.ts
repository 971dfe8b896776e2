/** The `headwater` command of this checkout, as its users run it. */
import { output } from './case.ts'
import { daemonEnvironment, sourceCommand } from './headwater.ts'

/** What it prints; throws with everything it said when it failed. */
export function headwater(words: readonly string[], stdin = ''): Promise<string> {
  const [program = '', ...before] = sourceCommand
  return output(program, [...before, ...words], { env: daemonEnvironment(), stdin })
}
