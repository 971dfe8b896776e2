/** Deliberate bugs of the log engine: each breaks one rule of durability, and some crash state must show it. */
import { edit, type Mutant } from './mutant.ts'
import { recoveryMutants } from './mutants-of-recovery.ts'

export const mutants: readonly Mutant[] = [
  {
    name: 'journal-not-synced',
    breaks: 'nothing is acknowledged before its frame is durable',
    edits: edit('log/commit-plan.ts', "(operation, { kind: 'sync', path: journal.path })", '(operation)'),
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
      "      parts.operations.push({ kind: 'syncDirectory'",
      "      if (!created) parts.operations.push({ kind: 'syncDirectory'",
    ),
  },
  {
    name: 'segment-names-in-any-order',
    test: 'test/log/commit-plan.test.ts',
    breaks: 'the name of a new segment is durable before that of the next one',
    edits: edit(
      'log/commit-plan.ts',
      "      parts.operations.push({ kind: 'syncDirectory'",
      "      if (segment === commit.ranges.at(-1)?.segment) parts.operations.push({ kind: 'syncDirectory'",
    ),
  },
  {
    name: 'removal-past-its-successor',
    test: 'test/log/retention-race.test.ts',
    breaks: 'a log always has a segment file, on a full disk too',
    edits: edit('log/retention.ts', "|| (lane === 'relief' && parts.disk.isWaitingToMake(first.logPath))", ''),
  },
  {
    name: 'together-is-apart',
    test: 'test/broker/turn-append.test.ts',
    breaks: 'records that are to be kept together are one set, whatever their topics',
    edits: edit('broker/turn-append.ts', 'this.#isTogether = true', 'this.#isTogether = bytes < 0'),
  },
  {
    name: 'decoded-apart',
    test: 'test/ingest/mqtt/sparkplug-decoding.test.ts',
    breaks: 'a Sparkplug message and its JSON are in the log together or not at all',
    edits: edit('ingest/mqtt/publish-handler.ts', 'if (jsonLength > 0 || route.', 'if (jsonLength < 0 || route.'),
  },
  {
    name: 'acknowledged-early',
    breaks: 'a waiter is told when the high watermark has passed it',
    edits: edit(
      'cluster/partition/partition.ts',
      'this.#wait(waiter, this.highWatermark, ',
      'this.#wait(waiter, this.log.logEndOffset, ',
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
      'if (this.#failure === null) await this.#checkpointer.finishAll(this.wasClean)',
      'if (this.#isClosed === false) await this.#checkpointer.finishAll(this.wasClean)',
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
    test: 'test/log/half-written.test.ts',
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
    edits: edit('log/commit-plan.ts', 'if (!commit.isHeld) writes.push(write)', 'operations.unshift(write)'),
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
    name: 'many-checkpointed-without-sync',
    breaks: 'the files of many logs are synced before their recovery points move',
    edits: edit(
      'log/checkpointer.ts',
      'await driver.syncFilesAside([...records, ...replacements])',
      'await driver.syncFilesAside(replacements)',
    ),
  },
  {
    name: 'full-ring-counts-on-asides',
    test: 'test/log/sync-aside.test.ts',
    breaks: 'a ring that begins anew waits for no sync beside the queue: its files are synced first',
    edits: edit('log/commit-plan.ts', '[...dirty.unsynced()]', '[...dirty.paths()]'),
  },
  {
    name: 'aside-frames-freed-early',
    test: 'test/log/sync-aside.test.ts',
    breaks: 'frames stay needed until the sync beside the queue has ended',
    edits: edit(
      'log/commit-driver.ts',
      '    await this.#disk.syncAside(paths)\n    complete()',
      '    complete()\n    await this.#disk.syncAside(paths)',
    ),
  },
  {
    name: 'synced-without-what-is-held',
    breaks: 'frames stay needed until the files that get their bytes later have them, and are synced',
    edits: edit('log/dirty-files.ts', '    this.beforeSync(all)\n', ''),
  },
  {
    name: 'held-is-behind',
    test: 'test/log/held-writes.test.ts',
    breaks: 'what goes to a file at once goes behind what is held of it',
    edits: edit(
      'log/commit-driver.ts',
      'if (this.#held.size > 0) this.release(plan',
      'if (this.#held.size < 0) this.release(plan',
    ),
  },
  {
    name: 'released-without-its-frame',
    test: 'test/log/held-writes.test.ts',
    breaks: 'nothing of a set is in a file without its frame, though it was released while that was being written',
    edits: edit('log/commit-driver.ts', 'submit(operations, { needs: this.#newest })', 'submit(operations)'),
  },
  {
    name: 'held-unread',
    test: 'test/log/held-writes.test.ts',
    breaks: 'what is held is read from the journal',
    edits: edit('log/held-reads.ts', 'if (this.#held.lackingIn(path) === null) return', 'return'),
  },
  {
    name: 'taken-for-what-was-held',
    test: 'test/log/held-reads.test.ts',
    breaks: 'what was read while its file got it is read again',
    edits: edit(
      'log/held-reads.ts',
      'if (lacking.every((extent) => this.#held.isLacking(extent))) return bytes',
      'return bytes',
    ),
  },
  {
    name: 'ring-in-fractions',
    test: 'test/log/held-writes.test.ts',
    breaks: 'the ring grows by whole blocks',
    edits: edit(
      'log/commit-journal.ts',
      'return Math.floor(bytes / journalBlockBytes) * journalBlockBytes',
      'return bytes',
    ),
  },
  {
    name: 'anew-over-what-is-held',
    test: 'test/log/held-writes.test.ts',
    breaks: 'no frame takes the place of others before the files have their bytes',
    edits: edit(
      'log/commit-driver.ts',
      'const mayBeginAnew = this.#unwritten === 0 && this.#held.size === 0',
      'const mayBeginAnew = true',
    ),
  },
  {
    name: 'known-line-outlives-its-point',
    test: 'test/log/known-lines.test.ts',
    breaks: 'a line of the recovery points is copied from the last file only where it would say the same',
    edits: edit(
      'log/known-lines.ts',
      'this.#recoveryPoint === log.recoveryPoint &&\n      this.#recoverySnapshot === log.recoverySnapshot &&\n      this.#recoveryChain === log.recoveryChain &&',
      '',
    ),
  },
  {
    name: 'held-behind-a-hole',
    test: 'test/log/commit-plan.test.ts',
    breaks: 'what counts as written has all that stands before it',
    edits: edit(
      'log/commit-plan.ts',
      'return writtenEndOffset >= batchBaseOffset(chunks[0] as Uint8Array) && ',
      'return ',
    ),
  },
  ...recoveryMutants,
]
