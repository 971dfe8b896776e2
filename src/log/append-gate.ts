/** Who may append while space is short: this node's own records as long as the journal takes them, users' data not at all. */
import type { AppendEntry, AppendOutcome } from './append.ts'

/** What has been appended and waits for space, beyond which this node's own records are refused too. */
const waitingBytesMax = 1_048_576

const notAttempted: AppendOutcome = {
  kind: 'refused',
  error: 'OPERATION_NOT_ATTEMPTED',
  message: 'another batch of the set was refused',
}

/** KAFKA_STORAGE_ERROR: Kafka's clients try it again. */
export function storageRefusal(message: string): AppendOutcome {
  return { kind: 'refused', error: 'KAFKA_STORAGE_ERROR', message }
}

/** Would this append be refused for `refusal` (why new data is)? `waitingBytes`: appended and not yet handed to the disk. */
export function isRefused(entry: AppendEntry, waitingBytes: number): boolean {
  // Topics of Kafka's own and of ours.
  return !entry.log.topic.startsWith('__') || waitingBytes > waitingBytesMax
}

/** The answers of a set when one of its batches is refused; null = it may be appended. */
export function refuseSet(
  entries: readonly AppendEntry[],
  refusal: string,
  waitingBytes: number,
): readonly AppendOutcome[] | null {
  if (!entries.some((entry) => isRefused(entry, waitingBytes))) return null
  const refused = storageRefusal(refusal)
  return entries.map((entry) => (isRefused(entry, waitingBytes) ? refused : notAttempted))
}
