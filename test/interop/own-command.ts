/** The `headwater` command of this checkout, as its users run it. */
import { output, program, type ProgramResult } from './case.ts'
import { daemonEnvironment, sourceCommand } from './headwater.ts'

const [command = '', ...before] = sourceCommand

/** What it prints; throws with everything it said when it failed. */
export function headwater(words: readonly string[], stdin = ''): Promise<string> {
  return output(command, [...before, ...words], { env: daemonEnvironment(), stdin })
}

/** How it ends, where that is the question. */
export function tryHeadwater(
  words: readonly string[],
  env: NodeJS.ProcessEnv = daemonEnvironment(),
): Promise<ProgramResult> {
  return program(command, [...before, ...words], { env })
}
