/**
 * Records that were received while this node did not know the time. MQTT records of such a while carry `mqtt.clock` with the boot and
 * its uptime; batches that this node stamped itself (LogAppendTime) are told by a stamp before our time. The central cluster is never
 * given such a stamp: once the time is known they get the one that they should have had, or are held back.
 *
 * Where a log had stamps already, the time of such a while counts on from the newest of them: it looks like any other and is too early by
 * the time without power. Only the mark tells. Of a boot that is over nobody can tell more than that stamp, which is kept.
 */
import { clockHeader, parseClockMark } from '../base/clock-mark.ts'
import { earliestTrustedWallMs } from '../base/wall-floor.ts'
import type { Clock } from '../base/ports.ts'
import type { RecordView } from '../protocol/records/record.ts'
import {
  batchCodec,
  batchMaxTimestamp,
  batchProducerId,
  batchSizeInBytes,
  batchTimestampType,
} from '../protocol/records/record-batch.ts'
import { firstTimestamp } from './batch-merge.ts'

/** `restamp`: with the time that the uptime tells, or of the sending. `hold`: not sent until an operator decides. */
export type UntrustedTimestamps = 'restamp' | 'hold'

/** A time to send a record with, or why it is not sent. */
export type SendTime = number | { readonly heldBecause: string; readonly isForever: boolean }

export class UntrustedTimes {
  readonly #clock: Pick<Clock, 'wallMs' | 'monotonicMs' | 'wallTrusted'>
  readonly #policy: UntrustedTimestamps
  readonly #bootId: string

  constructor(
    clock: Pick<Clock, 'wallMs' | 'monotonicMs' | 'wallTrusted'>,
    policy: UntrustedTimestamps,
    bootId: string,
  ) {
    this.#clock = clock
    this.#policy = policy
    this.#bootId = bootId
  }

  /** May the batch hold such records? Its records are then looked at one by one. */
  isSuspect(bytes: Uint8Array, at: number): boolean {
    const firstMs = firstTimestamp(bytes, at)
    const maxMs = batchMaxTimestamp(bytes, at)
    if ((firstMs >= 0 && firstMs < earliestTrustedWallMs) || (maxMs >= 0 && maxMs < earliestTrustedWallMs)) return true
    return isOwn(bytes, at) && holdsMark(bytes, at)
  }

  /** A producer's own stamps are its own affair, and are kept. `batch`: the record's, of which the header is enough. */
  timeOf(record: RecordView, batch: Uint8Array): SendTime {
    const { timestampMs } = record
    if (timestampMs < 0) return timestampMs
    const isOld = timestampMs < earliestTrustedWallMs
    if (!isOld && !isOwn(batch, 0)) return timestampMs
    const header = record.headers.find(({ key }) => key === clockHeader)
    const mark = header === undefined ? null : parseClockMark(Buffer.from(header.value ?? []).toString('utf8'))
    if (isOld && header === undefined && batchTimestampType(batch) !== 'LogAppendTime') return timestampMs
    if (!isOld && mark === null) return timestampMs
    const offset = `the record at offset ${record.offset} was received while the time was not known`
    if (this.#policy === 'hold') return { heldBecause: `${offset} (untrustedTimestamps: hold)`, isForever: true }
    if (!this.#clock.wallTrusted()) return { heldBecause: `${offset}, and it still is not`, isForever: false }
    if (!isOld && mark?.bootId !== this.#bootId) return timestampMs
    const agoMs = mark?.bootId === this.#bootId ? this.#clock.monotonicMs() - mark.uptimeMs : 0
    return Math.floor(this.#clock.wallMs() - Math.max(0, agoMs))
  }
}

/** The batches of the MQTT door have no producer. One that came by a mirror has: its marks have been acted on there. */
function isOwn(bytes: Uint8Array, at: number): boolean {
  return batchProducerId(bytes, at) < 0
}

/** Marked records are stored uncompressed, whatever the topic asks for. */
function holdsMark(bytes: Uint8Array, at: number): boolean {
  if (batchCodec(bytes, at) !== 'none') return false
  const end = at + batchSizeInBytes(bytes, at)
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).includes(markName)
}

const markName = Buffer.from(clockHeader)
