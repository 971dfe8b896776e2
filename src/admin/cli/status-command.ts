/** `headwater status` and `headwater mirror status`: asked over HTTP of a running daemon. */
import type { ApplianceStatus, MirrorStatus } from '../operations.ts'
import { askDaemon, type HttpFlags } from './daemon-http.ts'
import { formatBytes, formatDuration, formatFacts, formatTable, printResult } from './output.ts'

/** Prints the appliance. */
export async function printStatus(flags: HttpFlags): Promise<void> {
  const status = await askDaemon<ApplianceStatus>(flags, '/api/status')
  printResult(status, flags.json ?? false, () => describeStatus(status))
}

/** Prints the mirrors with the lag of each partition. */
export async function printMirrors(flags: HttpFlags): Promise<void> {
  const mirrors = await askDaemon<MirrorStatus[]>(flags, '/api/mirrors')
  printResult(mirrors, flags.json ?? false, () =>
    mirrors.length === 0 ? 'no mirrors are configured' : mirrors.map(describeMirror).join('\n\n'),
  )
}

function describeStatus(status: ApplianceStatus): string {
  const { disk, commit, recovery } = status
  const perCommit = commit.commits === 0 ? '' : `, ${formatBytes(commit.committedBytes / commit.commits)} each`
  const free =
    disk.freeBytes === null || disk.totalBytes === null
      ? ''
      : `, ${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)} free`
  const facts: (readonly [string, string | number])[] = [
    [
      'node',
      `${status.nodeId} at ${status.site}, Headwater ${status.version}, ${status.phase} for ${formatDuration(status.uptimeMs)}`,
    ],
    ['cluster id', status.clusterId],
    ['data', `${status.dataDir}, ${formatBytes(disk.logBytes)} of logs${free}`],
    [
      'last start',
      `${recovery.isNew ? 'new directory' : recovery.wasClean ? 'clean' : 'unclean'}, recovered in ${formatDuration(recovery.recoveryMs)}`,
    ],
    ...describeDamage(status),
    ...(status.clockTrusted
      ? []
      : [['clock', 'not believed: nothing is deleted by time, records are marked'] as const]),
    ...(status.held === null
      ? []
      : [['held', `${status.held}: nothing is deleted until \`headwater recover confirm\``] as const]),
    ['topics', `${status.topics} with ${status.partitions} partitions`],
    ['groups', status.groups],
    ['MQTT sessions', status.mqttSessions],
    [
      'commits',
      `${commit.commits} (${commit.journalCommits} by journal)${perCommit}, ${formatBytes(commit.pendingBytes)} pending`,
    ],
  ]
  facts.push(['written', describeWrites(status)])
  const listeners = status.listeners.map((listener): [string, string] => [
    listener.protocol,
    `${listener.path ?? `${listener.host}:${listener.port}`}${listener.advertised === null ? '' : ` as ${listener.advertised}`}, ${listener.connections} connections`,
  ])
  const mirrors = status.mirrors.map((mirror): [string, string] => [`mirror ${mirror.name}`, mirrorSentence(mirror)])
  return formatFacts([...facts, ...listeners, ...mirrors])
}

function describeWrites({ writes }: ApplianceStatus): string {
  const causes = writes.causes
    .toSorted((a, b) => b.pageBytes - a.pageBytes)
    .map(({ cause, pageBytes, syncs }) => `${cause} ${formatBytes(pageBytes)} in ${syncs} syncs`)
  const times = writes.amplification === null ? '' : `, ${writes.amplification.toFixed(2)} times what was committed`
  const perDay = writes.pageBytesPerDay === null ? '' : `, ${formatBytes(writes.pageBytesPerDay)} a day`
  const lasts = writes.lifetimeDays === null ? '' : `: the medium lasts ${formatDays(writes.lifetimeDays)} at this rate`
  return `${formatBytes(writes.pageBytes)} of pages${times}${perDay}${lasts} (${causes.join(', ')})`
}

function formatDays(days: number): string {
  return days > 730 ? `${(days / 365).toFixed(1)} years` : `${Math.floor(days)} days`
}

/** Nothing when all is well. */
function describeDamage({ damage }: ApplianceStatus): readonly [string, string][] {
  if (damage.ranges === 0) return []
  const logs = damage.logs.slice(0, 5).join(', ')
  const more = damage.logs.length > 5 ? ` and ${damage.logs.length - 5} more` : ''
  return [['damage', `${damage.ranges} ranges in ${logs}${more} are not served; see \`headwater log verify\``]]
}

function mirrorSentence(mirror: MirrorStatus): string {
  const failure = mirror.lastError === null ? '' : `; last failure: ${mirror.lastError}`
  return `${mirror.state}, ${mirror.lagRecords} records behind${failure}`
}

function describeMirror(mirror: MirrorStatus): string {
  const facts = formatFacts([
    ['mirror', mirror.name],
    ['target', mirror.bootstrapServers.join(', ')],
    ['state', mirrorSentence(mirror)],
    ['sent', `${mirror.mirroredRecords} records, ${formatBytes(mirror.mirroredBytes)} since the start`],
  ])
  const rows = mirror.partitions.map((partition) => [
    `${partition.topic}-${partition.partition}`,
    partition.targetTopic,
    partition.mirroredEndOffset,
    partition.durableEndOffset,
    partition.lagRecords,
  ])
  return rows.length === 0
    ? facts
    : `${facts}\n\n${formatTable(['PARTITION', 'TARGET TOPIC', 'MIRRORED', 'END', 'LAG'], rows)}`
}
