/** `headwater config print` and `headwater config check`. */
import type { ConfigurationReport } from './configuration-source.ts'
import { formatTable, printResult } from './output.ts'

/** Prints every key with its value and origin. False when the configuration is not valid. */
export function printConfiguration(report: ConfigurationReport, fileName: string | null, asJson: boolean): boolean {
  if (report.kind === 'invalid') return checkConfiguration(report, fileName, asJson)
  printResult(report.entries, asJson, () =>
    formatTable(
      ['KEY', 'VALUE', 'FROM'],
      report.entries.map(({ key, value, origin }) => [key, writtenValue(value), origin]),
    ),
  )
  return true
}

/** Prints the faults. False when there are any. `fileName`: null = there is no file, and that is no fault. */
export function checkConfiguration(report: ConfigurationReport, fileName: string | null, asJson: boolean): boolean {
  const problems = report.kind === 'invalid' ? report.problems : []
  const looked = fileName ?? 'there is no headwater.yaml here: defaults, HEADWATER_ variables and flags'
  printResult({ valid: problems.length === 0, problems, file: fileName }, asJson, () =>
    problems.length === 0 ? `the configuration is valid (${looked})` : problems.join('\n'),
  )
  return problems.length === 0
}

function writtenValue(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '(required)')
}
