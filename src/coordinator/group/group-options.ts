/** Settings of the group coordinator, under Kafka's meanings; `config.ts` and the broker configs fill them. */
export interface GroupOptions {
  /** group.initial.rebalance.delay.ms: how long a new group waits for more members. */
  readonly initialRebalanceDelayMs: number
  /** group.min.session.timeout.ms. */
  readonly sessionTimeoutMsMin: number
  /** group.max.session.timeout.ms. */
  readonly sessionTimeoutMsMax: number
  /** group.max.size: members of one group. */
  readonly groupSizeMax: number
  /** Groups in one partition of the offsets topic that are known at a time: a bound on memory, not a Kafka setting. */
  readonly groupsMax: number
  /** offsets.retention.minutes, in milliseconds. */
  readonly offsetsRetentionMs: number
  /** offsets.retention.check.interval.ms. */
  readonly offsetsRetentionCheckMs: number
  /** offset.metadata.max.bytes: characters of the text that goes with an offset, as Kafka counts it. */
  readonly offsetMetadataLengthMax: number
}

/**
 * Kafka's defaults, but for two bounds of a small host: 1,000 members a group (Kafka: no limit), each of which may hold a
 * subscription and an assignment of some KB; 10,000 groups in each partition of the offsets topic.
 */
export const groupOptionDefaults: GroupOptions = {
  initialRebalanceDelayMs: 3_000,
  sessionTimeoutMsMin: 6_000,
  sessionTimeoutMsMax: 1_800_000,
  groupSizeMax: 1_000,
  groupsMax: 10_000,
  offsetsRetentionMs: 10_080 * 60_000,
  offsetsRetentionCheckMs: 600_000,
  offsetMetadataLengthMax: 4_096,
}

/** How long a member that is new, and therefore cannot heartbeat, may wait in the join phase. Kafka's constant. */
export const newMemberJoinTimeoutMs = 5 * 60_000

/** The options as Kafka's broker settings say them. */
export function groupOptionsOf(settings: { number(name: string): number }): GroupOptions {
  return {
    ...groupOptionDefaults,
    initialRebalanceDelayMs: settings.number('group.initial.rebalance.delay.ms'),
    sessionTimeoutMsMin: settings.number('group.min.session.timeout.ms'),
    sessionTimeoutMsMax: settings.number('group.max.session.timeout.ms'),
    groupSizeMax: settings.number('group.max.size'),
    offsetsRetentionMs: settings.number('offsets.retention.minutes') * 60_000,
    offsetsRetentionCheckMs: settings.number('offsets.retention.check.interval.ms'),
    offsetMetadataLengthMax: settings.number('offset.metadata.max.bytes'),
  }
}
