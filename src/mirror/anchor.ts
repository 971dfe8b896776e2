/**
 * The anchor: all that a mirror remembers of a partition. It ties a producer epoch at the target to a place in the source:
 * the sequence number of a record is its distance from `sourceOffset`, so that the target's last sequence number names the
 * place to go on from. Written once per producer epoch or source gap, durable before the first batch under it is sent.
 *
 * Records of `__headwater_mirror` are JSON: there is one per partition and outage, and an operator may want to read them.
 */
import { ApplianceError } from '../base/errors.ts'
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import { mirrorErrors } from './mirror-errors.ts'

export const mirrorTopic: InternalTopicDefinition = {
  name: '__headwater_mirror',
  partitions: 1,
  configs: { 'cleanup.policy': 'compact', 'segment.bytes': String(1024 * 1024) },
  readable: true,
  holds:
    'The anchors of the mirrors: which producer epoch at the central cluster began at which offset of which partition.',
}

/**
 * Sequence numbers run from 0 to 2^31 - 1 and then from 0 again. An anchor is used for half of that, so that a sequence number
 * names one offset only.
 */
export const anchorSpanMax = 2 ** 30

/** Key of an anchor: the newest record of a key counts. */
export interface AnchorKey {
  readonly mirror: string
  /** Id of the source topic: a topic deleted and created anew is another topic. */
  readonly topicId: string
  readonly partition: number
}

export interface MirrorAnchor {
  readonly producerId: number
  readonly producerEpoch: number
  /** Source offset of sequence number 0. */
  readonly sourceOffset: number
  readonly targetTopic: string
  /** The zero id when the target does not tell ids (before Kafka 2.8). */
  readonly targetTopicId: string
  /** End of the target partition when the anchor was written: nothing under this anchor lies before it. */
  readonly targetEndOffset: number
  /** Source offset up to which the target had confirmed when this record was written: a lower bound, >= sourceOffset. */
  readonly confirmedEnd: number
}

export interface AnchorRecord {
  readonly key: AnchorKey
  readonly anchor: MirrorAnchor
}

const version = 1

/** One text for one key, for a Map. */
export function anchorKeyText(key: AnchorKey): string {
  return JSON.stringify([key.mirror, key.topicId, key.partition])
}

export function encodeAnchor(record: AnchorRecord): { readonly key: Uint8Array; readonly value: Uint8Array } {
  return {
    key: Buffer.from(
      JSON.stringify({ mirror: record.key.mirror, topicId: record.key.topicId, partition: record.key.partition }),
    ),
    value: Buffer.from(JSON.stringify({ version, ...record.anchor })),
  }
}

/** Throws MIRROR_ANCHOR_UNREADABLE; `offset` is only named in it. */
export function decodeAnchor(key: Uint8Array | null, value: Uint8Array, offset: number): AnchorRecord {
  try {
    const k = parseObject(key)
    const v = parseObject(value)
    if (v['version'] !== version) throw new Error(`version ${String(v['version'])} is not ${version}`)
    return {
      key: { mirror: text(k, 'mirror'), topicId: text(k, 'topicId'), partition: count(k, 'partition') },
      anchor: {
        producerId: count(v, 'producerId'),
        producerEpoch: count(v, 'producerEpoch'),
        sourceOffset: count(v, 'sourceOffset'),
        targetTopic: text(v, 'targetTopic'),
        targetTopicId: text(v, 'targetTopicId'),
        targetEndOffset: count(v, 'targetEndOffset'),
        confirmedEnd: count(v, 'confirmedEnd'),
      },
    }
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    throw new ApplianceError(mirrorErrors.anchorUnreadable, { offset, why }, { cause: thrown })
  }
}

/** Sequence number of the record at `sourceOffset` under the anchor. */
export function sequenceOf(anchor: MirrorAnchor, sourceOffset: number): number {
  return (sourceOffset - anchor.sourceOffset) % 2 ** 31
}

/** First source offset after the record with this sequence number. */
export function offsetAfterSequence(anchor: MirrorAnchor, lastSequence: number): number {
  return anchor.sourceOffset + lastSequence + 1
}

function parseObject(bytes: Uint8Array | null): Record<string, unknown> {
  const value: unknown = JSON.parse(Buffer.from(bytes ?? []).toString('utf8'))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object')
  return value as Record<string, unknown>
}

function text(record: Record<string, unknown>, field: string): string {
  const value = record[field]
  if (typeof value !== 'string') throw new Error(`${field} is not a text`)
  return value
}

function count(record: Record<string, unknown>, field: string): number {
  const value = record[field]
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error(`${field} is not a count`)
  return value as number
}
