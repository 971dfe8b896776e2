/**
 * Prints the documents that the tables hold: `npm run docs` writes them, the tidy test compares them. Nobody edits them by hand.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { brokerConfigTable } from '../src/cluster/metadata/broker-config.ts'
import type { ConfigTable } from '../src/cluster/metadata/config-table.ts'
import { topicConfigTable } from '../src/cluster/metadata/topic-config.ts'
import { type ConfigKey, configKeys, environmentName } from '../src/config-keys.ts'
import { adminHandlers } from '../src/ingest/kafka/handlers/admin-handlers.ts'
import { apiVersionsKey } from '../src/ingest/kafka/handlers/api-versions.ts'
import { groupHandlers } from '../src/ingest/kafka/handlers/group-handlers.ts'
import { saslHandlers } from '../src/ingest/kafka/handlers/sasl-handlers.ts'
import { guardTable } from '../src/ingest/kafka/guards/guard-table.ts'
import { recordHandlers } from '../src/ingest/kafka/handlers/record-handlers.ts'
import { apiByKey } from '../src/protocol/kafka/apis.ts'
import { attackRows } from '../test/attack/checklist.ts'
import { type ConformanceRow, conformance5, testFiles } from '../test/protocol/mqtt/conformance-table.ts'
import { conformance311 } from '../test/protocol/mqtt/conformance-table-311.ts'
import { auditTypes } from '../src/security/audit/audit-types.ts'
import { loadTables, repositoryRoot, type TableEntry, type Tables } from './tables.ts'

const printedFrom = (place: string): string =>
  `Printed from the tables in ${code(place)} by ${code('npm run docs')}; edit those.`

/** Every printed document: path from the root of the repository, and text. */
export async function printedDocuments(): Promise<ReadonlyMap<string, string>> {
  const tables = await loadTables()
  return new Map([
    ['docs/configuration.md', configurationDocument()],
    ['docs/metrics.md', metricsDocument(tables)],
    ['docs/log-events.md', eventsDocument(tables)],
    ['docs/errors.md', errorsDocument(tables)],
    ['docs/internal-topics.md', internalTopicsDocument(tables)],
    ['docs/kafka-apis.md', kafkaApisDocument()],
    ['docs/mqtt-conformance.md', mqttConformanceDocument()],
    ['docs/audit.md', auditDocument()],
    ['docs/attacks.md', attacksDocument()],
  ])
}

function configurationDocument(): string {
  const keys = configKeys({ insideLists: true })
  const rows = keys.map((key) => [code(key.name), defaultText(key), sentence(key), variable(key)])
  return document('Configuration', [
    'One YAML file, named by `--config`, or `headwater.yaml` in the folder where the daemon starts. Without a file every key has its default.',
    'Precedence, lowest first: defaults, the file, `HEADWATER_` variables, flags. Lists in variables are JSON. An unknown key or variable is',
    'refused with the nearest name that exists; `headwater config check` tells what is wrong, `headwater config print` what is in force.',
    '',
    'Sizes are written `512KiB`, `10MiB`, `2GiB`; durations `500ms`, `30s`, `15m`, `12h`, `7d`. A number without a unit is refused.',
    '',
    '## Keys',
    '',
    table(['Key', 'Default', 'What it is', 'Variable'], rows),
    '',
    "## Kafka's broker settings",
    '',
    'They stand under `kafka`. As variables they are `HEADWATER_KAFKA_` and the name in capitals with underscores: `HEADWATER_KAFKA_NUM_PARTITIONS`.',
    'Where Kafka has several spellings of one setting (`log.retention.hours`, `log.roll.hours`) those are taken too.',
    '',
    kafkaTable(brokerConfigTable),
    '',
    "## Kafka's topic configs",
    '',
    'They are given when a topic is created, or later: `headwater topics alter TOPIC --config NAME=VALUE`.',
    '',
    kafkaTable(topicConfigTable),
  ])
}

function kafkaTable(settings: ConfigTable): string {
  const rows = sortedNames(settings).map((name) => {
    const definition = settings[name]
    return definition === undefined ? [] : [code(name), code(definition.default), definition.type, definition.doc]
  })
  return table(['Setting', 'Default', 'Type', 'What it is'], rows)
}

function sortedNames(settings: ConfigTable): string[] {
  return Object.keys(settings).sort()
}

function defaultText(key: ConfigKey): string {
  if (key.defaultValue === undefined) return 'required'
  if (key.defaultValue === null) return 'none'
  return code(typeof key.defaultValue === 'string' ? key.defaultValue : JSON.stringify(key.defaultValue))
}

function sentence(key: ConfigKey): string {
  return key.choices.length === 0 ? key.description : `${key.description} One of ${key.choices.map(code).join(', ')}.`
}

function variable(key: ConfigKey): string {
  return key.path.includes('[]') ? '' : code(environmentName(key.path))
}

function metricsDocument(tables: Tables): string {
  const rows = sorted(tables.metrics, (metric) => metric.name).map(({ path, definition }) => [
    code(definition.name),
    definition.kind,
    definition.labels.map(code).join(', '),
    definition.help,
    room(path),
  ])
  return document('Metrics', [
    '`/metrics` of the HTTP listener, in Prometheus text form. Beside these it shows the process (`process_...`) and the runtime (`nodejs_...`).',
    '',
    table(['Metric', 'Kind', 'Labels', 'What it counts', 'From'], rows),
  ])
}

function eventsDocument(tables: Tables): string {
  const rows = sorted(tables.events, (event) => event.id).map(({ path, definition }) => [
    code(definition.id),
    definition.level,
    definition.sentence,
    Object.keys(definition.fields).map(code).join(', '),
    room(path),
  ])
  return document('Log events', [
    'The daemon writes events to stderr. As JSON each line has `time`, `level`, `event` (the id below), the fields, and the sentence as `message`.',
    '',
    table(['Event', 'Level', 'Sentence', 'Fields', 'From'], rows),
  ])
}

function errorsDocument(tables: Tables): string {
  const rows = sorted(tables.errors, (error) => error.code).map(({ path, definition }) => [
    code(definition.code),
    definition.sentence.replaceAll('\n', ' '),
    definition.remedy,
    definition.retriable ? 'yes' : 'no',
    room(path),
  ])
  return document('Errors', [
    'Failures of the world that the daemon and its commands name. Protocol answers to clients carry the error codes of Kafka and MQTT.',
    '',
    table(['Code', 'What happened', 'What to do', 'Try again', 'From'], rows),
  ])
}

function internalTopicsDocument(tables: Tables): string {
  const rows = sorted(tables.internalTopics, (topic) => topic.name).map(({ path, definition }) => [
    code(definition.name),
    definition.holds,
    String(definition.partitions),
    Object.entries(definition.configs)
      .map(([key, value]) => code(`${key}=${value}`))
      .join(', '),
    definition.readable === 'administrators' ? definition.readable : definition.readable ? 'yes' : 'no',
    room(path),
  ])
  return document('Internal topics', [
    'State is kept as records of these topics and replayed at the start. Clients cannot write, create or delete them.',
    '',
    table(['Topic', 'Holds', 'Partitions', 'Configs', 'Clients may read', 'From'], rows),
  ])
}

function kafkaApisDocument(): string {
  const rights = new Map(guardTable(null as never).map(({ apiKey, needs }) => [apiKey, needs]))
  const rows = [...servedApis()]
    .sort((one, other) => one - other)
    .map((key) => {
      const api = apiByKey.get(key)
      const needs = rights.get(key) ?? 'nothing: it comes before authentication'
      return api === undefined ? [] : [String(key), api.name, `${api.minVersion} to ${api.maxVersion}`, needs]
    })
  return document('Kafka APIs', [
    'What the Kafka listener answers, at the version ranges of Apache Kafka 4.1. A request with another API key ends its connection; ApiVersions in',
    'a version that is not known is answered in version 0 with UNSUPPORTED_VERSION, as clients expect.',
    '',
    'Not served: transactions (a transactional producer ends with TRANSACTIONAL_ID_AUTHORIZATION_FAILED), the consumer groups of KIP-848 (a consumer with',
    '`group.protocol=consumer` ends with UNSUPPORTED_VERSION: leave it at `classic`) and share groups.',
    '',
    'The last column says which right an API needs where an authorizer is configured (docs/security.md).',
    '',
    table(['Key', 'API', 'Versions', 'Right'], rows),
  ])
}

function attacksDocument(): string {
  return document(
    'Attacks',
    [
      'The check-list of attacks on a broker at the edge: what is done about each, and the test that shows it. What no test shows says so.',
      '',
      table(
        ['', 'Attack', 'Answer', 'Shown by', 'Open'],
        attackRows.map(({ id, attack, answer, shownBy, open }) => [
          id,
          attack,
          answer,
          shownBy.map(([file, name]) => `${code(file)}: ${name}`).join('<br>'),
          open,
        ]),
      ),
    ],
    'test/attack/checklist.ts',
  )
}

function auditDocument(): string {
  const rows = Object.values(auditTypes).map(({ type, says, subject, fields }) => [
    code(type),
    says,
    subject,
    Object.keys(fields).map(code).join(', '),
  ])
  return document('Audit', [
    'Who has come in, who was refused, and who has changed what, as records of a chain. It is kept as soon as clients have names (`audit.keep`), in two',
    'places with the same records: files `dataDir/state/audit/*.jsonl`, and the topic `__headwater_audit`. With an authorizer the topic is read by superusers,',
    'and by who has both READ on it and ALTER on the cluster. A mirror carries it where one of its `topics` is its name, letter for letter.',
    '',
    'A record is a CloudEvent 1.0 in one line of JSON. `id` counts from 0 without a gap, `previoushash` is the `hash` of the record before, and `hash` is',
    'the SHA-256 of the line as it would be without it. `timetrusted: false` marks a time of a clock that was known to be wrong. Names from outside are cut at 512',
    'characters; control characters, and marks that turn or hide text, are escaped. What comes in floods (authentications, denials, refused changes) is',
    'told once in ten seconds; `repeated` says how many more of the same there were since.',
    '',
    'Nothing waits for the audit: a record is written some tenths of a second after what it tells of. A power cut loses what was not written; the chain then',
    'goes on with `headwater.audit.resumed`, `clean: false`. When the disk does not take records, 4,096 wait in memory, and further ones are counted',
    '(`headwater.audit.lost`). The files do not wait for the topic: it is given later what it did not take.',
    '',
    '```sh',
    'headwater audit verify                      # the files of the data directory',
    'headwater audit verify --topic              # the segments of the topic',
    'kafka-console-consumer.sh ... --topic __headwater_audit --from-beginning | headwater audit verify --file -',
    'headwater audit verify --anchor 1234:9f2c... # a record that was noted down elsewhere must be there unchanged',
    '```',
    '',
    'Whoever may write the files can also make a whole new chain: note its end down elsewhere from time to time, or let a mirror carry the topic away.',
    '',
    table(['Type', 'What has happened', 'Subject', 'Data'], rows),
  ])
}

function mqttConformanceDocument(): string {
  const count = (rows: readonly ConformanceRow[]): number => rows.reduce((sum, { ids }) => sum + ids.length, 0)
  return document(
    'MQTT conformance',
    [
      'The numbered normative statements of the specifications that bind a server, how they are met, and the test that shows it. Statements that bind clients',
      'alone are left out.',
      '',
      `## MQTT 5.0: ${count(conformance5)} statements`,
      '',
      conformanceTable(conformance5),
      '',
      `## MQTT 3.1.1: ${count(conformance311)} statements`,
      '',
      'Both versions are served by one code, and most of the tests named above run at 3.1.1.',
      '',
      conformanceTable(conformance311),
    ],
    'test/protocol/mqtt/',
  )
}

function conformanceTable(rows: readonly ConformanceRow[]): string {
  return table(
    ['Statements', 'How', 'Shown by'],
    rows.map(({ ids, how, tests }) => [
      ids.map((id) => `MQTT-${id}`).join(', '),
      how,
      tests.map(([file, name]) => `${code(testFiles[file])}: ${name}`).join('<br>'),
    ]),
  )
}

/** Handlers are closures over the broker; their keys need none. */
function servedApis(): Set<number> {
  const nobody: object = new Proxy({}, { get: () => nobody })
  const handlers = [
    ...recordHandlers(nobody as never),
    ...adminHandlers(nobody as never),
    ...groupHandlers(nobody as never, nobody as never),
    ...saslHandlers(),
  ]
  return new Set([apiVersionsKey, ...handlers.map(([key]) => key)])
}

function sorted<T>(entries: readonly TableEntry<T>[], name: (definition: T) => string): TableEntry<T>[] {
  return [...entries].sort((one, other) => (name(one.definition) < name(other.definition) ? -1 : 1))
}

function room(path: string): string {
  const folder = path.replace(/^src\//, '').replace(/\/?[^/]*$/, '')
  return folder === '' ? 'assembly' : code(folder)
}

function document(title: string, lines: readonly string[], place = 'src/'): string {
  return `# ${title}\n\n${printedFrom(place)}\n\n${lines.join('\n')}\n`
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text] of await printedDocuments()) writeFileSync(join(repositoryRoot, path), text)
}
