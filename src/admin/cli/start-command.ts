/**
 * `headwater start`: gathers the sources of the configuration and hands them to the host. Its flags are a table, because the
 * daemon's own start parses them without loading the command-line framework.
 */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { parseArgs } from 'node:util'
import { unreadableFile } from './file-fault.ts'
import type { ConfigurationFlags, ConfigurationSource } from './configuration-source.ts'

/** Flags that name and override a configuration: of `start`, `config print` and `config check`. */
export const configurationFlags = [
  { name: 'config', value: 'FILE', help: 'the YAML file (default: headwater.yaml here, when there is one)' },
  { name: 'data-dir', value: 'DIR', help: 'overrides dataDir' },
  { name: 'kafka', value: 'HOST:PORT', help: 'overrides listeners.kafka; port 0 is any free port' },
  { name: 'mqtt', value: 'HOST:PORT', help: 'overrides listeners.mqtt' },
  { name: 'http', value: 'HOST:PORT', help: 'overrides listeners.http.listen' },
  { name: 'log-level', value: 'LEVEL', help: 'overrides log.level' },
] as const

export interface StartFlags extends ConfigurationFlags {
  readonly config?: string
}

/** The flags of `start`, or null when the framework has to look: help, an unknown flag, an argument too many. */
export function parseStartFlags(args: readonly string[]): StartFlags | null {
  const options = Object.fromEntries(configurationFlags.map(({ name }) => [name, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false })
    const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined)
    const all = {
      config: text('config'),
      dataDir: text('data-dir'),
      kafka: text('kafka'),
      mqtt: text('mqtt'),
      http: text('http'),
      logLevel: text('log-level'),
    }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  } catch {
    return null
  }
}

const usualFile = 'headwater.yaml'

/** Reads the named file (or headwater.yaml, when there is one) and adds the environment. Throws CLI_FILE_UNREADABLE. */
export async function gatherConfiguration(flags: StartFlags): Promise<ConfigurationSource> {
  const { config, ...overrides } = flags
  const name = config ?? usualFile
  let file: ConfigurationSource['file'] = null
  try {
    file = { name, text: await readFile(name, 'utf8') }
  } catch (thrown) {
    const isAbsentDefault = config === undefined && (thrown as NodeJS.ErrnoException).code === 'ENOENT'
    if (!isAbsentDefault) throw unreadableFile(name, thrown)
  }
  return { file, flags: overrides, environment: process.env }
}

export function withConfigurationFlags(command: Command): Command {
  for (const { name, value, help } of configurationFlags) command.option(`--${name} <${value}>`, help)
  return command
}
