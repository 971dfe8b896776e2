/**
 * What partitions cost before a record is in them, and what the node has for them. A topic that does not fit is refused when it is asked
 * for, with the sum in the message: a node that runs out of it later takes all topics down with it.
 */

export interface NodeBudget {
  /** Files that the process may keep open for logs. */
  readonly descriptors: number
  /** Memory that the books of partitions may take. */
  readonly memoryBytes: number
  /** Most bytes of the data directory; null = not known yet. */
  readonly diskBytes: number | null
}

export interface BudgetQuestion {
  /** Partitions that there are, and that are asked for. */
  readonly partitionsBefore: number
  readonly partitionsMore: number
  /** Bytes that topics with `retention.bytes` may fill, without and with the one asked for. */
  readonly retainedBytesBefore: number
  readonly retainedBytesMore: number
}

/** Books, index entries in memory, a reader's and a mirror's place: an estimate on the safe side, not a measurement. */
export const partitionMemoryBytes = 16_384
/** Files of the node itself: journal, checkpoints, sealed segments that are being finished. */
const descriptorsReserved = 16
/** Files are opened again when they are needed: more partitions than this to one open file would do little else. */
const partitionsOfFile = 4

/** Why it does not fit, in words with the sum; null = it does. */
export function budgetFault(question: BudgetQuestion, budget: NodeBudget): string | null {
  const { partitionsBefore, partitionsMore, retainedBytesBefore, retainedBytesMore } = question
  const partitions = partitionsBefore + partitionsMore
  const counted = `${partitionsBefore} partitions and ${partitionsMore} more`
  const files = Math.ceil(partitions / partitionsOfFile) + descriptorsReserved
  if (files > budget.descriptors)
    return `${counted} need ${files} open files (one for ${partitionsOfFile} of them, ${descriptorsReserved} for the node), this node may keep ${budget.descriptors}`
  const memoryBytes = partitions * partitionMemoryBytes
  if (memoryBytes > budget.memoryBytes)
    return `${counted} need ${memoryBytes} bytes of memory (${partitionMemoryBytes} each), this node has ${budget.memoryBytes} for them`
  const bytes = retainedBytesBefore + retainedBytesMore
  if (retainedBytesMore > 0 && budget.diskBytes !== null && bytes > budget.diskBytes)
    return `its partitions may fill ${retainedBytesMore} bytes (retention.bytes and one segment each), those of other topics ${retainedBytesBefore}, together more than the ${budget.diskBytes} of disk.budget`
  return null
}
