/** When a checkpoint begins, how much it covers, and when commits have to wait for one. */
import type { CommitJournal } from './commit-journal.ts'
import type { HeldWrites } from './held-writes.ts'
import type { UnifiedLog } from './unified-log.ts'

/** How far checkpoints lie apart, and what they leave in memory and in the ring. */
export interface CheckpointPace {
  /** Appended bytes from one to the next. */
  readonly everyBytes: number
  /** Of each log whose bytes are held in the ring it has so much before the first ones go to their files, */
  readonly heldBytesPerLog: number
  /** but of all together no more than this. */
  readonly heldBytesMax: number
  /** It takes so much room, and such a budget, to hold anything. */
  readonly holdsWith: { readonly roomBytes: number; readonly budgetBytes: number }
  /** Index entries of all logs together that may wait for their files, where many logs are written to. */
  readonly unfiledEntriesMax: number
  /** Up to this many logs are synced one by one, more of them together. */
  readonly filesSyncedAlone: number
  /** Where more files than this are dirty, what frames have is held back from them. */
  readonly filesWrittenAtOnce: number
}

/** So many checkpoints (128 MiB) later commits wait for one: the rest of the 256 MiB is what the last commit may add. */
const commitsWaitAfter = 4 / 3
/** Commits wait for it too when so many times what is due is live: a little less than the three quarters at which the ring is emptied. */
const ringIsFullAt = 1.9
/** Size of the ring for what is due: where all logs were begun at once, up to twice that is live in the first of their turns. */
export const ringBytesPerDue = 8 / 3
/** Where bytes are held, a checkpoint covers more than what has come since the last one: else the ring would run full. */
const coversMore = 4 / 3

export class CheckpointProgress {
  readonly #pace: CheckpointPace
  readonly #held: HeldWrites
  readonly #journal: Pick<CommitJournal, 'allow' | 'liveBytes'>
  /** Appended, and covered by no checkpoint that has begun. */
  #appendedBytes = 0
  /** What the running one is to cover. */
  #coveringBytes = 0
  /** Appended since the newest one began. */
  #bytesSince = 0
  /** The most that was due at a time since one ended: so much there may be, though less is held by now and less would be due. */
  #mostBytesDue = 0

  constructor(pace: CheckpointPace, held: HeldWrites, journal: Pick<CommitJournal, 'allow' | 'liveBytes'>) {
    this.#pace = pace
    this.#held = held
    this.#journal = journal
  }

  /** Bytes above the recovery points. */
  get unscannedBytes(): number {
    return this.#appendedBytes + this.#coveringBytes
  }

  /** There is so much to scan, or in the ring, that commits wait for a checkpoint. */
  get isTooMuch(): boolean {
    const mostBytes = Math.max(this.#mostBytesDue, this.#ringBytesDue)
    if (this.unscannedBytes > mostBytes + this.#pace.everyBytes * commitsWaitAfter) return true
    return this.#held.size > 0 && this.#journal.liveBytes > mostBytes * ringIsFullAt
  }

  get isDue(): boolean {
    const { everyBytes } = this.#pace
    // Of what is in the files already the ring tells nothing.
    if (this.#appendedBytes - this.#held.bytes >= everyBytes) return true
    if (this.#held.size === 0) return false
    return (
      this.isTooMuch || (this.#bytesSince * coversMore >= everyBytes && this.#journal.liveBytes >= this.#ringBytesDue)
    )
  }

  /** So much more is committed. The ring is given room for what is due. */
  append(bytes: number): void {
    this.#appendedBytes += bytes
    this.#bytesSince += bytes
    const dueBytes = this.#ringBytesDue
    this.#mostBytesDue = Math.max(this.#mostBytesDue, dueBytes)
    if (dueBytes > this.#pace.everyBytes) this.#journal.allow(dueBytes * ringBytesPerDue)
  }

  /**
   * A checkpoint begins. Of the logs that are held it covers those whose files, of these in their order, come first, or all of them when
   * it is whole; `leavesSome`: the others stay held.
   */
  begin(
    dirty: Iterable<string>,
    isWhole: boolean,
  ): { readonly released: ReadonlySet<UnifiedLog>; readonly leavesSome: boolean } {
    const first = this.#held.firstOf(dirty, isWhole ? Number.POSITIVE_INFINITY : this.#pace.everyBytes)
    const staysBytes = this.#held.bytes - first.bytes
    this.#coveringBytes = Math.max(0, this.#appendedBytes - staysBytes)
    this.#appendedBytes -= this.#coveringBytes
    this.#bytesSince = 0
    return { released: first.logs, leavesSome: staysBytes > 0 }
  }

  end(): void {
    this.#coveringBytes = 0
    this.#mostBytesDue = this.#ringBytesDue
  }

  /** With so much in the ring that a replay needs, each of its logs has come to something. */
  get #ringBytesDue(): number {
    const { everyBytes, heldBytesPerLog, heldBytesMax } = this.#pace
    return Math.max(everyBytes, Math.min(heldBytesMax, this.#held.size * heldBytesPerLog))
  }
}
