/** How much is tried: the short form in seconds, and with `--long` the figures of the check-list, which take minutes each. */
import { parseArgs } from 'node:util'

const { values: flags, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    inputs: { type: 'string' },
    mutant: { type: 'string' },
  },
})

/** What stands on the command line of the suite. */
export const command = { groups: positionals, mutant: flags.mutant ?? null, isLong: flags.long } as const

function figure(short: number, long: number): number {
  return flags.long ? long : short
}

export const figures = {
  /** A7, A8: inputs of the decoders of a protocol; null = for `fuzzSeconds`. */
  fuzzInputs: flags.inputs === undefined ? (flags.long ? 50_000_000 : null) : Number(flags.inputs),
  fuzzSeconds: 3,
} as const

export { figure }
