/**
 * Records that were received while this node did not know the time. MQTT records of such a while carry `mqtt.clock` with the boot and
 * its uptime; batches that this node stamped itself (LogAppendTime) are told by a stamp before our time. The central cluster is never
 * given such a stamp: once the time is known they get the one that they should have had, or are held back.
 */
import { clockHeader, parseClockMark } from '../base/clock-mark.ts'
import { earliestTrustedWallMs } from '../base/wall-floor.ts'
import type { Clock } from '../base/ports.ts'
import type { RecordView } from '../protocol/records/record.ts'
import { batchMaxTimestamp } from '../protocol/records/record-batch.ts'
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
    return (firstMs >= 0 && firstMs < earliestTrustedWallMs) || (maxMs >= 0 && maxMs < earliestTrustedWallMs)
  }

  /** A producer's own old stamps are its own affair, and are kept. */
  timeOf(record: RecordView, isAppendTime: boolean): SendTime {
    if (record.timestampMs < 0 || record.timestampMs >= earliestTrustedWallMs) return record.timestampMs
    const header = record.headers.find(({ key }) => key === clockHeader)
    if (header === undefined && !isAppendTime) return record.timestampMs
    const offset = `the record at offset ${record.offset} was received while the time was not known`
    if (this.#policy === 'hold') return { heldBecause: `${offset} (untrustedTimestamps: hold)`, isForever: true }
    if (!this.#clock.wallTrusted()) return { heldBecause: `${offset}, and it still is not`, isForever: false }
    const mark = parseClockMark(Buffer.from(header?.value ?? []).toString('utf8'))
    const agoMs = mark?.bootId === this.#bootId ? this.#clock.monotonicMs() - mark.uptimeMs : 0
    return Math.floor(this.#clock.wallMs() - Math.max(0, agoMs))
  }
}
