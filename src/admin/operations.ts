/**
 * The operator's view of a running appliance. The surfaces (HTTP, CLI, and later the web UI) see nothing else of it: `createAppliance`
 * fills this type, `main.ts` hands it to `admin/`, the simulator drives it itself. Every call is synchronous and cheap, reads
 * state that exists anyway, and may be made at any time between start and end.
 */

/** Where the appliance is in its life. */
export type AppliancePhase = 'starting' | 'recovering' | 'serving' | 'draining' | 'stopped' | 'failed'

export interface ListenerStatus {
  /** `kafka`, `mqtt` or `http`. */
  readonly protocol: string
  readonly host: string
  readonly port: number
  /** File of a Unix socket: host and port say nothing then. */
  readonly path: string | null
  /** `HOST:PORT` told to clients, null when each is told the address its own connection came in on. */
  readonly advertised: string | null
  /** Open connections now: of an MQTT listener its own, of a Kafka listener those of all. */
  readonly connections: number
}

export interface RecoveryStatus {
  /** Did the previous run end with a clean marker? */
  readonly wasClean: boolean
  /** Was the data directory formatted by this start? */
  readonly isNew: boolean
  readonly recoveryMs: number
}

export interface DiskStatus {
  /** Sum of all logs. */
  readonly logBytes: number
  /** Of the file system that holds the data directory, as last measured; null before the first measurement. */
  readonly freeBytes: number | null
  readonly totalBytes: number | null
}

export interface DamageStatus {
  /** Ranges of stored bytes that are damaged and not served, as far as they have been met. */
  readonly ranges: number
  /** The logs (`topic-partition`) that they are in. */
  readonly logs: readonly string[]
}

export interface WriteFigures {
  readonly bytes: number
  /** The same in whole pages of 4 KiB, as flash is programmed. */
  readonly pageBytes: number
  readonly syncs: number
}

/** What has been written since the start; what the file system adds of its own is not in it. */
export interface WritesStatus extends WriteFigures {
  readonly causes: readonly (WriteFigures & { readonly cause: string })[]
  /** Those that write most, by the files of their logs; the journal is not parted. */
  readonly topics: readonly (WriteFigures & { readonly topic: string })[]
  /** `pageBytes` for each committed byte; null before the first. */
  readonly amplification: number | null
  /** At the rate since the start; null in its first minutes. */
  readonly pageBytesPerDay: number | null
  /** Until the rated writes are used up at that rate; null = not known. */
  readonly lifetimeDays: number | null
}

export interface CommitStatus {
  /** Group commits since the start. */
  readonly commits: number
  /** Of which the commit journal carried. */
  readonly journalCommits: number
  /** Bytes made durable since the start. */
  readonly committedBytes: number
  /** Appended and not yet durable. */
  readonly pendingBytes: number
}

export interface MirrorPartitionStatus {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  /** First offset that the target has not confirmed. */
  readonly mirroredEndOffset: number
  /** First offset that is not yet durable here: the end of what may be mirrored. */
  readonly durableEndOffset: number
  readonly lagRecords: number
}

export interface MirrorStatus {
  readonly name: string
  readonly bootstrapServers: readonly string[]
  readonly state: 'connecting' | 'running' | 'backingOff' | 'stopped' | 'failed'
  readonly lagRecords: number
  /** Records confirmed by the target since the start. */
  readonly mirroredRecords: number
  readonly mirroredBytes: number
  /** The newest failure in words, null when the mirror runs well. */
  readonly lastError: string | null
  /** Wall time of the newest failure, null when there was none. */
  readonly lastErrorMs: number | null
  readonly partitions: readonly MirrorPartitionStatus[]
}

export interface ApplianceStatus {
  readonly phase: AppliancePhase
  readonly version: string
  readonly nodeId: number
  readonly site: string
  readonly clusterId: string
  readonly directoryId: string
  /** As configured. */
  readonly dataDir: string
  readonly uptimeMs: number
  readonly listeners: readonly ListenerStatus[]
  readonly recovery: RecoveryStatus
  readonly disk: DiskStatus
  /** False while the host's clock is known to be wrong. */
  readonly clockTrusted: boolean
  /** Why nothing is deleted or compacted until `headwater recover confirm`; null = all is well. */
  readonly held: string | null
  readonly damage: DamageStatus
  readonly writes: WritesStatus
  readonly topics: number
  readonly partitions: number
  readonly groups: number
  /** Connected MQTT clients. */
  readonly mqttSessions: number
  readonly commit: CommitStatus
  readonly mirrors: readonly MirrorStatus[]
}

export interface HealthReport {
  /** False = restart me: the loop or the writer makes no progress, or the data directory has failed. */
  readonly live: boolean
  /** False = send me no clients now: recovering, draining, or not live. */
  readonly ready: boolean
  /** One sentence for each reason of a false answer; empty when both are true. */
  readonly reasons: readonly string[]
}

/** What `createAppliance` returns besides the means to start and stop it. */
export interface Operations {
  status(): ApplianceStatus
  health(): HealthReport
  mirrorStatus(): readonly MirrorStatus[]
  /** Sets the gauges that nobody keeps up to date between two scrapes (sizes, lags, ages) through the observer. Called before each. */
  refreshGauges(): void
}
