/** `headwater token`: tokens of the HTTP listener, for scrapers and programs. */
import { type CommandContext, positiveNumber } from './command-flags.ts'
import { askDaemon, type HttpFlags, withHttpFlags } from './daemon-http.ts'
import { formatTable, print, printResult } from './output.ts'

interface TokenRow {
  readonly id: string
  readonly principal: string
  readonly role: string
  readonly note: string
  readonly expiresMs: number
}

interface CreateFlags extends HttpFlags {
  readonly days: number
  readonly note: string
  readonly principal?: string
}

const usualDays = 90

export function addTokenCommands({ program }: CommandContext): void {
  const token = program.command('token').description('tokens of the HTTP listener, for scrapers and programs')
  withHttpFlags(
    token
      .command('create')
      .description('print a new token; it is shown this once, and kept as a digest')
      .argument('<role>', 'what it may do at most: viewer, operator or admin'),
  )
    .option('--days <n>', 'it expires then', positiveNumber, usualDays)
    .option('--note <TEXT>', 'what it is for', '')
    .option('--principal <User:NAME>', 'whom it speaks for (default: yourself)')
    .action(async (role: string, flags: CreateFlags) => {
      const { days, note, principal } = flags
      const body = { role, days, note, ...(principal === undefined ? {} : { principal }) }
      const made = await askDaemon<TokenRow & { readonly token: string }>(flags, '/api/tokens', {
        method: 'POST',
        body,
      })
      printResult(made, flags.json ?? false, () => made.token)
    })
  withHttpFlags(token.command('list').description('every token, without its secret')).action(
    async (flags: HttpFlags) => {
      const { tokens } = await askDaemon<{ readonly tokens: readonly TokenRow[] }>(flags, '/api/tokens')
      printResult(tokens, flags.json ?? false, () =>
        tokens.length === 0
          ? 'no tokens'
          : formatTable(
              ['ID', 'FOR', 'ROLE', 'EXPIRES', 'NOTE'],
              tokens.map(({ id, principal, role, expiresMs, note }) => [
                id,
                principal,
                role,
                new Date(expiresMs).toISOString(),
                note,
              ]),
            ),
      )
    },
  )
  withHttpFlags(token.command('revoke').description('a token is refused from now on').argument('<id>')).action(
    async (id: string, flags: HttpFlags) => {
      await askDaemon(flags, `/api/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })
      if (flags.json === true) print(JSON.stringify({ revoked: id }))
    },
  )
}
