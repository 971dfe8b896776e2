/** Deliberate bugs of the log engine: each breaks one rule of durability, and some crash state must show it. */
export interface Mutant {
  readonly name: string
  /** The rule it breaks. */
  readonly breaks: string
  /** Another test that fails for it: what it breaks is no matter of crash states, or of too few. */
  readonly test?: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

const edit = (file: string, from: string, to: string): Mutant['edits'] => [{ file: `src/${file}`, from, to }]

export const mutants: readonly Mutant[] = [
  {
    name: 'journal-not-synced',
    breaks: 'nothing is acknowledged before its frame is durable',
    edits: edit('log/commit-plan.ts', "bytes), { kind: 'sync', path: journal.path })", 'bytes))'),
  },
  {
    name: 'direct-files-not-synced',
    breaks: 'what goes to its file directly is synced before it is acknowledged',
    edits: edit('log/commit-plan.ts', "for (const path of direct) operations.push({ kind: 'sync', path })", ''),
  },
  {
    name: 'segment-directory-not-synced',
    breaks: 'a new segment is durable before a frame speaks of it (R2)',
    edits: edit(
      'log/commit-plan.ts',
      "if (created) parts.operations.push({ kind: 'syncDirectory'",
      "if (!created) parts.operations.push({ kind: 'syncDirectory'",
    ),
  },
  {
    name: 'acknowledged-early',
    breaks: 'a waiter is told when the high watermark has passed it',
    edits: edit(
      'cluster/partition/partition.ts',
      'if (this.highWatermark >= endOffset) callback',
      'if (this.log.logEndOffset >= endOffset) callback',
    ),
  },
  {
    name: 'watermark-ahead-of-sync',
    breaks: 'the high watermark follows the durable end',
    edits: edit('cluster/partition/partition.ts', ': this.log.durableEndOffset', ': this.log.logEndOffset'),
  },
  {
    name: 'marker-before-flush',
    breaks: 'the marker of a clean stop is written when everything is on the disk (R5)',
    edits: edit(
      'log/log-directory.ts',
      'if (this.#failure === null) await this.#checkpointer.finishAll()',
      'if (this.#isClosed === false) await this.#checkpointer.finishAll()',
    ),
  },
  {
    name: 'marker-left',
    breaks: 'the marker is gone before the first append (R5)',
    edits: edit(
      'log/directory-hold.ts',
      "{ kind: 'unlink', path: `${logDirectory}/${logFileNames.cleanShutdown}` },",
      '',
    ),
  },
  {
    name: 'marker-removal-not-synced',
    breaks: 'the marker is gone durably before the first append (R5)',
    edits: edit(
      'log/directory-hold.ts',
      "logFileNames.cleanShutdown}` },\n    { kind: 'syncDirectory', path: logDirectory },",
      'logFileNames.cleanShutdown}` },',
    ),
  },
  {
    name: 'cut-in-the-middle',
    test: 'test/log/damage.test.ts',
    breaks: 'nothing is cut below the recovery point (R7)',
    edits: [
      ...edit(
        'log/log-recovery.ts',
        '(begin.offset < scanFrom && (begin.reason !== null || begin.position === start.sizeInBytes)) ||\n    (await isFollowedByEarlier(start, begin, scanFrom, parts.disk))',
        'begin.offset < -1',
      ),
      ...edit('log/log-recovery.ts', '(end.reason !== null && end.nextOffset < run.cutFrom)', 'end.nextOffset < -1'),
      ...edit('log/log-recovery.ts', 'if (last.fromOffset >= run.cutFrom) {', 'if (last.fromOffset >= 0) {'),
    ],
  },
  {
    name: 'cut-not-synced',
    breaks: 'a cut is durable before anything is appended there (R9)',
    edits: edit(
      'log/log-recovery.ts',
      "size: end.position },\n    { kind: 'sync', path: segment.logPath },",
      'size: end.position },',
    ),
  },
  {
    name: 'index-ahead-of-log',
    test: 'test/log/log-directory.test.ts',
    breaks: 'an index that tells of more than the log has is not believed (R11)',
    edits: [
      ...edit('log/index-check.ts', 'validOffsetEntries(entries, limit, relativeEnd) === count &&', ''),
      ...edit('log/index-check.ts', '(isActive || count === 0 || timeCount > 0) &&', ''),
      ...edit('log/index-check.ts', '(await coversLog(', '(true || await coversLog('),
    ],
  },
  {
    name: 'producers-forgotten-at-start',
    breaks: 'what a producer has sent is known after a start (I7)',
    edits: edit(
      'log/producer-loader.ts',
      'decodeSnapshot(recoverySnapshot, log.producers)) return recoveryPoint',
      'recoverySnapshot) return recoveryPoint',
    ),
  },
  {
    name: 'producer-snapshot-ahead',
    breaks: 'a snapshot knows no batch beyond the recovery point it stands at',
    edits: edit(
      'log/checkpointer.ts',
      'log.recoverySnapshot = snapshot',
      'log.recoverySnapshot = encodeSnapshot(log.producers)',
    ),
  },
  {
    name: 'duplicates-taken',
    breaks: 'a batch that is sent again is not appended again (I7)',
    edits: edit(
      'log/producer-state.ts',
      'if (duplicate !== null) return duplicate\n',
      'if (duplicate !== null) return ok\n',
    ),
  },
  {
    name: 'tombstone-dropped-early',
    test: 'test/log/compaction/compaction-model.test.ts',
    breaks: 'a tombstone stays for delete.retention.ms',
    edits: edit(
      'log/compaction/batch-filter.ts',
      'return hasValue || this.#horizonMs === null || nowMs === null || nowMs < this.#horizonMs',
      'return hasValue',
    ),
  },
  {
    name: 'swap-before-sync',
    test: 'test/log/compaction/compaction-crash.test.ts',
    breaks: 'a cleaned file is durable before it takes the place of others (R3)',
    edits: [
      ...edit(
        'log/compaction/cleaned-file.ts',
        'if (isLast || this.#unsyncedBytes >= syncBytes) {',
        'if (this.#unsyncedBytes >= syncBytes) {',
      ),
    ],
  },
  {
    name: 'swap-names-in-any-order',
    test: 'test/log/compaction/compaction-crash.test.ts',
    breaks: 'a suffix goes when what it covers is gone durably',
    edits: edit(
      'log/compaction/segment-swap.ts',
      "    // The suffix tells a start what to remove: it must not be gone before that is.\n    { kind: 'syncDirectory', path: directory },\n",
      '',
    ),
  },
  {
    name: 'compacted-in-reach-of-replay',
    test: 'test/log/compaction/compaction-crash.test.ts',
    breaks: 'no replay writes old bytes into a compacted file',
    edits: edit(
      'log/compaction/compactor.ts',
      'if (!journal.hasPassed(sequence)) {',
      'if (journal.hasPassed(-1) === false) {',
    ),
  },
  {
    name: 'budget-ignored',
    test: 'test/log/full-disk.test.ts',
    breaks: 'at the budget nothing more is taken',
    edits: edit(
      'log/space-guard.ts',
      'else if (this.#refusal === null && room <= 0) {',
      'else if (this.#refusal === null && room <= -1e12) {',
    ),
  },
  {
    name: 'torn-frame-accepted',
    breaks: 'a frame whose checksum does not fit is not replayed',
    edits: edit(
      'log/journal-frame.ts',
      'if (body.length !== header.bodyBytes || crc32c(body) !== header.bodyCrc) return null',
      'if (body.length !== header.bodyBytes) return null',
    ),
  },
  {
    name: 'ring-begun-anew-too-early',
    breaks: 'the files a frame speaks of are synced before its room is used again',
    edits: edit(
      'log/commit-plan.ts',
      "    for (const path of paths) parts.operations.push({ kind: 'sync', path })\n    parts.operations.push(...journal.beginAnew",
      '    parts.operations.push(...journal.beginAnew',
    ),
  },
  {
    name: 'frame-room-used-too-early',
    breaks: 'a frame keeps its room until the files it speaks of are synced',
    edits: edit(
      'log/commit-journal.ts',
      '(this.#live[count] as LiveFrame).sequence < needed; count++',
      '(this.#live[count] as LiveFrame).sequence < needed + 2; count++',
    ),
  },
  {
    name: 'replay-begins-late',
    breaks: 'every frame that is needed is replayed',
    edits: edit(
      'log/journal-replay.ts',
      'candidate.sequence >= frame.oldestNeeded',
      'candidate.sequence > frame.oldestNeeded',
    ),
  },
  {
    name: 'replayed-before-durable',
    test: 'test/log/cut-short.test.ts',
    breaks: 'a frame is durable before it is replayed',
    edits: edit(
      'log/journal-replay.ts',
      '  await makeDurable(journal, frames.at(-1))\n',
      '  if (frames.length < 0) await makeDurable(journal, frames.at(-1))\n',
    ),
  },
  {
    name: 'journal-kept-at-start',
    breaks: 'frames of this life carry its own number',
    edits: edit(
      'log/log-directory.ts',
      "    await this.#journal.reset(this.#ports.entropy.bytes(16))\n    await disk.submit([{ kind: 'syncDirectory', path: this.stateDirectory }])",
      '    await this.#journal.reset(new Uint8Array(16))',
    ),
  },
  {
    name: 'files-before-frame',
    breaks: 'a segment file has no byte of a frame that is not durable',
    edits: edit('log/commit-plan.ts', '        writes.push(write)\n', '        operations.unshift(write)\n'),
  },
  {
    name: 'partial-set',
    breaks: 'a set is one frame',
    edits: edit('log/commit-plan.ts', "if (commit.isInSet) commit.way = 'journal'\n    else if", 'if'),
  },
  {
    name: 'recovery-point-ahead',
    breaks: 'a recovery point is not beyond what was synced',
    edits: edit('log/checkpointer.ts', 'log.recoveryPoint = endOffset', 'log.recoveryPoint = log.logEndOffset'),
  },
  {
    name: 'checkpoint-without-sync',
    breaks: 'the files are synced before the recovery points move',
    edits: edit(
      'log/checkpointer.ts',
      'if (!isFinal) operations.push(...syncs, ...written)',
      'if (!isFinal) operations.push(...written)',
    ),
  },
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
      "      ...topicIdWrites(directory, creation.topicId),\n      { kind: 'syncDirectory', path: logDirectory },\n",
      '      ...topicIdWrites(directory, creation.topicId),\n',
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
