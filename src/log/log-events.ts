import { defineEvents } from '../base/event-def.ts'

/** What the log engine reports. */
export const logEvents = defineEvents({
  otherOwner: {
    id: 'log-other-owner',
    level: 'info',
    sentence:
      'another broker has written here since (quorum epoch {foundEpoch}, our last was {ownEpoch}): its files are believed, not our copies',
    fields: { foundEpoch: 'number', ownEpoch: 'number' },
  },
  opened: {
    id: 'log-directory-opened',
    level: 'info',
    sentence: 'opened {logs} logs in {durationMs} ms (clean: {clean}, journal frames replayed: {frames})',
    fields: { logs: 'number', durationMs: 'number', clean: 'boolean', frames: 'number' },
  },
  truncated: {
    id: 'log-tail-truncated',
    level: 'warn',
    sentence: 'cut {bytes} unacknowledged bytes from {log} at offset {offset}: {reason}',
    fields: { log: 'string', offset: 'number', bytes: 'number', reason: 'string' },
  },
  damaged: {
    id: 'log-damaged',
    level: 'error',
    sentence:
      '{log} is damaged from offset {offset} to below {endOffset} (position {position} to {endPosition} of {file}): {reason}; what lies there is not served',
    fields: {
      log: 'string',
      offset: 'number',
      endOffset: 'number',
      position: 'number',
      endPosition: 'number',
      file: 'string',
      reason: 'string',
    },
  },
  scrubbed: {
    id: 'log-scrubbed',
    level: 'info',
    sentence:
      'looked through {bytes} bytes of {logs} logs in {durationMs} ms: {damagedRanges} damaged ranges are known',
    fields: { logs: 'number', bytes: 'number', durationMs: 'number', damagedRanges: 'number' },
  },
  scrubFailed: {
    id: 'log-scrub-failed',
    level: 'error',
    sentence: 'a part of the logs could not be looked through: {error}',
    fields: { error: 'string' },
  },
  segmentMissing: {
    id: 'log-segment-missing',
    level: 'error',
    sentence: '{log} begins at offset {startOffset}, but {file} says that a segment before it has been lost',
    fields: { log: 'string', startOffset: 'number', file: 'string' },
  },
  shorterThanRecoveryPoint: {
    id: 'log-shorter-than-recovery-point',
    level: 'error',
    sentence:
      '{log} ends at offset {endOffset}, but was durable up to {recoveryPoint}: its files were changed from outside',
    fields: { log: 'string', endOffset: 'number', recoveryPoint: 'number' },
  },
  hintIgnored: {
    id: 'log-hint-ignored',
    level: 'warn',
    sentence: '{file} is missing, torn or stale and is rebuilt from the log',
    fields: { file: 'string' },
  },
  identityRestored: {
    id: 'log-identity-restored',
    level: 'warn',
    sentence: 'meta.properties was missing or torn and has been written again from its copy',
    fields: {},
  },
  identityLost: {
    id: 'log-identity-lost',
    level: 'error',
    sentence: 'meta.properties and its copy are both gone although there are logs: the directory has a new identity',
    fields: {},
  },
  journalIgnored: {
    id: 'log-journal-ignored',
    level: 'error',
    sentence: 'the commit journal was not replayed: {reason}',
    fields: { reason: 'string' },
  },
  unknownEntry: {
    id: 'log-unknown-entry',
    level: 'warn',
    sentence: '{name} in the log directory is not ours and is left alone',
    fields: { name: 'string' },
  },
  segmentRolled: {
    id: 'log-segment-rolled',
    level: 'debug',
    sentence: '{log} began segment {baseOffset}',
    fields: { log: 'string', baseOffset: 'number' },
  },
  segmentsDeleted: {
    id: 'log-segments-deleted',
    level: 'info',
    sentence: '{log} gave up {segments} segments below offset {logStartOffset}: {reason}',
    fields: { log: 'string', segments: 'number', logStartOffset: 'number', reason: 'string' },
  },
  logCompacted: {
    id: 'log-compacted',
    level: 'info',
    sentence: 'compacted {log} up to offset {endOffset}: {bytesBefore} bytes became {bytesAfter} in {durationMs} ms',
    fields: { log: 'string', endOffset: 'number', bytesBefore: 'number', bytesAfter: 'number', durationMs: 'number' },
  },
  compactionFailed: {
    id: 'log-compaction-failed',
    level: 'error',
    sentence: '{log} is not compacted any more until the next start: {reason}',
    fields: { log: 'string', reason: 'string' },
  },
  compactionPostponed: {
    id: 'log-compaction-postponed',
    level: 'warn',
    sentence: 'the compaction of {log} waits for {delayMs} ms: {reason}',
    fields: { log: 'string', delayMs: 'number', reason: 'string' },
  },
  notReserved: {
    id: 'log-space-not-reserved',
    level: 'warn',
    sentence: 'the space of the next segment of {log} is not reserved, although preallocate asks for it: {reason}',
    fields: { log: 'string', reason: 'string' },
  },
  logCreated: {
    id: 'log-created',
    level: 'debug',
    sentence: 'created the log {log}',
    fields: { log: 'string' },
  },
  logDeleted: {
    id: 'log-deleted',
    level: 'info',
    sentence: 'deleted the log {log}',
    fields: { log: 'string' },
  },
  removalFailed: {
    id: 'log-removal-failed',
    level: 'warn',
    sentence: 'the folder {name} of a deleted log could not be removed ({error}); the next start tries again',
    fields: { name: 'string', error: 'string' },
  },
  dataRefused: {
    id: 'log-data-refused',
    level: 'error',
    sentence: 'new data is refused until that has passed: {reason}; reads go on',
    fields: { reason: 'string' },
  },
  dataTaken: {
    id: 'log-data-taken',
    level: 'info',
    sentence: 'new data is taken again',
    fields: {},
  },
  dataDropped: {
    id: 'log-data-dropped',
    level: 'warn',
    sentence: '{log} lost {bytes} bytes, the offsets from {startOffset} to below {endOffset}: {reason}',
    fields: { log: 'string', startOffset: 'number', endOffset: 'number', bytes: 'number', reason: 'string' },
  },
  keptBeyondRetention: {
    id: 'log-kept-beyond-retention',
    level: 'info',
    sentence:
      '{bytes} bytes of {log}, from offset {startOffset} on, are past their retention and stay for readers that have not had them',
    fields: { log: 'string', startOffset: 'number', bytes: 'number' },
  },
  keptGivenUp: {
    id: 'log-kept-given-up',
    level: 'warn',
    sentence:
      '{bytes} bytes of {log} that stayed beyond their retention for readers were given up: the budget is used up',
    fields: { log: 'string', bytes: 'number' },
  },
  leftFull: {
    id: 'log-directory-left-full',
    level: 'warn',
    sentence: 'the stop could not leave the directory clean ({error}); the next start recovers it',
    fields: { error: 'string' },
  },
  directoryFailed: {
    id: 'log-directory-failed',
    level: 'fatal',
    sentence: 'the data directory takes no more writes ({error}); reads go on, nothing is acknowledged any more',
    fields: { error: 'string' },
  },
})
