/** `headwater log verify`: what is wrong with a stopped data directory, one line a finding. */
import { formatBytes, print } from './output.ts'

/** What the look through a directory has found at one place. */
export interface VerifyFinding {
  readonly kind: 'damaged' | 'tail' | 'hint'
  readonly file: string
  readonly reason: string
  readonly range?: {
    readonly fromOffset: number
    readonly endOffset: number
    readonly position: number
    readonly endPosition: number
  }
}

export interface VerifySummary {
  readonly logs: number
  readonly segments: number
  readonly batches: number
  readonly bytes: number
  readonly wasClean: boolean
}

/** Prints findings as they come, then the summary. Resolves with false when stored records are damaged or gone. */
export async function printVerification(
  verify: (tell: (finding: VerifyFinding) => void) => Promise<VerifySummary>,
  json: boolean,
): Promise<boolean> {
  const counts = { damaged: 0, tail: 0, hint: 0 }
  const summary = await verify((finding) => {
    counts[finding.kind]++
    print(json ? JSON.stringify(flat(finding)) : lineOf(finding))
  })
  if (json) print(JSON.stringify({ kind: 'summary', ...summary, ...counts }))
  else {
    const { logs, segments, batches, bytes, wasClean } = summary
    print(
      `${logs} logs, ${segments} segments, ${batches} batches, ${formatBytes(bytes)}; the last stop was ${wasClean ? 'clean' : 'not clean'}`,
    )
    print(
      counts.damaged === 0
        ? `no damage${counts.hint > 0 ? `; ${counts.hint} files will be rebuilt at the next start` : ''}`
        : `${counts.damaged} damaged ranges: they are not served, everything else is`,
    )
  }
  return counts.damaged === 0
}

function flat({ range, ...finding }: VerifyFinding): object {
  return { ...finding, ...range }
}

function lineOf({ kind, file, reason, range }: VerifyFinding): string {
  const words = { damaged: 'damaged', tail: 'unfinished', hint: 'to be rebuilt' }[kind]
  if (range === undefined) return `${words}: ${file}: ${reason}`
  const { fromOffset, endOffset, position, endPosition } = range
  const offsets = endOffset > fromOffset ? `offsets ${fromOffset} to below ${endOffset}` : `behind offset ${fromOffset}`
  return `${words}: ${file}: ${offsets} (position ${position} to ${endPosition}): ${reason}`
}
