/**
 * Holds our message tables against Kafka's own definitions, which lie as JSON in its jars: every field, type, nullability, tag, default and
 * version of every message we declare, at every version we declare.
 *
 *   kafka-layouts.ts [FOLDER OF JARS]     default: HEADWATER_KAFKA_LIBS
 *
 * Prints one line for each difference; exit code 1 when there is one.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { layoutOf } from '../../src/protocol/kafka/layout.ts'
import type { MessageSchema } from '../../src/protocol/kafka/schema.ts'
import { metadataRecords } from '../../src/protocol/kafka/stored/metadata-record.ts'
import { storedMessages, wireMessages } from '../protocol/kafka/declared-messages.ts'
import { readJar } from './jar.ts'

const kafkaVersion = '4.3.1'
const jars = ['kafka-clients', 'kafka-metadata', 'kafka-group-coordinator', 'kafka-storage']

interface KafkaField {
  readonly name: string
  readonly type: string
  readonly versions?: string
  readonly nullableVersions?: string
  readonly taggedVersions?: string
  readonly tag?: number
  readonly default?: string | number | boolean | null
  readonly ignorable?: boolean | string
  readonly fields?: readonly KafkaField[]
}

interface KafkaMessage {
  readonly jar: string
  readonly name: string
  readonly type: string
  readonly apiKey?: number
  readonly validVersions: string
  readonly flexibleVersions?: string
  readonly fields?: readonly KafkaField[]
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly KafkaField[] }[]
}

export interface LayoutComparison {
  /** Message-versions that were compared. */
  readonly compared: number
  /** One line each; empty when all is equal. */
  readonly differences: readonly string[]
}

/** Why it cannot be done with this folder, in one line; null when it can. */
export function kafkaLayoutsMissing(libs: string | undefined): string | null {
  const absent = jars.map((jar) => `${jar}-${kafkaVersion}.jar`).filter((jar) => !existsSync(join(libs ?? '', jar)))
  return absent.length === 0
    ? null
    : `skipped: no ${absent.join(', ')} (set HEADWATER_KAFKA_LIBS to a folder with them)`
}

/** Compares everything that is declared with the jars in `libs`. */
export function compareLayouts(
  libs: string,
  messages: readonly MessageSchema[] = [...wireMessages, ...storedMessages],
): LayoutComparison {
  const definitions = readDefinitions(libs)
  const differences: string[] = []
  let compared = 0
  for (const message of messages) {
    const theirs = definitions.get(message.name)
    if (theirs === undefined) {
      differences.push(`${message.name}: Kafka has no such message`)
      continue
    }
    differences.push(...factDifferences(message, theirs))
    for (let version = message.versions.first; version <= message.versions.last; version++) {
      compared++
      const ours = layoutOf(message, version)
      const expected = kafkaLayout(theirs, version, message.versions)
      if (ours !== expected) differences.push(`${message.name} ${version}\n  ours  ${ours}\n  Kafka ${expected}`)
    }
  }
  return { compared, differences: [...differences, ...missingRecords(definitions)] }
}

function readDefinitions(libs: string): Map<string, KafkaMessage> {
  const definitions = new Map<string, KafkaMessage>()
  for (const jar of jars) {
    const texts = readJar(join(libs, `${jar}-${kafkaVersion}.jar`), /^(?:common\/)?(?:message|metadata)\/\w+\.json$/)
    for (const text of texts.values()) {
      const definition = JSON.parse(text.replace(/^\s*\/\/.*$/gm, '')) as Omit<KafkaMessage, 'jar'>
      definitions.set(definition.name, { ...definition, jar })
    }
  }
  return definitions
}

/** API key, versions and flexible versions. */
function factDifferences(message: MessageSchema, theirs: KafkaMessage): string[] {
  const differences: string[] = []
  if (message.apiKey !== (theirs.apiKey ?? -1)) {
    differences.push(`${message.name}: API key ${message.apiKey}, Kafka's is ${theirs.apiKey}`)
  }
  const valid = rangeOf(theirs.validVersions)
  const isWire = theirs.type === 'request' || theirs.type === 'response'
  // Produce 0 to 2 is announced by Kafka too, though its table no longer has it.
  const first = message.apiKey === 0 && isWire ? 0 : (valid?.first ?? 0)
  const { first: ourFirst, last: ourLast } = message.versions
  const isInside = valid !== null && ourFirst >= first && ourLast <= valid.last
  // A wire range may be clipped; a stored record must be readable in every version.
  const isWhole = isWire || (ourFirst === valid?.first && ourLast === valid.last)
  if (!isInside || !isWhole) {
    differences.push(`${message.name}: versions ${ourFirst}-${ourLast}, Kafka's are ${theirs.validVersions}`)
  }
  return differences
}

/** Kinds of metadata records that Kafka has and we cannot read. */
function missingRecords(definitions: ReadonlyMap<string, KafkaMessage>): string[] {
  return [...definitions.values()]
    .filter(({ jar, name }) => jar === 'kafka-metadata' && !(name in metadataRecords))
    .map(({ name }) => `${name}: a metadata record that we cannot read`)
}

// ------------------------------------------------------------------------- Kafka's definition as our canonical text

interface Range {
  readonly first: number
  readonly last: number
}

function rangeOf(text: string | undefined): Range | null {
  if (text === undefined || text === 'none') return null
  const [first = '', last] = text.split('-')
  if (first.endsWith('+')) return { first: Number(first.slice(0, -1)), last: Number.POSITIVE_INFINITY }
  return { first: Number(first), last: Number(last ?? first) }
}

function holds(text: string | undefined, version: number): boolean {
  const range = rangeOf(text)
  return range !== null && version >= range.first && version <= range.last
}

/** Fields that exist in none of our versions are left out. */
function kafkaLayout(message: KafkaMessage, version: number, ours: Range): string {
  const structs = new Map((message.commonStructs ?? []).map(({ name, fields }) => [name, fields]))
  const fieldsText = (fields: readonly KafkaField[]): string => fields.filter(isOurs).map(fieldText).join(' ')
  const isOurs = (field: KafkaField): boolean => {
    const range = rangeOf(field.versions ?? field.taggedVersions)
    return range !== null && range.first <= ours.last && range.last >= ours.first
  }
  const fieldText = (field: KafkaField): string => {
    const name = field.name.charAt(0).toLowerCase() + field.name.slice(1)
    const byDefault = defaultText(field)
    if (!holds(field.versions ?? field.taggedVersions, version)) {
      return `${String(field.ignorable) === 'true' ? '-' : '!'}${name}${byDefault}`
    }
    const tag = holds(field.taggedVersions, version) ? `#${field.tag} ` : ''
    const nullable = holds(field.nullableVersions, version) ? '?' : ''
    const element = field.type.replace(/^\[\]/, '')
    const inner = /^[A-Z]/.test(element) ? fieldsText(field.fields ?? structs.get(element) ?? []) : element
    const type = field.type.startsWith('[]') ? `[${inner}]` : inner === element ? element : `{${inner}}`
    return `${tag}${name}:${type}${nullable}${byDefault}`
  }
  const head = holds(message.flexibleVersions, version) ? 'flexible ' : ''
  return head + fieldsText(message.fields ?? [])
}

/** Records are null unless told; the zero of a type is not told. */
function defaultText(field: KafkaField): string {
  const value = field.default === undefined ? (field.type === 'records' ? 'null' : '') : String(field.default)
  if (value === '' || value === 'false') return ''
  if (value === 'null' || value === 'true' || field.type === 'string') return `=${value}`
  return BigInt(value) === 0n ? '' : `=${BigInt(value)}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const libs = process.argv[2] ?? process.env['HEADWATER_KAFKA_LIBS']
  const missing = kafkaLayoutsMissing(libs)
  if (missing !== null) {
    console.log(missing)
  } else {
    const { compared, differences } = compareLayouts(libs ?? '')
    for (const difference of differences) console.log(difference)
    console.log(`${compared} message-versions compared, ${differences.length} differences`)
    process.exitCode = differences.length === 0 ? 0 : 1
  }
}
