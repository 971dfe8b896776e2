/** What a mirror is told: where to, which topics, how much at a time. The YAML shape is `config.ts`; these are plain values. */
import type { UntrustedTimestamps } from './untrusted-times.ts'
import type { ListenAddress } from '../base/ports.ts'
import type { OutboundFiles } from '../security/outbound-credentials.ts'

/** One mirror: one central cluster. */
export interface MirrorOptions {
  /** Names the mirror in status, metrics, logs, and in the key of its anchors: renaming it starts over. */
  readonly name: string
  readonly bootstrapServers: readonly ListenAddress[]
  /** Anchored regular expressions over source topic names. */
  readonly topics: readonly string[]
  /** Target topic name, with `{topic}` and perhaps `{site}`, `{node}`. */
  readonly targetTopic: string
  /** Where a partition begins that has never been mirrored, or whose target topic was deleted and created anew. */
  readonly startFrom?: 'earliest' | 'latest'
  /** What becomes of records that were received while this node did not know the time; default `restamp`. */
  readonly untrustedTimestamps?: UntrustedTimestamps
  readonly limits?: Partial<MirrorLimits>
  /** What is shown to the central cluster; null or omitted: neither TLS nor a login. */
  readonly security?: OutboundFiles | null
}

/** Bounds of one mirror, each with its unit. */
export interface MirrorLimits {
  /** Most bytes sent and not yet answered on one connection: fills 100 Mbit/s at 1 s of round trip. */
  readonly windowBytesMax: number
  /** Largest batch that merging makes; Kafka's own default of max.message.bytes is 1 MiB. */
  readonly mergedBatchBytesMax: number
  /** Batches from this size on go as they are: merging them saves no requests worth the copying. */
  readonly verbatimBytesMin: number
  /** Bytes gathered into one request over several partitions before the next request is begun. */
  readonly requestBytes: number
  /** Reads of the log under way at once on one connection; with `mergedBatchBytesMax` this bounds the memory of reading. */
  readonly readsMax: number
  /** How long a single request may stay unanswered before the connection counts as dead. */
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  /** Back-off of a failing link or partition doubles from the first to the second. */
  readonly backOffMs: number
  readonly backOffMsMax: number
  /** A parked partition is tried again this often: what parked it (a right, a limit) is healed at the target, not here. */
  readonly parkedRetryMs: number
  /** Metadata of the target is asked again at least this often while the link is up. */
  readonly metadataMaxAgeMs: number
  /** After this long without an answer the target is asked for the place of a partition before more is sent to it. */
  readonly idleMs: number
}

export const defaultMirrorLimits: MirrorLimits = {
  windowBytesMax: 12 * 1024 * 1024,
  mergedBatchBytesMax: 1024 * 1024,
  verbatimBytesMin: 256 * 1024,
  requestBytes: 1024 * 1024,
  readsMax: 4,
  requestTimeoutMs: 60_000,
  connectTimeoutMs: 10_000,
  backOffMs: 250,
  backOffMsMax: 60_000,
  parkedRetryMs: 300_000,
  metadataMaxAgeMs: 300_000,
  idleMs: 300_000,
}
