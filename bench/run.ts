/**
 * The bench: our daemon and the real peers side by side, the same client, the same work, in alternation.
 *
 *   run.ts [--rounds 3] [--scale 1] [--note TEXT] [--no-history] [CASE ...]
 *
 * Prints a table of medians and ratios, and appends one JSON line to bench/history/<machine's shape>.ndjson. A ratio is only
 * comparable within its own run.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { repositoryRoot } from '../test/interop/headwater.ts'
import type { BenchCase, Comparison, Figure } from './case.ts'
import { codecProduce } from './cases/codecs.ts'
import { compactionBeside, deletionBeside, scrubBeside } from './cases/background-work.ts'
import { authorization } from './cases/authorization.ts'
import { allocation } from './cases/allocation.ts'
import { commitSpread } from './cases/commit-spread.ts'
import { descriptors } from './cases/descriptors.ts'
import { footprint } from './cases/footprint.ts'
import { idleNode } from './cases/idle.ts'
import { kafkaLatency, kafkaProduceAndConsume } from './cases/kafka.ts'
import { mirrorThroughput } from './cases/mirror.ts'
import { mqttPublish } from './cases/mqtt.ts'
import { mqttFan } from './cases/mqtt-fan.ts'
import { mqttLatency } from './cases/mqtt-latency.ts'
import { mqttSubscriptions } from './cases/mqtt-subscriptions.ts'
import { mqttRetained } from './cases/mqtt-retained.ts'
import { mqttTls } from './cases/mqtt-tls.ts'
import { mqttIdle } from './cases/mqtt-idle.ts'
import { mqttBacklog } from './cases/mqtt-backlog.ts'
import { idlePartitions, partitionSpread } from './cases/partitions.ts'
import { restart } from './cases/restart.ts'
import { tellingUsersApart } from './cases/telling-users-apart.ts'
import { tlsHandshakes, tlsMqtt, tlsThroughput } from './cases/tls.ts'
import { writeAmplification } from './cases/write-amplification.ts'
import { median, run } from './measure.ts'

const cases: readonly BenchCase[] = [
  footprint,
  commitSpread,
  mqttPublish,
  mqttFan,
  mqttLatency,
  mqttSubscriptions,
  mqttRetained,
  mqttIdle,
  mqttTls,
  mqttBacklog,
  allocation,
  authorization,
  kafkaProduceAndConsume,
  kafkaLatency,
  mirrorThroughput,
  restart,
  idlePartitions,
  partitionSpread,
  descriptors,
  writeAmplification,
  idleNode,
  compactionBeside,
  deletionBeside,
  scrubBeside,
  codecProduce,
  tlsHandshakes,
  tlsThroughput,
  tlsMqtt,
  tellingUsersApart,
]

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    note: { type: 'string', default: '' },
    'no-history': { type: 'boolean', default: false },
  },
})

const comparisons: Comparison[] = []
const figures: Figure[] = []
for (const each of cases.filter(
  (one) => positionals.length === 0 || positionals.some((word) => one.name.includes(word)),
)) {
  const missing = each.missing()
  if (missing !== null) {
    console.log(`${each.name}: ${missing}`)
    continue
  }
  const folder = mkdtempSync(join(tmpdir(), 'headwater-bench-'))
  try {
    const result = await each.run({ folder, rounds: Number(flags.rounds), scale: Number(flags.scale) })
    for (const comparison of result.comparisons ?? []) {
      comparisons.push(comparison)
      console.log(describeComparison(comparison))
    }
    for (const figure of result.figures ?? []) {
      figures.push(figure)
      console.log(describeFigure(figure))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
if (!flags['no-history']) await remember()

function describeComparison(each: Comparison): string {
  const ratio = median(each.ours) / median(each.peer)
  const rounds = `${each.ours.map(short).join(' ')} against ${each.peer.map(short).join(' ')} ${each.unit}`
  return `${mark(ratio, each.reach)} ${each.name}: ${ratio.toFixed(2)} (${rounds})${goal(each.reach)}${each.note === undefined ? '' : `\n    ${each.note}`}`
}

function describeFigure(each: Figure): string {
  return `${mark(each.value, each.reach)} ${each.name}: ${short(each.value)} ${each.unit}${goal(each.reach)}${each.note === undefined ? '' : `\n    ${each.note}`}`
}

function mark(value: number, reach: Figure['reach']): string {
  if (reach === null) return '    '
  return ('atLeast' in reach ? value >= reach.atLeast : value <= reach.atMost) ? 'ok  ' : 'MISS'
}

function goal(reach: Figure['reach']): string {
  if (reach === null) return ''
  return 'atLeast' in reach ? `, reach >= ${reach.atLeast}` : `, reach <= ${reach.atMost}`
}

function short(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
}

async function remember(): Promise<void> {
  const { stdout } = await run('git', ['-C', repositoryRoot, 'rev-parse', '--short', 'HEAD'])
  const folder = join(repositoryRoot, 'bench/history')
  mkdirSync(folder, { recursive: true })
  const machine = {
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    processor: cpus()[0]?.model ?? '',
  }
  const line = {
    at: new Date().toISOString(),
    commit: stdout.trim(),
    note: flags.note,
    rounds: Number(flags.rounds),
    scale: Number(flags.scale),
    machine,
    comparisons,
    figures,
  }
  appendFileSync(join(folder, `cores-${machine.cores}.ndjson`), `${JSON.stringify(line)}\n`)
}
