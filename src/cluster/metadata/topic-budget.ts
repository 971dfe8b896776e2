/**
 * What partitions cost before a record is in them, and what the node has for them. A topic that does not fit is refused when it is asked
 * for, with the sum in the message: a node that runs out of it later takes all topics down with it.
 */
import { configResourceType, type MetadataImage } from './metadata-image.ts'

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

/** What partitions may fill by their settings. */
export class RetainedBytes {
  readonly #image: MetadataImage
  readonly #segmentBytes: () => number
  /** The sum of all topics, as of one state of the image. */
  #all: { readonly revision: number; readonly segmentBytes: number; readonly bytes: number } | null = null

  constructor(image: MetadataImage, segmentBytes: () => number) {
    this.#image = image
    this.#segmentBytes = segmentBytes
  }

  /** `count` partitions with an own `retention.bytes`; without one nothing is promised, and only a segment that is reserved is counted. */
  of(count: number, configs: ReadonlyMap<string, string | null>): number {
    const retentionBytes = Number(configs.get('retention.bytes') ?? -1)
    const segmentBytes = Number(configs.get('segment.bytes') ?? this.#segmentBytes())
    if (retentionBytes > 0) return count * (retentionBytes + segmentBytes)
    return configs.get('preallocate')?.toLowerCase() === 'true' ? count * segmentBytes : 0
  }

  /** All topics together: looked at once for as many questions as no record comes between. */
  ofAll(): number {
    const { revision } = this.#image
    const segmentBytes = this.#segmentBytes()
    if (this.#all?.revision === revision && this.#all.segmentBytes === segmentBytes) return this.#all.bytes
    let bytes = 0
    for (const { name, partitions } of this.#image.topics())
      bytes += this.of(partitions.length, this.#image.configs(configResourceType.topic, name))
    this.#all = { revision, segmentBytes, bytes }
    return bytes
  }
}
