/**
 * Makes a configuration of its written forms. Precedence, lowest first: defaults, the YAML file, HEADWATER_ variables, flags.
 * An unknown key or variable is refused with the nearest name that exists.
 */
import type { YAMLParseError } from 'yaml'
import type {
  ConfigurationEntry,
  ConfigurationFlags,
  ConfigurationReport,
  ConfigurationSource,
} from './admin/cli/configuration-source.ts'
import { ApplianceError, asError } from './base/errors.ts'
import { type ApplianceConfig, configSchema } from './config.ts'
import { configErrors } from './config-errors.ts'
import { placeCredentials } from './config-credentials.ts'
import { type ConfigFault, describeIssue } from './config-faults.ts'
import { type ConfigKey, configKeys, environmentName } from './config-keys.ts'
import { nearestName, pathText } from './config-names.ts'

/** The configuration that the sources add up to. Throws CONFIG_INVALID with every fault in its sentence. */
export async function readConfiguration(source: ConfigurationSource): Promise<ApplianceConfig> {
  const outcome = await resolveConfiguration(source)
  if (outcome.kind === 'valid') return outcome.config
  throw new ApplianceError(configErrors.configInvalid, { problems: outcome.problems.join('\n  ') })
}

/** What `headwater config print` and `config check` show. */
export async function inspectConfiguration(source: ConfigurationSource): Promise<ConfigurationReport> {
  const outcome = await resolveConfiguration(source)
  if (outcome.kind === 'invalid') return outcome
  const entries = configKeys().map((key): ConfigurationEntry => {
    const written = valueAt(outcome.written, key.path)
    return {
      key: key.name,
      value: written === undefined ? defaultOf(key, outcome.written) : written,
      origin: outcome.origins.get(key.name) ?? (written === undefined ? 'default' : 'file'),
      description: key.description,
    }
  })
  return { kind: 'valid', entries }
}

/** A key of a section that is not there has no value, not even its default. */
function defaultOf({ optionalSection, defaultValue }: ConfigKey, written: WrittenObject): unknown {
  return optionalSection !== null && !isObject(valueAt(written, optionalSection)) ? null : defaultValue
}

type Outcome =
  | {
      kind: 'valid'
      config: ApplianceConfig
      written: WrittenObject
      origins: ReadonlyMap<string, 'environment' | 'flag'>
    }
  | { kind: 'invalid'; problems: readonly string[] }

type WrittenObject = { [key: string]: unknown }

async function resolveConfiguration(source: ConfigurationSource): Promise<Outcome> {
  const file = await parseFile(source)
  if (file.problems.length > 0) return { kind: 'invalid', problems: file.problems }
  const problems: string[] = []
  const origins = new Map<string, 'environment' | 'flag'>()
  applyEnvironment(source.environment, file.written, origins, problems)
  applyFlags(source.flags, file.written, origins)
  placeCredentials(file.written, source.environment['CREDENTIALS_DIRECTORY'], (path, fault) => {
    const where = originOf(path, origins) ?? file.placeOf(path)
    problems.push(`${where === null ? '' : `${where}: `}${pathText(path)}: ${fault}`)
  })
  const tell = ({ path, sentence }: ConfigFault): void => {
    const where = originOf(path, origins) ?? file.placeOf(path)
    problems.push(where === null ? sentence : `${where}: ${sentence}`)
  }
  const parsed = configSchema.safeParse(file.written, { reportInput: true })
  for (const issue of parsed.error?.issues ?? []) describeIssue(issue).forEach(tell)
  if (parsed.success) {
    const { roomFaults } = await import('./config-room-faults.ts')
    roomFaults(parsed.data).forEach(tell)
    if (problems.length === 0) return { kind: 'valid', config: parsed.data, written: file.written, origins }
  }
  return { kind: 'invalid', problems }
}

// ---------------------------------------------------------------------------------------------- the file

/** Aliases unfold to copies; more than this is a bomb, not a configuration. */
const aliasCountMax = 100

interface ParsedFile {
  readonly written: WrittenObject
  readonly problems: readonly string[]
  /** `file:line` of a key, null when it is not in the file. */
  placeOf(path: readonly PropertyKey[]): string | null
}

async function parseFile(source: ConfigurationSource): Promise<ParsedFile> {
  if (source.file === null) return { written: {}, problems: [], placeOf: () => null }
  const { name, text } = source.file
  const { isMap, isNode, isPair, isScalar, LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, merge: false, stringKeys: true })
  if (document.errors.length > 0) {
    const problems = document.errors.map(
      (error) => `${name}:${lines.linePos(error.pos[0]).line}: ${yamlFault(error, text)}`,
    )
    return { written: {}, problems, placeOf: () => null }
  }
  let written: unknown
  try {
    written = document.toJS({ maxAliasCount: aliasCountMax }) ?? {}
  } catch (thrown) {
    return { written: {}, problems: [`${name}: ${asError(thrown).message}`], placeOf: () => null }
  }
  if (!isObject(written))
    return { written: {}, problems: [`${name}: the file must hold a mapping of keys`], placeOf: () => null }
  const placeOf = (path: readonly PropertyKey[]): string | null => {
    let line = 0
    let at: unknown = document.contents
    for (const part of path) {
      if (isMap(at)) {
        const pair: unknown = at.items.find(
          (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
        )
        if (!isPair(pair)) break
        if (isNode(pair.key) && pair.key.range) line = lines.linePos(pair.key.range[0]).line
        at = pair.value
      } else {
        at = isNode(at) && 'get' in at && typeof at.get === 'function' ? at.get(part, true) : undefined
        if (isNode(at) && at.range) line = lines.linePos(at.range[0]).line
      }
      if (at === undefined) break
    }
    return line === 0 ? name : `${name}:${line}`
  }
  return { written, problems: [], placeOf }
}

function yamlFault({ code, message, pos }: YAMLParseError, text: string): string {
  const word = /^[^\s:,{}]*/.exec(text.slice(pos[0], pos[0] + 200))?.[0] ?? ''
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here (---); the file holds one'
  if (code === 'NON_STRING_KEY') return 'a key is text; a list or a mapping cannot be one'
  if (code === 'DUPLICATE_KEY') return `keys must be unique: ${word} stands here once more`
  return message.replace(/ at line \d+, column \d+:[^]*$/, '')
}

function isObject(value: unknown): value is WrittenObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// ------------------------------------------------------------------------------------- variables and flags

const environmentPrefix = 'HEADWATER_'
/** One of Kafka's settings: HEADWATER_KAFKA_NUM_PARTITIONS is num.partitions. */
const kafkaPrefix = 'HEADWATER_KAFKA_'

/** Variables of the programs under test/ and bench/, which start daemons with the environment they have. */
const variablesOfTests = new Set(['HEADWATER_KAFKA_LIBS', 'HEADWATER_PYTHON'])

function applyEnvironment(
  environment: ConfigurationSource['environment'],
  written: WrittenObject,
  origins: Map<string, 'environment' | 'flag'>,
  problems: string[],
): void {
  const byName = new Map(configKeys().map((key) => [environmentName(key.path), key]))
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(environmentPrefix) || variablesOfTests.has(name) || text === undefined) continue
    if (name.startsWith(kafkaPrefix)) {
      // No name of Kafka's has an underscore, so the way back is unambiguous.
      const setting = name.slice(kafkaPrefix.length).toLowerCase().replaceAll('_', '.')
      setAt(written, ['kafka', setting], text)
      origins.set(`kafka.${setting}`, 'environment')
      continue
    }
    const key = byName.get(name)
    if (key === undefined) {
      const nearest = nearestName(name, [...byName.keys()])
      problems.push(`${name}: there is no such variable${nearest === null ? '' : `; did you mean ${nearest}?`}`)
      continue
    }
    const value = environmentValue(key, text)
    if (value === undefined)
      problems.push(`${name}: a list is written as JSON, for example '${JSON.stringify(key.defaultValue)}'`)
    else setAt(written, key.path, value)
    origins.set(key.name, 'environment')
  }
}

/** The variable's text as the schema wants it, or undefined when a list is not JSON. */
function environmentValue(key: ConfigKey, text: string): unknown {
  if (key.kind === 'text') return text
  try {
    return JSON.parse(text)
  } catch {
    return key.kind === 'list' ? undefined : text
  }
}

function applyFlags(
  flags: ConfigurationFlags,
  written: WrittenObject,
  origins: Map<string, 'environment' | 'flag'>,
): void {
  const set = (name: string, path: readonly string[], value: unknown) => {
    setAt(written, path, value)
    origins.set(name, 'flag')
  }
  if (flags.dataDir !== undefined) set('dataDir', ['dataDir'], flags.dataDir)
  if (flags.kafka !== undefined) set('listeners.kafka', ['listeners', 'kafka'], [{ listen: flags.kafka }])
  if (flags.mqtt !== undefined) set('listeners.mqtt', ['listeners', 'mqtt'], [{ listen: flags.mqtt }])
  if (flags.http !== undefined) set('listeners.http.listen', ['listeners', 'http', 'listen'], flags.http)
  if (flags.logLevel !== undefined) set('log.level', ['log', 'level'], flags.logLevel)
}

function setAt(object: WrittenObject, path: readonly string[], value: unknown): void {
  const [first, ...rest] = path
  if (first === undefined) return
  if (rest.length === 0) {
    object[first] = value
    return
  }
  const inner = object[first]
  // What is no section stays, for the schema to refuse.
  if (inner !== undefined && !isObject(inner)) return
  const next: WrittenObject = inner ?? {}
  object[first] = next
  setAt(next, rest, value)
}

function valueAt(object: WrittenObject, path: readonly string[]): unknown {
  let value: unknown = object
  for (const part of path) value = isObject(value) ? value[part] : undefined
  return value
}

// ------------------------------------------------------------------------------------------------- faults

function originOf(path: readonly PropertyKey[], origins: ReadonlyMap<string, 'environment' | 'flag'>): string | null {
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(path.slice(0, length).join('.'))
    if (origin === 'flag') return 'command line'
    if (origin === 'environment') return environmentName(path.slice(0, length).map(String))
  }
  return null
}
