/** `headwater audit verify`: follows the chain of the audit, in its files or in its topic, without a daemon. */
import { createReadStream } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ApplianceError, asError } from '../../base/errors.ts'
import { batchBaseOffset, batchCrcIsValid, forEachBatch } from '../../protocol/records/record-batch.ts'
import { forEachRecord } from '../../protocol/records/record.ts'
import { ChainCheck } from '../../security/audit/audit-chain-check.ts'
import { auditDirectoryOf, auditFileNames } from '../../security/audit/audit-files.ts'
import { type AuditHead, auditLineBytesMax, auditTopicName, readAuditLine } from '../../security/audit/audit-line.ts'
import { cliErrors } from './cli-errors.ts'
import { printResult } from './output.ts'

export interface VerifyAuditOptions {
  readonly dataDir: string
  /** A file of the audit, or lines of it from elsewhere; `-` = standard input. Null = those of the data directory. */
  readonly file: string | null
  /** Look at the topic's segments in the data directory. */
  readonly topic: boolean
  /** `SEQUENCE:HASH` of a record that was noted down. */
  readonly anchor: AuditHead | null
  readonly json: boolean
}

/** Resolves with true when the chain is whole. */
export async function verifyAudit(options: VerifyAuditOptions): Promise<boolean> {
  const check = new ChainCheck(options.anchor)
  const { dataDir, file, topic } = options
  let place: string
  if (topic) {
    place = join(dataDir, 'log', `${auditTopicName}-0`)
    await checkTopic(place, check)
  } else if (file !== null) {
    place = file
    await checkFile(file, true, check)
  } else {
    place = auditDirectoryOf(dataDir)
    const names = auditFileNames(await entriesOf(place))
    if (names.length === 0) throw missing(place)
    for (const name of names) await checkFile(join(place, name), name === names.at(-1), check)
  }
  return report(place, check, options.json)
}

function report(place: string, check: ChainCheck, asJson: boolean): boolean {
  const { fault, anchorFault, head, firstSequence, records, gaps, uncleanStops, lost, unfinished } = check
  const isWhole = fault === null && anchorFault === null && records > 0
  const facts = {
    place,
    isWhole,
    records,
    firstSequence,
    lastSequence: head?.sequence ?? null,
    lastHash: head?.hash ?? null,
    uncleanStops,
    lost,
    gaps,
    unfinished,
    fault,
    anchorFault,
  }
  printResult(facts, asJson, () =>
    [
      records === 0 ? 'no records' : `${records} records, ${firstSequence} to ${head?.sequence}`,
      ...(uncleanStops > 0 ? [`${uncleanStops} unclean stops: the last moments before each may be missing`] : []),
      ...(lost > 0 ? [`${lost} records could not be kept, as the chain says`] : []),
      ...gaps.map((gap) => `the chain itself tells of a gap at ${gap.place}: ${gap.reason}`),
      ...(unfinished === null
        ? []
        : [`the record at ${unfinished} is not finished: it is being written, or was when the power went`]),
      ...(fault === null ? [] : [`NOT WHOLE at ${fault.place}: ${fault.reason}`]),
      ...(anchorFault === null ? [] : [`NOT WHOLE: ${anchorFault}`]),
      ...(isWhole && head !== null ? [`whole; its end is ${head.sequence}:${head.hash}`] : []),
    ].join('\n'),
  )
  return isWhole
}

async function checkFile(path: string, isLast: boolean, check: ChainCheck): Promise<void> {
  const input = path === '-' ? process.stdin : createReadStream(path)
  let rest = Buffer.alloc(0)
  let number = 0
  const line = (bytes: Buffer): void => {
    number++
    check.line(bytes.toString('utf8').replace(/\r$/, ''), `${path}:${number}`)
  }
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      let bytes = Buffer.concat([rest, chunk])
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10)) {
        line(bytes.subarray(0, end))
        bytes = bytes.subarray(end + 1)
      }
      rest = bytes
      if (rest.length > auditLineBytesMax) break
    }
  } catch (thrown) {
    throw unreadable(path, asError(thrown).message)
  }
  if (rest.length === 0) return
  // A record that is being written, or was when the power went, is no record yet; what comes behind it would be a gap.
  if (isLast && typeof readAuditLine(rest.toString('utf8')) === 'string') check.unfinished = `${path}:${number + 1}`
  else line(rest)
}

async function checkTopic(folder: string, check: ChainCheck): Promise<void> {
  const names = (await entriesOf(folder)).filter((name) => name.endsWith('.log')).sort()
  if (names.length === 0) throw missing(folder)
  for (const name of names) {
    const bytes = await readFile(join(folder, name))
    forEachBatch(bytes, (view, at) => {
      const offset = batchBaseOffset(view, at)
      if (!batchCrcIsValid(view, at)) {
        check.line('', `${name}, offset ${offset}`)
        return
      }
      forEachRecord(view, at, ({ value, offset: own }) => {
        check.line(value === null ? '' : Buffer.from(value).toString('utf8'), `offset ${own}`)
      })
    })
  }
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') throw missing(folder)
    throw unreadable(folder, asError(thrown).message)
  }
}

function missing(place: string): ApplianceError {
  return new ApplianceError(cliErrors.auditMissing, { place })
}

function unreadable(file: string, detail: string): ApplianceError {
  return new ApplianceError(cliErrors.fileUnreadable, { file, detail })
}

/** `SEQUENCE:HASH` */
export function parseAnchor(text: string): AuditHead {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text)
  if (match === null) {
    const detail = 'SEQUENCE:HASH is wanted, as an earlier `headwater audit verify` has printed it'
    throw new ApplianceError(cliErrors.valueInvalid, { name: '--anchor', detail })
  }
  return { sequence: Number(match[1]), hash: match[2] ?? '' }
}
