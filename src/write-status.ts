/** What the appliance writes, for the operator: by cause and topic, how much more than it was given, how long the medium lasts. */
import type { WritesStatus } from './admin/operations.ts'
import type { MeteredDisk } from './log/metered-disk.ts'

/** Topics that are named, those that write most. */
const topicsShown = 20
/** Before that the rate of a start says nothing about the rate of a day. */
const rateAfterMs = 600_000
const dayMs = 86_400_000

export interface WriteFacts {
  /** Bytes of batches that were committed since the start. */
  readonly committedBytes: number
  readonly uptimeMs: number
  /** What the medium is rated to take in its life; null = not known. */
  readonly ratedBytes: number | null
}

export function writesStatusOf(disk: MeteredDisk, facts: WriteFacts): WritesStatus {
  const causes = [...disk.byCause].map(([cause, figures]) => ({ cause, ...figures }))
  const topics = [...disk.byTopic].map(([topic, figures]) => ({ topic, ...figures }))
  const total = { bytes: 0, pageBytes: 0, syncs: 0 }
  for (const { bytes, pageBytes, syncs } of causes) {
    total.bytes += bytes
    total.pageBytes += pageBytes
    total.syncs += syncs
  }
  const { committedBytes, uptimeMs, ratedBytes } = facts
  const pageBytesPerDay = uptimeMs < rateAfterMs ? null : (total.pageBytes / uptimeMs) * dayMs
  const lasts =
    ratedBytes === null || pageBytesPerDay === null || pageBytesPerDay === 0 ? null : ratedBytes / pageBytesPerDay
  return {
    ...total,
    causes: causes.filter(({ bytes, syncs }) => bytes > 0 || syncs > 0),
    topics: topics.sort((a, b) => b.pageBytes - a.pageBytes).slice(0, topicsShown),
    amplification: committedBytes === 0 ? null : total.pageBytes / committedBytes,
    pageBytesPerDay,
    lifetimeDays: lasts,
  }
}
