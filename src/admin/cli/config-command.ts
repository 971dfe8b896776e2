/** `headwater config print` and `headwater config check`. */
import type { ConfigurationReport } from './configuration-source.ts'
import { formatTable, printResult } from './output.ts'

/** Prints every key with its value and origin. False when the configuration is not valid. */
export function printConfiguration(report: ConfigurationReport, asJson: boolean): boolean {
  if (report.kind === 'invalid') return checkConfiguration(report, asJson)
  printResult(report.entries, asJson, () =>
    formatTable(
      ['KEY', 'VALUE', 'FROM'],
      report.entries.map(({ key, value, origin }) => [key, writtenValue(value), origin]),
    ),
  )
  return true
}

/** Prints the faults. False when there are any. */
export function checkConfiguration(report: ConfigurationReport, asJson: boolean): boolean {
  const problems = report.kind === 'invalid' ? report.problems : []
  printResult({ valid: problems.length === 0, problems }, asJson, () =>
    problems.length === 0 ? 'the configuration is valid' : problems.join('\n'),
  )
  return problems.length === 0
}

function writtenValue(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '(required)')
}
