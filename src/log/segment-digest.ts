/**
 * What a sealed segment was when it was sealed: where it ends, how many bytes and batches it has, and a CRC-32C over the headers of all
 * its batches, up to their attributes: those bytes end with the CRC of all that follows, so the chain speaks for every byte. It tells what
 * neither a batch nor its neighbours can (safety.md R8): whole batches missing at the end or where compaction has left gaps, a batch in
 * the place of another one, a file of another time.
 *
 * One entry has 64 bytes, big-endian: kind 4 (1 = digest, 2 = void: what was said of the segment before holds no more), partition 4,
 * base offset 8, end offset 8, size 4, batches 4, chain 4, topic id 16, nothing 8, CRC-32C of all that 4.
 */
import { crc32cOfPart } from '../base/crc32c.ts'
import { uuidFromString, uuidToString } from '../base/ids.ts'
import { attributesAt, batchLastOffset, batchSizeInBytes } from '../protocol/records/record-batch.ts'

/** The headers of a segment's batches from its first byte on, summed as they come. */
export class HeaderChain {
  sizeInBytes = 0
  batches = 0
  crc = 0
  /** Behind the last batch; -1 = there is none. */
  endOffset = -1

  /** Takes in the batch that begins where the last one ended; any other one was taken before, or has a gap before it, and is left out. */
  take(bytes: Uint8Array, at: number, position: number): void {
    if (position !== this.sizeInBytes) return
    this.crc = crc32cOfPart(bytes, at, at + attributesAt, this.crc)
    this.sizeInBytes = position + batchSizeInBytes(bytes, at)
    this.batches++
    this.endOffset = batchLastOffset(bytes, at) + 1
  }

  /** As it is now. */
  copy(): HeaderChain {
    const chain = new HeaderChain()
    chain.sizeInBytes = this.sizeInBytes
    chain.batches = this.batches
    chain.crc = this.crc
    chain.endOffset = this.endOffset
    return chain
  }

  /** `size.batches.crc.end` of a line of `recovery-points`: the chain goes on from there after a restart. */
  static fromText(text: string): HeaderChain | null {
    const numbers = text.split('.').map(Number)
    if (numbers.length !== 4 || !numbers.every((each) => Number.isSafeInteger(each))) return null
    const chain = new HeaderChain()
    const [sizeInBytes = 0, batches = 0, crc = 0, endOffset = -1] = numbers
    return Object.assign(chain, { sizeInBytes, batches, crc, endOffset })
  }
}

/** The chain of the segment that begins there, up to some point of it. */
export interface ChainPoint {
  readonly baseOffset: number
  readonly chain: HeaderChain
}

/** Nothing is known. */
export const noDigests: ReadonlyMap<number, SegmentDigest> = new Map()

export interface SegmentDigest {
  /** Base64url. */
  readonly topicId: string
  readonly partition: number
  readonly baseOffset: number
  readonly endOffset: number
  readonly sizeInBytes: number
  readonly batches: number
  readonly chain: number
}

/** Which segment an entry speaks of. */
export type DigestKey = Pick<SegmentDigest, 'topicId' | 'partition' | 'baseOffset'>

/** Null when the chain does not reach over the whole segment, or there is nothing in it. */
export function digestOf(
  key: DigestKey,
  chain: Pick<HeaderChain, 'sizeInBytes' | 'batches' | 'crc' | 'endOffset'>,
  sizeInBytes: number,
): SegmentDigest | null {
  if (chain.batches === 0 || chain.sizeInBytes !== sizeInBytes) return null
  const { topicId, partition, baseOffset } = key
  const { endOffset, batches, crc } = chain
  return { topicId, partition, baseOffset, endOffset, sizeInBytes, batches, chain: crc }
}

/** What a look at a whole segment has found. */
export interface FoundSegment {
  readonly endOffset: number
  readonly sizeInBytes: number
  readonly batches: number
  readonly chain: number
}

/** In what a segment differs from what it was when it was sealed, in words; null = in nothing. */
export function digestFault(digest: SegmentDigest, found: FoundSegment): string | null {
  if (found.endOffset < digest.endOffset && found.sizeInBytes < digest.sizeInBytes)
    return `the file ends early: ${found.batches} of ${digest.batches} batches are there`
  if (found.sizeInBytes !== digest.sizeInBytes || found.batches !== digest.batches)
    return `it has ${found.batches} batches in ${found.sizeInBytes} bytes where ${digest.batches} in ${digest.sizeInBytes} were sealed`
  return found.chain === digest.chain && found.endOffset === digest.endOffset
    ? null
    : 'its batches are whole but are not those that were sealed'
}

export const digestEntryBytes = 64
const kinds = { digest: 1, void: 2 } as const
const crcAt = 60

export function encodeDigest(digest: SegmentDigest): Uint8Array {
  const bytes = headOf(kinds.digest, digest)
  bytes.writeBigInt64BE(BigInt(digest.endOffset), 16)
  bytes.writeUInt32BE(digest.sizeInBytes, 24)
  bytes.writeUInt32BE(digest.batches, 28)
  bytes.writeUInt32BE(digest.chain, 32)
  return sealed(bytes)
}

/** Takes back what was said of a segment. */
export function encodeVoid(key: DigestKey): Uint8Array {
  return sealed(headOf(kinds.void, key))
}

function headOf(kind: number, { topicId, partition, baseOffset }: DigestKey): Buffer {
  const bytes = Buffer.alloc(digestEntryBytes)
  bytes.writeUInt32BE(kind, 0)
  bytes.writeInt32BE(partition, 4)
  bytes.writeBigInt64BE(BigInt(baseOffset), 8)
  bytes.set(uuidFromString(topicId), 36)
  return bytes
}

function sealed(bytes: Buffer): Uint8Array {
  bytes.writeUInt32BE(crc32cOfPart(bytes, 0, crcAt), crcAt)
  return bytes
}

/** `topicId partition`, as the keys of `parseDigests`. */
export function logKeyOf({ topicId, partition }: Pick<DigestKey, 'topicId' | 'partition'>): string {
  return `${topicId} ${partition}`
}

/** What is known of the segments of logs. */
export interface KnownDigests {
  /** By `logKeyOf`, then by base offset: what was said last. */
  readonly byLog: ReadonlyMap<string, ReadonlyMap<number, SegmentDigest>>
  /** Those that are not whole. */
  readonly damagedEntries: number
}

/**
 * Reads the entries of a file. One that is not whole may have been a void: nothing that was said before it is believed. `only`: of this
 * log alone.
 */
export function parseDigests(bytes: Uint8Array, only?: string): KnownDigests {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const byLog = new Map<string, Map<number, SegmentDigest>>()
  let damagedEntries = 0
  const entries = Math.floor(bytes.length / digestEntryBytes)
  for (let index = 0; index < entries; index++) {
    const at = index * digestEntryBytes
    if (crc32cOfPart(view, at, at + crcAt) !== view.readUInt32BE(at + crcAt)) {
      byLog.clear()
      damagedEntries++
      continue
    }
    const topicId = uuidToString(view.subarray(at + 36, at + 52))
    const partition = view.readInt32BE(at + 4)
    const key = logKeyOf({ topicId, partition })
    if (only !== undefined && key !== only) continue
    const ofLog = byLog.get(key) ?? new Map<number, SegmentDigest>()
    byLog.set(key, ofLog)
    const baseOffset = Number(view.readBigInt64BE(at + 8))
    if (view.readUInt32BE(at) === kinds.void) {
      ofLog.delete(baseOffset)
      continue
    }
    ofLog.set(baseOffset, {
      ...{ topicId, partition, baseOffset },
      endOffset: Number(view.readBigInt64BE(at + 16)),
      sizeInBytes: view.readUInt32BE(at + 24),
      batches: view.readUInt32BE(at + 28),
      chain: view.readUInt32BE(at + 32),
    })
  }
  return { byLog, damagedEntries }
}
