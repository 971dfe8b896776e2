/**
 * One record of the audit: a line of JSON that holds the hash of the line before and, at its end, its own. The hash is SHA-256 of the
 * line as it would be without it, byte for byte: nothing has to be put into a canonical form. Pure.
 */
import { createHash } from 'node:crypto'
import type { AuditDefinition } from '../../base/audit-def.ts'
import { visibleJson } from '../../base/visible-text.ts'
import { wallText } from '../../base/wall-text.ts'

/** The topic that has the same records as the files. */
export const auditTopicName = '__headwater_audit'

/** Where a chain ends. */
export interface AuditHead {
  readonly sequence: number
  readonly hash: string
}

/** In front of the first record. */
export const auditGenesis: AuditHead = { sequence: -1, hash: '0'.repeat(64) }

export interface AuditEntry {
  readonly definition: AuditDefinition
  readonly subject: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
  readonly wallMs: number
  readonly wallTrusted: boolean
}

export interface AuditLine extends AuditHead {
  /** Without the end of the line. */
  readonly text: string
}

/** What a reader sees of one line. */
export interface ReadAuditLine extends AuditLine {
  readonly previousHash: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Names come from outside. */
const textLengthMax = 512
const cutMark = '...'
/** A line of ours is far shorter: a dozen names, each cut. */
export const auditLineBytesMax = 65_536

/** The next record of a chain. `source`: a URI reference that names this node. */
export function makeAuditLine(head: AuditHead, entry: AuditEntry, source: string): AuditLine {
  const { definition, subject, fields, wallMs, wallTrusted } = entry
  const sequence = head.sequence + 1
  const body = {
    specversion: '1.0',
    id: String(sequence),
    source,
    type: definition.type,
    subject: cutAuditText(subject),
    time: wallText(wallMs),
    ...(wallTrusted ? {} : { timetrusted: false }),
    datacontenttype: 'application/json',
    previoushash: head.hash,
    data: cutAuditFields(fields),
  }
  const text = visibleJson(JSON.stringify(body))
  const hash = hashOf(text)
  return { sequence, hash, text: `${text.slice(0, -1)},"hash":"${hash}"}` }
}

/** A line that holds what its own hash says, or what is wrong with it. */
export function readAuditLine(text: string): ReadAuditLine | string {
  const end = /,"hash":"([0-9a-f]{64})"\}$/.exec(text)
  const hash = end?.[1]
  if (end === null || hash === undefined) return 'it does not end with its hash'
  if (hashOf(`${text.slice(0, end.index)}}`) !== hash) return 'its hash is not that of what it says'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is not JSON'
  }
  const { id, previoushash, type, data } = value as Readonly<Record<string, unknown>>
  const sequence = typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : -1
  if (sequence < 0 || typeof previoushash !== 'string' || typeof type !== 'string') return 'it is no record of an audit'
  const isObject = typeof data === 'object' && data !== null
  return {
    sequence,
    hash,
    text,
    previousHash: previoushash,
    type,
    data: isObject ? (data as Readonly<Record<string, unknown>>) : {},
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Nothing that waits to be written holds more of a text than will be. */
export function cutAuditText(text: string): string {
  return text.length <= textLengthMax + cutMark.length ? text : `${text.slice(0, textLengthMax)}${cutMark}`
}

export function cutAuditFields(fields: AuditEntry['fields']): AuditEntry['fields'] {
  const short = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? cutAuditText(value) : value,
  ])
  return Object.fromEntries(short) as AuditEntry['fields']
}
