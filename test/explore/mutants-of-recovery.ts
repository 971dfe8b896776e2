/** Deliberate bugs of deletion and of starts: what an end at a bad moment leaves, and what the next start makes of it. */
import { edit, type Mutant } from './mutant.ts'

export const recoveryMutants: readonly Mutant[] = [
  {
    name: 'log-start-not-durable',
    breaks: 'DeleteRecords answers when the start is durable',
    edits: edit(
      'log/log-directory.ts',
      '      await this.#logStarts.write()\n      await this.#housekeeping',
      '      void this.#logStarts.write()\n      await this.#housekeeping',
    ),
  },
  {
    name: 'stale-log-starts-kept',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a start beyond the end does not hide what is appended next',
    edits: edit('log/directory-loader.ts', 'start > (ends.get(key) ?? -1)', 'start > (ends.get(key) ?? start)'),
  },
  {
    name: 'deleted-records-back',
    test: 'test/log/cut-short.test.ts',
    breaks: 'where a relaxed log lost its end, what was deleted stays deleted',
    edits: edit(
      'log/log-loader.ts',
      'hints.logStartIsSealed ? log.logEndOffset',
      'hints.logStartIsSealed ? first.baseOffset',
    ),
  },
  {
    name: 'producers-of-a-gap-lost',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a snapshot behind deleted segments knows their producers',
    edits: edit('log/log-recovery.ts', 'if (next > end.nextOffset) await', 'if (next < 0) await'),
  },
  {
    name: 'torn-segment-tells-epochs',
    test: 'test/log/cut-short.test.ts',
    breaks: 'epochs are derived from batches only',
    edits: edit('log/epoch-rebuild.ts', 'firsts.push(isBatch ?', 'firsts.push(isBatch || true ?'),
  },
  {
    name: 'index-believed',
    test: 'test/log/cut-short.test.ts',
    breaks: 'an index leads to the batch that it names (I13)',
    edits: edit('log/log-reader.ts', 'return !isFromFile(position) ||', 'return true ||'),
  },
  {
    name: 'overlap-cut',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a base offset that is wrong upwards cuts nothing below the recovery point (R7)',
    edits: edit(
      'log/log-recovery.ts',
      'return next === undefined ? {} : { endOffset: next.baseOffset }',
      'return next === undefined ? {} : {}',
    ),
  },
  {
    name: 'snapshots-deleted-first',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a segment goes before the snapshot at its start',
    edits: [
      ...edit(
        'log/retention.ts',
        '  for (const segment of going) {\n',
        "  for (const offset of snapshots) operations.push({ kind: 'unlink', path: snapshotPath(log, offset) })\n  for (const segment of going) {\n",
      ),
    ],
  },
  {
    name: 'epoch-used-again',
    breaks: 'an unclean start raises every leader epoch',
    edits: edit(
      'cluster/cluster.ts',
      "directory.wasClean ? 'leaderless' : 'all'",
      "directory.wasClean ? 'leaderless' : 'leaderless'",
    ),
  },
  {
    name: 'checksum-ignored',
    breaks: 'a batch whose checksum does not fit is no batch',
    edits: edit(
      'log/segment-scan.ts',
      "return !scan.checkCrc || batchCrcIsValid(window.bytes, at) ? at : 'the CRC does not match'",
      'return scan.checkCrc ? at : at',
    ),
  },
  {
    name: 'empty-segment-believed',
    breaks: 'an empty segment beyond a gap was never part of the log',
    edits: edit(
      'log/log-recovery.ts',
      'return later.every((segment) => segment.sizeInBytes === 0) ?',
      'return later.length < 0 ?',
    ),
  },
  {
    name: 'topic-id-left-unsynced',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a start syncs the topic id that its own copy does not have',
    edits: edit(
      'log/directory-loader.ts',
      'if (!place.isClean && found !== topicId)',
      'if (!place.isClean && found === null)',
    ),
  },
  {
    name: 'rolled-snapshot-forgotten',
    test: 'test/log/cut-short.test.ts',
    breaks: 'where a segment begins the producers of those before it are known from a snapshot',
    edits: edit(
      'log/log-recovery.ts',
      'if (later.length > 0) await keepSnapshot(',
      'if (later.length < 0) await keepSnapshot(',
    ),
  },
  {
    name: 'new-log-not-synced',
    breaks: 'a log is there for good when its creation is answered (R2)',
    edits: edit(
      'log/log-maker.ts',
      "    ...ids.flatMap(({ syncs }) => syncs),\n    { kind: 'syncDirectory', path: logDirectory },\n",
      '    ...ids.flatMap(({ syncs }) => syncs),\n',
    ),
  },
  {
    name: 'deletion-not-synced',
    breaks: 'a deleted log does not come back',
    edits: edit(
      'log/log-directory.ts',
      "await this.#write([rename, { kind: 'syncDirectory', path: this.logDirectory }]",
      'await this.#write([rename]',
    ),
  },
  {
    name: 'temporary-file-not-synced',
    breaks: 'a file is durable before it replaces another (R3)',
    edits: edit('base/replace-file.ts', "    { kind: 'sync', path: temporary },\n", ''),
  },
  {
    name: 'removal-forgets-frames',
    test: 'test/log/cut-short.test.ts',
    breaks: 'frames of a file that is going stay needed until it has gone',
    edits: edit(
      'log/dirty-files.ts',
      'return this.beginSync(paths)\n',
      'this.beginSync(paths)()\n    return () => {}\n',
    ),
  },
  {
    name: 'written-behind-failed-sync',
    test: 'test/log/cut-short.test.ts',
    breaks: 'nothing is written behind a failed sync (R6)',
    edits: edit(
      'log/patient-disk.ts',
      'if (this.#ended !== null || isFailedSync(error)) {',
      'if (this.#ended !== null) {',
    ),
  },
  {
    name: 'gap-witness-removed',
    test: 'test/log/cut-short.test.ts',
    breaks: 'that a deletion was cut short is written down before its traces go',
    edits: [
      ...edit(
        'log/log-loader.ts',
        'filter((name) => !kept.has(name))',
        "filter((name) => kept.size >= 0 || name !== '')",
      ),
      ...edit(
        'log/log-loader.ts',
        'const isKept = deleted.length > 0 && !hints.isClean',
        'const isKept = deleted.length > 0 && hints.isClean',
      ),
    ],
  },
  {
    name: 'deleted-log-remembered',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a log created anew is not taken for the deleted one of its name',
    edits: edit('log/checkpointer.ts', 'if (this.#deleted.has(key)) await', 'if (this.#deleted.has(`${key} `)) await'),
  },
  {
    name: 'failed-sync-believed',
    test: 'test/log/cut-short.test.ts',
    breaks: 'what a failed sync did not write is written again by the next start (R6)',
    edits: edit('log/log-recovery.ts', 'if (run.hints.hadFailedSync) await', 'if (run.cutFrom < -1) await'),
  },
  {
    name: 'newest-frame-written-over',
    test: 'test/log/cut-short.test.ts',
    breaks: 'the newest frame is whole while its successor is written',
    edits: edit('log/commit-journal.ts', 'if (newest === null || journalBlockBytes', 'if (newest === null || -1e9'),
  },
  {
    name: 'half-swapped-index-believed',
    test: 'test/log/half-written.test.ts',
    breaks: 'of an index whose log may have been replaced no copy is believed',
    edits: edit(
      'log/compaction/segment-swap.ts',
      "if (!isOfSwap(name)) operations.push({ kind: 'unlink', path: placeOf(name) })",
      '',
    ),
  },
  {
    name: 'forgotten-index-believed',
    test: 'test/log/half-written.test.ts',
    breaks: 'of a log that is replaced without its index no index stays',
    edits: edit('log/compaction/segment-swap.ts', '.filter((index) => !names.has(', '.filter((index) => names.has('),
  },
  {
    name: 'cut-length-not-synced',
    test: 'test/log/half-written.test.ts',
    breaks: 'a tail that a start has cut stays cut behind a clean stop',
    edits: edit('log/checkpointer.ts', 'if (!wasClean) await', 'if (wasClean) await'),
  },
  {
    name: 'reader-left-in-the-gap',
    test: 'test/log/half-written.test.ts',
    breaks: 'no reader waits below the end of a log',
    edits: edit('log/log-reader.ts', 'if (sizeInBytes > 0 || isBehind', 'if (sizeInBytes >= 0 || isBehind'),
  },
  {
    name: 'lost-epochs-count-as-filed',
    test: 'test/log/epochs.test.ts',
    breaks: 'epochs that the file has not heard of are not known to it',
    edits: edit('log/leader-epoch-cache.ts', 'this.#hasLostUnfiled ||= ', 'this.#hasLostUnfiled &&= '),
  },
  {
    name: 'frame-past-its-syncs',
    test: 'test/log/commit-plan.test.ts',
    breaks: 'a frame takes no place of another whose file is not synced',
    edits: edit('log/commit-plan.ts', 'beginsAnew || waits ?', 'waits ?'),
  },
  {
    name: 'relaxed-bytes-below-a-frame',
    test: 'test/log/commit-plan.test.ts',
    breaks: 'what stands below a frame is on the medium',
    edits: edit(
      'log/commit-plan.ts',
      'log.durableEndOffset >= log.writtenEndOffset)',
      "log.config.flush !== 'relaxed')",
    ),
  },
  {
    name: 'once-relaxed-never-synced',
    test: 'test/log/commit-plan.test.ts',
    breaks: 'a relaxed log is synced soon',
    edits: edit(
      'log/commit-driver.ts',
      'filter((log) => log.durableEndOffset < log.writtenEndOffset)',
      "filter((log) => log.config.flush === 'relaxed')",
    ),
  },
  {
    name: 'wrong-offset-guessed',
    test: 'test/log/segment-digest.test.ts',
    breaks: 'of two batches that cannot both be right the one is hidden that is wrong',
    edits: edit(
      'log/segment-examination.ts',
      '{ position, baseOffset }, this.#disk)) return true',
      '{ position, baseOffset }, this.#disk)) return false',
    ),
  },
  {
    name: 'stale-entries-left',
    test: 'test/log/half-written.test.ts',
    breaks: 'an index tells of no record that its log has lost',
    edits: edit('log/log-recovery.ts', 'if (!index.filesDiffer) return []', 'if (index.filedOffsets >= 0) return []'),
  },
  {
    name: 'swap-finished-unsynced',
    test: 'test/log/half-written.test.ts',
    breaks: 'a swap that was killed loses nothing in the start that finishes it',
    edits: edit(
      'log/compaction/segment-swap.ts',
      'const operations: DiskOperation[] = [sync]',
      'const operations: DiskOperation[] = []',
    ),
  },
  {
    name: 'marker-comes-back',
    test: 'test/log/half-written.test.ts',
    breaks: 'a clean stop is not believed behind a start that found its marker gone',
    edits: edit('log/directory-hold.ts', 'if (brokerEpoch === null) await', 'if (brokerEpoch === 0) await'),
  },
  {
    name: 'index-rebuilt-in-place',
    test: 'test/log/half-written.test.ts',
    breaks: 'an index that was wrong stays until a whole one takes its place',
    edits: edit('log/checkpointer.ts', 'this.#write(indexReplacement(', 'this.#write(indexWrites('),
  },
  {
    name: 'deleted-gap-forgotten',
    test: 'test/log/half-written.test.ts',
    breaks: 'an empty segment behind deleted ones is the end of the log',
    edits: edit('log/log-recovery.ts', 'if (isDeleted || baseOffset <=', 'if (baseOffset <='),
  },
  {
    name: 'torn-offset-taken-for-wrong',
    test: 'test/log/half-written.test.ts',
    breaks: 'a torn tail is cut, not told as damage',
    edits: edit(
      'log/log-recovery.ts',
      'if (batchBaseOffset(header) <= segment.baseOffset) return false',
      'if (batchBaseOffset(header) < 0) return false',
    ),
  },
  {
    name: 'lost-times-believed',
    test: 'test/log/half-written.test.ts',
    breaks: 'a time index that is gone is not taken for that of a segment without records',
    edits: edit('log/index-check.ts', '(isActive || count === 0 || timeCount > 0) &&', ''),
  },
]
