/** Who may append while space is short: this node's own records as long as the journal takes them, users' data not at all. */
import type { AppendEntry, AppendOutcome } from './append.ts'

/** What has been appended and waits for space, beyond which this node's own records are refused too. */
const waitingBytesMax = 1_048_576

const notAttempted: AppendOutcome = {
  kind: 'refused',
  error: 'OPERATION_NOT_ATTEMPTED',
  message: 'another batch of the set was refused',
}

/** What stands in the way of an append. */
export interface Gate {
  /** Nothing is written any more; null = the directory is open and well. */
  readonly closed: string | null
  /** Why new data is refused for want of space; null = it is not. */
  readonly refusal: string | null
  /** This node's own records have no room left either. */
  readonly isExhausted: boolean
  /** Appended and not yet handed to the disk. */
  readonly waitingBytes: number
}

/** The answers of a set when one of its batches is refused; null = it may be appended. */
export function refuseSet(entries: readonly AppendEntry[], gate: Gate): readonly AppendOutcome[] | null {
  if (gate.closed === null && (gate.refusal === null || !entries.some((entry) => isShort(entry, gate)))) return null
  const refused = storageRefusal(gate.closed ?? gate.refusal ?? '')
  return entries.map((entry) => (gate.closed !== null || isShort(entry, gate) ? refused : notAttempted))
}

/** Lets each batch through for itself. */
export function passEach(
  entries: readonly AppendEntry[],
  gate: Gate,
  append: (entries: readonly AppendEntry[]) => readonly AppendOutcome[],
): readonly AppendOutcome[] {
  if (gate.closed === null && gate.refusal === null) return append(entries)
  return entries.flatMap((entry) => refuseSet([entry], gate) ?? append([entry]))
}

/** Topics of Kafka's own and of ours are appended to while little waits; at the end of all room those without which there is no way out. */
function isShort({ log }: AppendEntry, gate: Gate): boolean {
  if (!log.topic.startsWith('__') || gate.waitingBytes > waitingBytesMax) return true
  return gate.isExhausted && !wayOut.has(log.topic)
}

/** A topic is deleted, a setting changed; a loss is told before it happens. */
const wayOut: ReadonlySet<string> = new Set(['__cluster_metadata', '__headwater_loss_ledger'])

/** KAFKA_STORAGE_ERROR: Kafka's clients try it again. */
function storageRefusal(message: string): AppendOutcome {
  return { kind: 'refused', error: 'KAFKA_STORAGE_ERROR', message }
}
