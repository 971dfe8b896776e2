/** Flags that several commands share, and what their values may be. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { ApplianceError } from '../../base/errors.ts'
import type { ListenAddress } from '../../base/ports.ts'
import { cliErrors } from './cli-errors.ts'
import type { ClientSecurity } from './client-properties.ts'
import type { CommandLineHost } from './host.ts'
import type { KafkaClient } from './kafka-client.ts'

/** Flags of commands that speak Kafka. */
export interface KafkaFlags {
  readonly bootstrapServer: readonly ListenAddress[]
  readonly commandConfig?: string
  readonly user?: string
  readonly passwordFile?: string
  readonly saslMechanism: string
  readonly json?: true
}

/** What adding a command needs. */
export interface CommandContext {
  readonly program: Command
  readonly host: CommandLineHost
  /** The exit status, where it is not 0. */
  readonly finish: (status: number) => void
}

const mechanismNames = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

export const jsonOption = ['--json', 'machine-readable output'] as const
export const passwordFileOption = [
  '--password-file <FILE>',
  'holds the password in its first line, `-` is standard input (default: asked for)',
] as const

/** Adds the flags of a command that speaks Kafka. */
export function withKafkaFlags(command: Command): Command {
  return command
    .addOption(
      addressOption(
        '-b, --bootstrap-server <HOST:PORT,...>',
        'Kafka listeners to ask first',
        addresses,
        '127.0.0.1:9092',
      ),
    )
    .option(
      '--command-config <file>',
      "TLS and login, in the file of Kafka's own tools (security.protocol, sasl.jaas.config ...)",
    )
    .option('--user <NAME>', 'authenticate as this user, by SCRAM')
    .option(...passwordFileOption)
    .option('--sasl-mechanism <NAME>', mechanismNames.join(' or '), 'SCRAM-SHA-256')
    .option(...jsonOption)
}

/** Runs `work` with a client and closes it. */
export async function withClient(
  host: CommandLineHost,
  flags: KafkaFlags,
  work: (client: KafkaClient) => Promise<void>,
): Promise<void> {
  const { KafkaClient } = await import('./kafka-client.ts')
  const client = new KafkaClient(await host.clientPorts(), flags.bootstrapServer, await securityOf(flags))
  try {
    await work(client)
  } finally {
    await client.close()
  }
}

/** How the flags say to connect: by a file, or by a user. */
async function securityOf(flags: KafkaFlags): Promise<ClientSecurity> {
  const { commandConfig, user, passwordFile, saslMechanism } = flags
  if (commandConfig !== undefined) {
    if (user !== undefined || passwordFile !== undefined) {
      const detail = 'says who it is; --user and --password-file do not go with it'
      throw new ApplianceError(cliErrors.valueInvalid, { name: '--command-config', detail })
    }
    const { readClientProperties } = await import('./client-properties.ts')
    return readClientProperties(commandConfig)
  }
  if (user === undefined) {
    if (passwordFile === undefined) return { tls: null, login: null }
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--password-file', detail: 'name the --user too' })
  }
  const mechanism = mechanismNames.find((name) => name === saslMechanism)
  if (mechanism === undefined) {
    const detail = `${saslMechanism} is not ${mechanismNames.join(' or ')}`
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--sasl-mechanism', detail })
  }
  const { readPassword } = await import('./password-input.ts')
  return { tls: null, login: { mechanism, userName: user, password: await readPassword(passwordFile ?? null, user) } }
}

/** Parser of a whole number >= 0. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('A whole number is wanted.')
  return value
}

/** Parser of a whole number >= 1. */
export function positiveNumber(text: string): number {
  const value = wholeNumber(text)
  if (value === 0) throw new InvalidArgumentError('A whole number above 0 is wanted.')
  return value
}

/** Collects `name=value` flags that may be given many times. */
export function collectPair(
  text: string,
  previous: readonly (readonly [string, string])[] = [],
): readonly (readonly [string, string])[] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('NAME=VALUE is wanted.')
  return [...previous, [text.slice(0, at), text.slice(at + 1)]]
}

/** Collects a flag that may be given many times. */
export function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text]
}

/** Milliseconds of a point in time as people write it. Throws CLI_VALUE_INVALID. */
export function pointInTime(name: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isNaN(value))
    throw new ApplianceError(cliErrors.valueInvalid, {
      name,
      detail: `"${text}" is no point in time; write 2026-01-31T06:00:00Z or milliseconds since 1970`,
    })
  return value
}

/** Parser of one address. */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text.trim())
  if (match === null || Number(match[3]) > 65_535) throw new InvalidArgumentError('HOST:PORT is wanted.')
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
}

export function addresses(text: string): ListenAddress[] {
  return text.split(',').map(listenAddress)
}

/** An option that is parsed, and whose default the help shows as it is written. */
export function addressOption(flags: string, help: string, parse: (text: string) => unknown, usual: string): Option {
  return new Option(flags, help).argParser(parse).default(parse(usual), usual)
}
