/**
 * `headwater setup`: makes the first admin at a running daemon and closes the listeners to whoever has no name. It asks for nothing
 * that its flags say, and a second run changes nothing.
 */
import { readFile, stat } from 'node:fs/promises'
import { ApplianceError, asError } from '../../base/errors.ts'
import type { ListenAddress } from '../../base/ports.ts'
import { writeWholeFile } from '../whole-file.ts'
import { cliErrors } from './cli-errors.ts'
import { unreadableFile } from './file-fault.ts'
import { listenAddress } from './command-flags.ts'
import type { ConfigurationEntry, ConfigurationSource } from './configuration-source.ts'
import type { CommandLineHost } from './host.ts'
import { KafkaClient } from './kafka-client.ts'
import { printResult } from './output.ts'
import { choosePassword } from './password-input.ts'
import { setUpConfiguration } from './setup-configuration.ts'
import { setUser, userMechanisms } from './users-command.ts'

export interface SetupOptions {
  readonly file: string
  readonly admin: string
  readonly passwordFile: string | null
  /** Null = the first Kafka listener of the configuration. */
  readonly bootstrapServer: readonly ListenAddress[] | null
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
  // Closed by an earlier run, or by hand: then the admin is there, and proves it.
  const isClosed = changes.every((change) => !change.startsWith('listeners.kafka'))
  const bootstrap = options.bootstrapServer ?? [firstListener(entries)]
  const client = new KafkaClient(await host.clientPorts(), bootstrap, {
    tls: null,
    login: isClosed ? { mechanism: 'SCRAM-SHA-256', userName: admin, password } : null,
  })
  try {
    if (isClosed) await client.metadata([])
    else for (const mechanism of userMechanisms) await setUser(client, admin, { password, mechanism, iterations })
  } catch (thrown) {
    throw isClosed ? stillOpen(thrown) : thrown
  } finally {
    await client.close()
  }
  if (changes.length > 0) await replace(file, text)
  const next = isClosed && changes.length === 0 ? [] : nextSteps(file, admin)
  printResult({ admin: `User:${admin}`, file, changes, next }, json, () =>
    changes.length === 0
      ? `nothing to do: ${file} is set up, and User:${admin} has this password`
      : [
          `User:${admin} may do everything. ${file} says now:`,
          ...changes.map(indented),
          'Next:',
          ...next.map(indented),
        ].join('\n'),
  )
}

const indented = (line: string): string => `  ${line}`

function nextSteps(file: string, admin: string): string[] {
  return [
    'restart the daemon: until then clients without a name may still do everything (systemctl restart headwater)',
    `make the users of your clients: headwater users set NAME --user ${admin}`,
    `give each what it needs: headwater role grant device NAME --topic PREFIX --user ${admin}`,
    `for clients on other hosts add a listener with tls to ${file} (docs/security.md)`,
  ]
}

/** The daemon runs with the configuration of before: it asks for no name, and refuses one. */
function stillOpen(thrown: unknown): Error {
  const error = asError(thrown)
  if (!error.message.includes('ILLEGAL_SASL_STATE')) return error
  const detail = 'the file is set up, but the daemon still runs without it'
  return new ApplianceError(cliErrors.setupImpossible, { detail, remedy: 'Restart the daemon; nothing else is to do' })
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
  const address = listenAddress(typeof first === 'string' ? first : '127.0.0.1:9092')
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
