/** The command line as a client of the daemon's HTTP listener: its address, and who it speaks for. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { ApplianceError, asError } from '../../base/errors.ts'
import { isLoopbackHost } from '../../base/loopback.ts'
import { cliErrors } from './cli-errors.ts'
import { unreadableFile } from './file-fault.ts'
import { jsonOption, passwordFileOption } from './command-flags.ts'

export interface HttpFlags {
  readonly http: string
  readonly user?: string
  readonly passwordFile?: string
  readonly tokenFile?: string
  readonly json?: true
}

export interface DaemonAsk {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: object
  /** In place of what the flags say. */
  readonly caller?: { readonly user: string; readonly password: string }
}

const answerMs = 10_000
export const usualHttpAddress = '127.0.0.1:9640'

export function withHttpFlags(command: Command): Command {
  return command
    .option('--http <HOST:PORT>', "the daemon's HTTP listener (https://HOST:PORT under TLS)", usualHttpAddress)
    .option('--user <NAME>', 'authenticate as this user')
    .option(...passwordFileOption)
    .option('--token-file <FILE>', 'holds a token (`headwater token create`)')
    .option(...jsonOption)
}

/** Asks one path. Throws CLI_DAEMON_UNREACHABLE, or CLI_HTTP_REFUSED with the daemon's own sentence. */
export async function askDaemon<T>(flags: HttpFlags, path: string, ask: DaemonAsk = {}): Promise<T> {
  const address = `${flags.http.startsWith('https://') ? '' : 'http://'}${flags.http}`
  const attempt = `${address}${path}`
  const { method = 'GET', body, caller } = ask
  if (!URL.canParse(address) || !/^(?:https:\/\/)?[^/:]+:\d+$|\]:\d+$/.test(flags.http)) {
    const detail = `"${flags.http}" is not HOST:PORT or https://HOST:PORT`
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--http', detail })
  }
  const authorization = caller === undefined ? await authorizationOf(flags) : basic(caller)
  if (authorization !== null && !isSheltered(address)) {
    const detail = 'a password or token is not sent to another host in plain text: write https://HOST:PORT'
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--http', detail })
  }
  let response: Response
  let text: string
  try {
    response = await fetch(attempt, {
      method,
      signal: AbortSignal.timeout(answerMs),
      redirect: 'error',
      headers: {
        ...(authorization === null ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    text = await response.text()
  } catch (thrown) {
    const error = asError(thrown)
    const cause = error.cause === undefined ? error : asError(error.cause)
    throw new ApplianceError(cliErrors.daemonUnreachable, { address: attempt, detail: cause.message || error.message })
  }
  const value = parsed(text)
  if (response.ok) return value as T
  const { message, remedy } = value as { readonly message?: string; readonly remedy?: string }
  const detail = message ?? `HTTP ${response.status}`
  throw new ApplianceError(cliErrors.httpRefused, { address: attempt, detail, remedy: remedy ?? 'Look at its log.' })
}

function parsed(text: string): unknown {
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

async function authorizationOf({ user, passwordFile, tokenFile }: HttpFlags): Promise<string | null> {
  const refuse = (name: string, detail: string): never => {
    throw new ApplianceError(cliErrors.valueInvalid, { name, detail })
  }
  if (tokenFile !== undefined) {
    if (user !== undefined || passwordFile !== undefined) refuse('--token-file', 'name a token or a user')
    const text = await readFile(tokenFile, 'utf8').catch((thrown: unknown) => {
      throw unreadableFile(tokenFile, thrown)
    })
    const token = text.trim()
    return /^[\x21-\x7e]{1,1000}$/.test(token) ? `Bearer ${token}` : refuse('--token-file', 'it does not hold a token')
  }
  if (user === undefined) return passwordFile === undefined ? null : refuse('--password-file', 'name the --user too')
  const { readPassword } = await import('./password-input.ts')
  const password = await readPassword(passwordFile ?? null, user)
  return basic({ user, password })
}

function basic({ user, password }: NonNullable<DaemonAsk['caller']>): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function isSheltered(address: string): boolean {
  if (address.startsWith('https://')) return true
  const plain = /^http:\/\/([^/@?#]*?)(?::\d+)?$/.exec(address)
  return plain !== null && isLoopbackHost(plain[1] ?? '')
}
