/**
 * The interop pass: foreign clients and real servers against the daemon, two cases at a time: much of a case is waiting.
 *
 *   run.ts [--acl-pairs=N] [WORD ...]     only the cases whose name holds one of the words; N pairs of entries and requests to judge
 *
 * A case whose foreign program is missing is skipped with a line that says what to install. The last line is
 * `N passed, N failed, N skipped`; the exit code is 1 when a case failed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mapBounded } from '../../src/base/map-bounded.ts'
import { apacheKafkaMissing, archiveClasses } from './apache-kafka.ts'
import type { InteropCase } from './case.ts'
import { authorizerOfKafka } from './cases/authorizer.ts'
import { aiokafka, codecMatrix } from './cases/codecs.ts'
import { closedDoors } from './cases/closed-doors.ts'
import { sameCompaction } from './cases/compaction.ts'
import { formattedByKafka } from './cases/formatted-by-kafka.ts'
import { kafkaCodec, kafkaHeaders, kafkaLayouts } from './cases/kafka-codec.ts'
import { kafkaStreams, oneNodeCluster } from './cases/kafka-alone.ts'
import { dumpLogSegments, kafkaTools } from './cases/kafka-tools.ts'
import { quotas } from './cases/quotas.ts'
import { securityTools } from './cases/security-tools.ts'
import { privateAuthority } from './cases/certificates.ts'
import { ticketsOfARealm } from './cases/kerberos.ts'
import { securedExport } from './cases/secured-export.ts'
import { securedMirror } from './cases/secured-mirror.ts'
import { tokensOfAnOpenIdProvider } from './cases/tokens.ts'
import { mirrorLogins } from './cases/mirror-logins.ts'
import { mirrorToApacheKafka } from './mirror.ts'
import { outAndBack } from './cases/out-and-back.ts'
import { mosquittoOptions, pahoEverywhere } from './cases/mqtt-doors.ts'
import { mqttCommands, mqttRequests } from './cases/mqtt-commands.ts'
import { mqttSys } from './cases/mqtt-sys.ts'
import { mqttLog } from './cases/mqtt-log.ts'
import { mqttSchemas } from './cases/mqtt-schemas.ts'
import { homeDiscovery, sessionsComeBack, sparkplugSequence } from './cases/mqtt-field.ts'
import { sparkplugJson } from './cases/sparkplug-json.ts'
import { kafkaToMqtt, mqttKeptSession, mqttRetainedAndShared, mqttToKafka } from './cases/mqtt-to-kafka.ts'

const cases: readonly InteropCase[] = [
  kafkaLayouts,
  kafkaCodec,
  kafkaHeaders,
  mqttToKafka,
  kafkaToMqtt,
  mqttRetainedAndShared,
  mqttKeptSession,
  mqttLog,
  mqttCommands,
  mqttSys,
  mqttRequests,
  mqttSchemas,
  pahoEverywhere,
  mosquittoOptions,
  sparkplugSequence,
  sparkplugJson,
  homeDiscovery,
  sessionsComeBack,
  codecMatrix,
  aiokafka,
  kafkaTools,
  oneNodeCluster,
  kafkaStreams,
  dumpLogSegments,
  securityTools,
  tokensOfAnOpenIdProvider,
  privateAuthority,
  ticketsOfARealm,
  closedDoors,
  quotas,
  authorizerOfKafka,
  sameCompaction,
  outAndBack,
  securedExport,
  formattedByKafka,
  mirrorToApacheKafka,
  securedMirror,
  mirrorLogins,
]

const casesAtOnce = 2

process.exitCode = await main(process.argv.slice(2).filter((word) => !word.startsWith('--acl-pairs=')))

async function main(words: readonly string[]): Promise<number> {
  const chosen = cases.filter((each) => words.length === 0 || words.some((word) => each.name.includes(word)))
  const possible = chosen.filter(isPossible)
  // Fetched and made while no case waits for anything; a single one is faster without.
  if (possible.length > 1 && apacheKafkaMissing() === null) await archiveClasses()
  const outcomes = await mapBounded(possible, casesAtOnce, runCase)
  const failed = outcomes.filter((outcome) => outcome === 'failed').length
  console.log(`${outcomes.length - failed} passed, ${failed} failed, ${chosen.length - possible.length} skipped`)
  return failed === 0 ? 0 : 1
}

/** Installs what it can for the case. */
function isPossible(each: InteropCase): boolean {
  const missing = each.missing()
  if (missing === null) return true
  console.log(`- ${each.name}\n  ${missing}`)
  return false
}

async function runCase(each: InteropCase): Promise<'passed' | 'failed'> {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-interop-'))
  const startedAt = performance.now()
  const seconds = (): string => ((performance.now() - startedAt) / 1000).toFixed(1)
  try {
    await each.run(folder)
    console.log(`ok ${each.name} (${seconds()} s)`)
    return 'passed'
  } catch (error) {
    console.log(`FAILED ${each.name} (${seconds()} s)\n${error instanceof Error ? error.stack : String(error)}`)
    return 'failed'
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
