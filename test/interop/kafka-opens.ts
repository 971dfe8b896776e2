/** Directories of ours under foreign eyes: Kafka's DumpLogSegments on every file, and a real Apache Kafka that opens all of it. */
import { strict as assert } from 'node:assert'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ApacheKafka, freePort, kafkaTool, startApacheKafka } from './apache-kafka.ts'
import { lines } from './case.ts'
import { headwater } from './own-command.ts'

/** What a broker says that has found something wrong with its files. */
const complaint = /\b(WARN|ERROR|FATAL)\b.*(corrupt|recover|truncat|stray|mismatch|invalid|inconsistent|unexpected)/i
/** A request that comes before the controller is up; it is asked again. */
const isOfStart = (line: string): boolean => line.includes('Unexpected error handling request')
/** What DumpLogSegments says of a file that is not as it should be. A compacted log has gaps. */
const dumpComplaint = /isvalid: false|invalid bytes|mismatch|out of order|exception|corrupt|could not/i
/** Longer argument lists are refused by the system. */
const filesPerCall = 400

/** Which files DumpLogSegments reads how. */
const looks: readonly { readonly flags: readonly string[]; fits(name: string): boolean }[] = [
  {
    flags: ['--deep-iteration'],
    fits: (name) => name.endsWith('.log') && !name.startsWith('__cluster_metadata') && !isOfOffsets(name),
  },
  {
    flags: ['--cluster-metadata-decoder'],
    fits: (name) => /^__cluster_metadata-0\/.*\.(log|checkpoint)$/.test(name),
  },
  { flags: ['--offsets-decoder'], fits: (name) => name.endsWith('.log') && isOfOffsets(name) },
  { flags: ['--index-sanity-check'], fits: (name) => /\.(time)?index$/.test(name) },
  { flags: ['--verify-index-only'], fits: (name) => /\.(time)?index$/.test(name) },
  { flags: [], fits: (name) => name.endsWith('.snapshot') },
]

/** Reads every file below `dataDir/log` with Kafka's own tool; throws at the first complaint. */
export async function dumpedByKafka(dataDir: string): Promise<{ readonly files: number; readonly bytes: number }> {
  const logs = join(dataDir, 'log')
  const names = readdirSync(logs, { recursive: true, encoding: 'utf8' })
  const seen = new Set<string>()
  for (const { flags, fits } of looks) {
    const chosen = names.filter(fits)
    for (const name of chosen) seen.add(name)
    for (let at = 0; at < chosen.length; at += filesPerCall) {
      const files = chosen.slice(at, at + filesPerCall).map((name) => join(logs, name))
      await dump([...flags, '--files', files.join(',')])
    }
  }
  const bytes = [...seen].reduce((sum, name) => sum + statSync(join(logs, name)).size, 0)
  return { files: seen.size, bytes }
}

async function dump(args: readonly string[]): Promise<void> {
  const complaints: string[] = []
  const dumped = await kafkaTool('org.apache.kafka.tools.DumpLogSegments', args, {
    timeoutMs: 1_200_000,
    onLine: (line) => {
      if (complaints.length < 5 && dumpComplaint.test(line)) complaints.push(line)
    },
  })
  // Of a snapshot with a wrong checksum it speaks there.
  complaints.push(...lines(dumped.stderr).filter((line) => dumpComplaint.test(line)))
  assert.equal(dumped.code, 0, `DumpLogSegments ${args.join(' ').slice(0, 300)}: ${dumped.stderr}`)
  assert.deepEqual(complaints, [], 'what DumpLogSegments says of the files')
}

export interface OpenedPlace {
  /** For what Kafka writes beside its log. */
  readonly folder: string
  /** Left cleanly by a daemon that has stopped. */
  readonly dataDir: string
  /** Lines for the end of server.properties. */
  readonly settings?: string
  /** Between the export and Kafka's start. */
  readonly onReadied?: () => void
}

/** `headwater export-kafka`, then a broker on the directory for as long as `use` runs; throws when its log complains of the files. */
export async function openedByKafka(
  place: OpenedPlace,
  use: (bootstrap: string, kafka: ApacheKafka) => Promise<void>,
): Promise<void> {
  mkdirSync(place.folder, { recursive: true })
  const port = await freePort()
  const controllerPort = await freePort()
  const addresses = ['--kafka', `127.0.0.1:${port}`, '--controller', `127.0.0.1:${controllerPort}`]
  const properties = await headwater(['export-kafka', '--data-dir', place.dataDir, ...addresses])
  place.onReadied?.()
  const kafka = await startApacheKafka({
    dir: place.folder,
    logDir: join(place.dataDir, 'log'),
    port,
    controllerPort,
    serverProperties: `${properties}${place.settings ?? ''}`,
  })
  try {
    await use(kafka.bootstrap, kafka)
  } finally {
    await kafka.stop()
  }
  const said = lines(readFileSync(kafka.logFile, 'utf8')).filter((line) => complaint.test(line) && !isOfStart(line))
  assert.deepEqual(said, [], 'what Apache Kafka says of the files')
}

function isOfOffsets(name: string): boolean {
  return name.startsWith('__consumer_offsets')
}
