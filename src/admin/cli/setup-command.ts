/**
 * `headwater setup`: makes the first admin at a running daemon and closes the listeners to whoever has no name. It asks for nothing
 * that its flags say, and a second run changes nothing.
 *
 * First the admin, then the file, then the daemon that runs: wherever it is broken off, a restart is as open or as closed as the file
 * says, nobody is locked out, and another run goes on.
 */
import { readFile, stat } from 'node:fs/promises'
import { ApplianceError, asError } from '../../base/errors.ts'
import type { ListenAddress } from '../../base/ports.ts'
import { writeWholeFile } from '../whole-file.ts'
import type { SetUpFacts } from '../access.ts'
import { cliErrors } from './cli-errors.ts'
import { unreadableFile } from './file-fault.ts'
import { listenAddress } from './command-flags.ts'
import type { ConfigurationEntry, ConfigurationSource } from './configuration-source.ts'
import { askDaemon, usualHttpAddress } from './daemon-http.ts'
import type { CommandLineHost } from './host.ts'
import { KafkaClient } from './kafka-client.ts'
import { printResult } from './output.ts'
import { choosePassword } from './password-input.ts'
import { setUpConfiguration } from './setup-configuration.ts'
import { setUser, type UserMechanism, userMechanisms } from './users-command.ts'

export interface SetupOptions {
  readonly file: string
  readonly admin: string
  readonly passwordFile: string | null
  /** Null = the first Kafka listener of the configuration. */
  readonly bootstrapServer: readonly ListenAddress[] | null
  /** Null = as the configuration says. */
  readonly http: string | null
  readonly iterations: number
  readonly json: boolean
}

/** A name that stands in `super.users` and in a principal without a second thought. */
const adminName = /^[A-Za-z0-9._@-]{1,100}$/

export async function setUp(host: CommandLineHost, options: SetupOptions): Promise<void> {
  const { file, admin, passwordFile, iterations, json } = options
  if (!adminName.test(admin)) {
    const detail = `"${admin}" is no name of letters, digits, dot, underscore, @ and hyphen (1 to 100)`
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--admin', detail })
  }
  const before = await textOf(file)
  const { text, changes } = setUpConfiguration(before ?? '', admin)
  const entries = await judge(host, { name: file, text })
  const password = await choosePassword(passwordFile, admin)
  const bootstrap = options.bootstrapServer ?? [firstListener(entries)]
  // Closed by an earlier run, or by hand: then the admin is there.
  const isWritten = changes.every((change) => !change.startsWith('listeners.kafka'))
  await makeAdmin(host, bootstrap, { admin, password, iterations, isWritten })
  if (changes.length > 0) await replace(file, text)
  const facts = await closeNow(file, options.http ?? httpListener(entries), { user: admin, password })
  const isNothing = changes.length === 0 && facts.closed.length === 0
  const next = isNothing ? [] : nextSteps(file, admin, facts.waits)
  printResult({ admin: `User:${admin}`, file, changes, ...facts, next }, json, () =>
    isNothing
      ? `nothing to do: ${file} is set up, and User:${admin} has this password`
      : [
          `User:${admin} may do everything. ${file} says:`,
          ...(changes.length === 0 ? ['  what it said before'] : changes.map(indented)),
          closedWords(facts),
          'Next:',
          ...next.map(indented),
        ].join('\n'),
  )
}

const indented = (line: string): string => `  ${line}`

function closedWords({ closed, ended }: SetUpFacts): string {
  if (closed.length === 0) return 'The daemon that runs asked for names already.'
  const gone = ended === 0 ? 'nobody was connected without one' : `connections without one that were ended: ${ended}`
  return `At once, without a restart, ${closed.map((name) => `listeners.${name}`).join(', ')} ask for a name; ${gone}.`
}

const waiting: Readonly<Record<string, string>> = {
  'super.users': 'the admin stands in super.users from the next start on; until then its entries say what it may do',
  audit: 'the audit begins with the next start (systemctl restart headwater)',
}

function nextSteps(file: string, admin: string, waits: readonly string[]): string[] {
  return [
    ...waits.flatMap((name) => waiting[name] ?? []),
    `what else has changed in ${file} since the daemon was started, new listeners too, counts from its next start on`,
    `make the users of your clients: headwater users set NAME --user ${admin}`,
    `give each what it needs: headwater role grant device NAME --topic PREFIX --user ${admin}`,
    `for clients on other hosts add a listener with tls to ${file} (docs/security.md)`,
  ]
}

interface Admin {
  readonly admin: string
  readonly password: string
  readonly iterations: number
  /** The file asks for names already. */
  readonly isWritten: boolean
}

/** Whoever is asked for a name gives the admin's, and so proves the password; whoever is not makes the admin. */
async function makeAdmin(host: CommandLineHost, bootstrap: readonly ListenAddress[], wish: Admin): Promise<void> {
  const { admin, password, iterations, isWritten } = wish
  const ports = await host.clientPorts()
  const attempt = async (mechanism: UserMechanism | null): Promise<void> => {
    const login = mechanism === null ? null : { mechanism, userName: admin, password }
    const client = new KafkaClient(ports, bootstrap, { tls: null, login })
    try {
      if (isWritten) await client.metadata([])
      else await setUser(client, admin, { password, mechanism: userMechanisms, iterations })
    } finally {
      await client.close()
    }
  }
  const refusals: unknown[] = []
  for (const mechanism of userMechanisms) {
    try {
      return await attempt(mechanism)
    } catch (thrown) {
      // What the file says is there, the daemon that was not told of it is asked below.
      if (asksForNoName(thrown)) return isWritten ? undefined : attempt(null)
      // Kafka's tools give a user one mechanism, whichever they are told.
      if (!isLoginRefused(thrown)) throw thrown
      refusals.push(thrown)
    }
  }
  throw refusals[0]
}

/** A listener without names refuses one. */
function asksForNoName(thrown: unknown): boolean {
  return isLoginRefused(thrown) && thrown.message.includes('ILLEGAL_SASL_STATE')
}

function isLoginRefused(thrown: unknown): thrown is ApplianceError {
  return thrown instanceof ApplianceError && thrown.code === cliErrors.loginRefused.code
}

/** The daemon that runs closes what its own configuration leaves open. Throws CLI_SETUP_NOT_IN_FORCE. */
async function closeNow(
  file: string,
  http: string,
  caller: { readonly user: string; readonly password: string },
): Promise<SetUpFacts> {
  try {
    return await askDaemon<SetUpFacts>({ http }, '/api/setup', { method: 'POST', caller })
  } catch (thrown) {
    throw new ApplianceError(cliErrors.setupNotInForce, { file, detail: asError(thrown).message })
  }
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw unreadableFile(file, thrown)
  }
}

/** Before anything is changed: the file must be one that the daemon starts with, and no variable may overrule it. */
async function judge(host: CommandLineHost, file: ConfigurationSource['file']): Promise<readonly ConfigurationEntry[]> {
  const report = await host.inspectConfiguration({ file, flags: {}, environment: process.env })
  const refuse = (detail: string, remedy: string): never => {
    throw new ApplianceError(cliErrors.setupImpossible, { detail, remedy })
  }
  if (report.kind === 'invalid')
    return refuse(report.problems.join('; '), 'Correct the configuration, then run it again')
  const overruling = report.entries.find(
    ({ key, origin }) => origin === 'environment' && (key.startsWith('listeners.') || key === 'kafka'),
  )
  if (overruling !== undefined) {
    refuse(`a HEADWATER_ variable says what ${overruling.key} is`, 'Move that setting into the file, then run it again')
  }
  return report.entries
}

function firstListener(entries: readonly ConfigurationEntry[]): ListenAddress {
  const listeners = entries.find(({ key }) => key === 'listeners.kafka')?.value
  const first = Array.isArray(listeners)
    ? (listeners[0] as { readonly listen?: unknown } | undefined)?.listen
    : undefined
  return fromHere(typeof first === 'string' ? first : '127.0.0.1:9092')
}

function httpListener(entries: readonly ConfigurationEntry[]): string {
  const of = (key: string): ConfigurationEntry | undefined => entries.find((entry) => entry.key === key)
  const written = of('listeners.http.listen')?.value
  const { host, port } = fromHere(typeof written === 'string' ? written : usualHttpAddress)
  const hasTls = (of('listeners.http.tls.certificate')?.origin ?? 'default') !== 'default'
  return `${hasTls ? 'https://' : ''}${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An address that a listener of this machine is reached by. */
function fromHere(written: string): ListenAddress {
  const address = listenAddress(written)
  const isEverywhere = address.host === '0.0.0.0' || address.host === '::'
  return isEverywhere ? { host: '127.0.0.1', port: address.port } : address
}

/** With the rights of the file as they were; root leaves it with whoever could read it before. */
async function replace(file: string, text: string): Promise<void> {
  const owner = await stat(file).catch(() => null)
  const mode = owner === null ? 0o640 : owner.mode & 0o777
  try {
    await writeWholeFile(file, text, { mode, owner })
  } catch (thrown) {
    const error: NodeJS.ErrnoException = asError(thrown)
    throw new ApplianceError(cliErrors.setupImpossible, {
      detail: `${file} cannot be written (${error.code ?? error.message}); the admin is there already`,
      remedy: 'Run it again as somebody who may write the file',
    })
  }
}
