/** Metrics of the group coordinator; the names in brackets are Kafka's for the same figure. */
import { defineMetrics } from '../../base/metric-def.ts'

export const groupMetrics = defineMetrics({
  damagedOffsets: {
    name: 'headwater_group_damaged_offsets_total',
    kind: 'counter',
    help: 'Offsets of __consumer_offsets that a start passed over because they are damaged.',
    labels: [],
  },
  groups: {
    name: 'headwater_groups',
    kind: 'gauge',
    help: 'Consumer groups that the coordinator knows, by state (NumGroups...).',
    labels: ['state'],
  },
  offsets: {
    name: 'headwater_group_offsets',
    kind: 'gauge',
    help: 'Committed offsets of all groups (NumOffsets).',
    labels: [],
  },
  commits: {
    name: 'headwater_group_offset_commits_total',
    kind: 'counter',
    help: 'Offsets committed (OffsetCommitCount).',
    labels: [],
  },
  expirations: {
    name: 'headwater_group_offset_expirations_total',
    kind: 'counter',
    help: 'Offsets that have expired (OffsetExpirationCount).',
    labels: [],
  },
  rebalances: {
    name: 'headwater_group_rebalances_total',
    kind: 'counter',
    help: 'Rebalances that ended in a stable group (GroupCompletedRebalanceCount).',
    labels: [],
  },
  membersRemoved: {
    name: 'headwater_group_members_removed_total',
    kind: 'counter',
    help: 'Members that were removed because they did not report or did not come back.',
    labels: [],
  },
})
