/**
 * The attack suite: everything that is hostile, broken or lost, against the real daemon on loopback ports.
 *
 *   run.ts [GROUP[:WORD] ...]    only these groups, or of a group only the rows whose names hold the word
 *   run.ts --long [GROUP ...]    with the figures of the check-list, which take minutes
 *   run.ts fuzz --inputs N       so many inputs into the decoders of each protocol
 *   run.ts --mutant NAME         against a copy of the source with one deliberate bug: exit code 0 when its rows notice
 *
 * Three lanes run side by side, because much of the time is waiting. A row that lacks something on this machine is skipped with a
 * line that says what. The last line is `N passed, N failed`; the exit code is 1 when a row failed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killDaemons, useMutant } from './command.ts'
import { doors } from './doors.ts'
import { command } from './figures.ts'
import { floods } from './floods.ts'
import { fuzz } from './fuzz.ts'
import { idle, limits } from './limits.ts'
import { mqttListeners } from './mqtt-listeners.ts'
import { sideFiles } from './side-files.ts'
import { mutants } from './mutants.ts'
import { startup } from './startup.ts'
import { stops } from './stop.ts'
import { peer } from './peer.ts'
import type { Group, OpenGroup, Row } from './row.ts'

/** `limits` makes twenty thousand files, for which every sync of the file system waits: not beside the good clients of `doors`. */
const lanes: readonly (readonly Group[])[] = [[doors, stops], [sideFiles], [idle, peer, startup, mqttListeners, limits]]
/** These take the whole machine, which would be felt in the other lanes: they run behind them. */
const last: readonly Group[] = [fuzz, floods]
const counts = { passed: 0, failed: 0, failedRows: 0 }

async function main(): Promise<number> {
  if (command.mutant !== null) return runMutant(command.mutant)
  await Promise.all(lanes.map((groups) => runLane(groups, command.groups)))
  await runLane(last, command.groups)
  console.log(`${counts.passed} passed, ${counts.failed} failed`)
  return counts.failed === 0 ? 0 : 1
}

/** Caught when a row has failed; a daemon that does not even start proves nothing. */
async function runMutant(name: string): Promise<number> {
  const mutant = mutants.find((each) => each.name === name)
  if (mutant === undefined)
    throw new Error(`no mutant «${name}»; there are ${mutants.map((each) => each.name).join(', ')}`)
  const folder = mkdtempSync(join(tmpdir(), 'headwater-attack-'))
  try {
    useMutant(folder, mutant)
    await Promise.all([...lanes, last].map((groups) => runLane(groups, mutant.rows)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const isCaught = counts.failedRows > 0
  console.log(`mutant ${name}: ${isCaught ? 'caught' : 'NOT caught'}`)
  return isCaught ? 0 : 1
}

async function runLane(groups: readonly Group[], words: readonly string[]): Promise<void> {
  for (const group of groups) {
    const own = words.filter((word) => word.split(':')[0] === group.name)
    if (words.length === 0 || own.length > 0) await runGroup(group, own)
  }
}

async function runGroup(group: Group, words: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-attack-'))
  let open: OpenGroup
  try {
    open = await group.open(folder)
  } catch (thrown) {
    report(group.name, 0, thrown)
    await killDaemons(folder)
    rmSync(folder, { recursive: true, force: true })
    return
  }
  const isWanted = (row: Row): boolean =>
    words.length === 0 || words.some((word) => row.name.includes(word.slice(group.name.length + 1)))
  try {
    for (const row of open.rows.filter(isWanted)) await runRow(group, row, open)
  } finally {
    await open.close().catch((thrown: unknown) => report(`${group.name}: the end`, 0, thrown))
    await killDaemons(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runRow(group: Group, row: Row, open: OpenGroup): Promise<void> {
  const name = `${group.name}: ${row.name}`
  if (typeof row.missing === 'string') return console.log(`- ${name}\n  ${row.missing}`)
  const startedAt = performance.now()
  try {
    await row.run()
    await open.check?.()
    report(name, performance.now() - startedAt, null)
  } catch (thrown) {
    counts.failedRows++
    report(name, performance.now() - startedAt, thrown)
    await open.check?.().catch(() => {})
  }
}

function report(name: string, milliseconds: number, thrown: unknown): void {
  const seconds = (milliseconds / 1000).toFixed(1)
  if (thrown === null) {
    counts.passed++
    return console.log(`ok ${name} (${seconds} s)`)
  }
  counts.failed++
  console.log(
    `FAILED ${name} (${seconds} s)\n${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
  )
}

process.exitCode = await main()
