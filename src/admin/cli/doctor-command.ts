/** `headwater doctor`: looks at the host and at the place for the data, without a daemon and beside one. */
import { mkdirSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { ApplianceError } from '../../base/errors.ts'
import { advice, type Finding, ok, type Verdict } from '../doctor/findings.ts'
import { gatherHost, gatherStorage } from '../doctor/gather.ts'
import { judgeHost } from '../doctor/host-judgement.ts'
import { hasPowerCutFiles, readAfterCut, removePowerCutFiles, writeUntilCut } from '../doctor/power-cut.ts'
import { judgeStorage } from '../doctor/storage-judgement.ts'
import { cliErrors } from './cli-errors.ts'
import type { ConfigurationReport } from './configuration-source.ts'
import { formatFacts, print, printResult } from './output.ts'

export interface DoctorOptions {
  /** `--data-dir`, for where the configuration cannot be read. */
  readonly dataDir: string | null
  readonly json: boolean
}

/** Prints what was found. Resolves with false when something is a fault. */
export async function printExamination(report: ConfigurationReport, options: DoctorOptions): Promise<boolean> {
  const dataDir = dataDirOf(report) ?? options.dataDir ?? './data'
  const storage = gatherStorage(dataDir)
  const { host, inventory } = await gatherHost(storage.path)
  const findings = [judgeConfiguration(report), ...judgeStorage(storage), ...judgeHost(host)]
  printResult({ inventory, findings }, options.json, () =>
    [
      formatFacts([
        ['machine', inventory.machine],
        ['system', inventory.system],
        ['processor', inventory.processor],
        ...inventory.disks.map((disk) => ['disk', disk] as const),
      ]),
      '',
      ...findings.flatMap(linesOf),
      '',
      summary(findings),
    ].join('\n'),
  )
  return findings.every(({ verdict }) => verdict !== 'fault')
}

function dataDirOf(report: ConfigurationReport): string | null {
  if (report.kind === 'invalid') return null
  const value = report.entries.find(({ key }) => key === 'dataDir')?.value
  return typeof value === 'string' ? value : null
}

function judgeConfiguration(report: ConfigurationReport): Finding {
  if (report.kind === 'valid') return ok('configuration', 'the daemon starts with it')
  return advice('configuration', 'fault', report.problems.join('; '), 'See headwater config check')
}

function linesOf({ check, verdict, found, remedy }: Finding): string[] {
  const first = `${verdict.padEnd(8)} ${check.padEnd(16)} ${found}`
  return remedy === null ? [first] : [first, `${' '.repeat(26)}${remedy}.`]
}

function summary(findings: readonly Finding[]): string {
  const count = (verdict: Verdict): number => findings.filter((each) => each.verdict === verdict).length
  return `${count('fault')} faults, ${count('warning')} warnings, ${count('note')} notes`
}

/** Between two numbers on the screen: whoever reads them from another room needs no more. */
const tellEveryMs = 100

/** What an earlier run has left is judged and taken away; where there is nothing, a run begins. Answers false when the disk has lied. */
export function tryPowerCut(
  folder: string,
  options: { readonly last: number | null; readonly json: boolean },
): boolean {
  const { last, json } = options
  if (hasPowerCutFiles(folder)) {
    const findings = readAfterCut(folder, last)
    removePowerCutFiles(folder)
    const { highest, firstMissing } = findings
    printResult(findings, json, () =>
      firstMissing === null
        ? `nothing is missing up to block ${highest}${last === null ? '. What the disk had acknowledged at the very end only another screen knows: give the last number that it showed with --last' : ''}`
        : `block ${firstMissing} was acknowledged and is gone (the highest that is there is ${highest}): this disk loses what it says it has`,
    )
    return firstMissing === null
  }
  if (last !== null) {
    const detail = `there is no earlier run in ${resolve(folder)}`
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--last', detail })
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!json) {
    print(`writing to ${resolve(folder)}: pull the plug when you like, start the host, and run this again`)
  }
  let toldMs = 0
  writeUntilCut(folder, (number) => {
    const nowMs = performance.now()
    if (nowMs < toldMs + tellEveryMs) return true
    toldMs = nowMs
    writeSync(1, json ? `${JSON.stringify({ acknowledged: number })}\n` : `acknowledged ${number}\n`)
    return true
  })
  return true
}
