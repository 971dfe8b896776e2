import { defineMetrics } from '../base/metric-def.ts'

/** Figures of the log engine. */
export const logMetrics = defineMetrics({
  appendedBytes: {
    name: 'headwater_log_appended_bytes_total',
    kind: 'counter',
    help: 'Bytes of record batches appended to logs.',
    labels: [],
  },
  appendedBatches: {
    name: 'headwater_log_appended_batches_total',
    kind: 'counter',
    help: 'Record batches appended to logs.',
    labels: [],
  },
  commits: {
    name: 'headwater_log_commits_total',
    kind: 'counter',
    help: 'Group commits, by how they were made durable.',
    labels: ['way'],
  },
  commitSeconds: {
    name: 'headwater_log_commit_seconds',
    kind: 'histogram',
    help: 'Time of a group commit from its start until it was durable.',
    labels: [],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  },
  commitBytes: {
    name: 'headwater_log_commit_bytes',
    kind: 'histogram',
    help: 'Bytes of a group commit.',
    labels: [],
    buckets: [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216],
  },
  journalLiveBytes: {
    name: 'headwater_log_journal_live_bytes',
    kind: 'gauge',
    help: 'Bytes of the commit journal that are still needed for a replay.',
    labels: [],
  },
  unscannedBytes: {
    name: 'headwater_log_unscanned_bytes',
    kind: 'gauge',
    help: 'Bytes above the recovery points: what an unclean start would scan.',
    labels: [],
  },
  compactionRuns: {
    name: 'headwater_log_compaction_runs_total',
    kind: 'counter',
    help: 'Passes of compaction over one log that have come to their end.',
    labels: [],
  },
  compactionBytes: {
    name: 'headwater_log_compaction_bytes_total',
    kind: 'counter',
    help: 'Bytes of segments before and after they were compacted, and those written for it.',
    labels: ['what'],
  },
  compactionFailedLogs: {
    name: 'headwater_log_compaction_failed_logs',
    kind: 'gauge',
    help: 'Logs that are not compacted any more because their content could not be read.',
    labels: [],
  },
  damagedRanges: {
    name: 'headwater_log_damaged_ranges_total',
    kind: 'counter',
    help: 'Ranges of stored bytes that were found damaged since the start; they are not served.',
    labels: [],
  },
  damagedRangesNow: {
    name: 'headwater_log_damaged_ranges',
    kind: 'gauge',
    help: 'Damaged ranges of stored bytes that are known and still below no log start.',
    labels: [],
  },
  scrubbedBytes: {
    name: 'headwater_log_scrubbed_bytes_total',
    kind: 'counter',
    help: 'Bytes that the scrub has looked through.',
    labels: [],
  },
  scrubPasses: {
    name: 'headwater_log_scrub_passes_total',
    kind: 'counter',
    help: 'Passes of the scrub over all logs that have come to their end.',
    labels: [],
  },
  recoverySeconds: {
    name: 'headwater_log_recovery_seconds',
    kind: 'gauge',
    help: 'Time that opening the data directory took at the last start.',
    labels: [],
  },
  logs: {
    name: 'headwater_log_logs',
    kind: 'gauge',
    help: 'Logs (partition replicas) in the data directory.',
    labels: [],
  },
  refusesData: {
    name: 'headwater_log_refuses_data',
    kind: 'gauge',
    help: '1 while new data is refused because the budget is used up or the disk is full.',
    labels: [],
  },
  usedBytes: {
    name: 'headwater_log_used_bytes',
    kind: 'gauge',
    help: 'Bytes that the data directory takes: logs, indexes, journal, ballast, and what waits for its removal.',
    labels: [],
  },
  budgetBytes: {
    name: 'headwater_log_budget_bytes',
    kind: 'gauge',
    help: 'Most bytes that the data directory may take.',
    labels: [],
  },
  droppedBytes: {
    name: 'headwater_log_dropped_bytes_total',
    kind: 'counter',
    help: 'Bytes of old data given up before their time because the budget was used up or the disk was full.',
    labels: [],
  },
  directoryOffline: {
    name: 'headwater_log_directory_offline',
    kind: 'gauge',
    help: '1 when the data directory has failed and takes no more writes.',
    labels: [],
  },
})
