/** Log events of the group coordinator. */
import { defineEvents } from '../../base/event-def.ts'

export const groupEvents = defineEvents({
  loaded: {
    id: 'group-partition-loaded',
    level: 'debug',
    sentence:
      'read partition {partition} of __consumer_offsets: {groups} groups, {offsets} offsets from {records} records in {durationMs} ms',
    fields: { partition: 'number', groups: 'number', offsets: 'number', records: 'number', durationMs: 'number' },
  },
  loadFailed: {
    id: 'group-partition-load-failed',
    level: 'error',
    sentence: 'partition {partition} of __consumer_offsets could not be read, its groups are not served: {error}',
    fields: { partition: 'number', error: 'string' },
  },
  recordsDamaged: {
    id: 'group-records-damaged',
    level: 'error',
    sentence:
      'offsets {fromOffset} to {endOffset} (exclusive) of partition {partition} of __consumer_offsets are damaged and were passed over: groups may go on from older offsets',
    fields: { partition: 'number', fromOffset: 'number', endOffset: 'number' },
  },
  recordsSkipped: {
    id: 'group-records-skipped',
    level: 'warn',
    sentence:
      'partition {partition} of __consumer_offsets holds {foreign} records of group protocols that are not served, and {unreadable} that cannot be read; they stay in the log',
    fields: { partition: 'number', foreign: 'number', unreadable: 'number' },
  },
  rebalancing: {
    id: 'group-rebalancing',
    level: 'debug',
    sentence: 'group {group} leaves generation {generation}: {reason}',
    fields: { group: 'string', generation: 'number', reason: 'string' },
  },
  stable: {
    id: 'group-stable',
    level: 'info',
    sentence: 'group {group} is stable in generation {generation} with {members} members',
    fields: { group: 'string', generation: 'number', members: 'number' },
  },
  empty: {
    id: 'group-empty',
    level: 'info',
    sentence: 'group {group} has no members after generation {generation}',
    fields: { group: 'string', generation: 'number' },
  },
  memberRemoved: {
    id: 'group-member-removed',
    level: 'info',
    sentence: 'member {member} was removed from group {group}: {reason}',
    fields: { group: 'string', member: 'string', reason: 'string' },
  },
  staticMemberReplaced: {
    id: 'group-static-member-replaced',
    level: 'info',
    sentence: 'a static member of group {group} has come back as {member}',
    fields: { group: 'string', member: 'string' },
  },
  deleted: {
    id: 'group-deleted',
    level: 'info',
    sentence: 'group {group} was deleted',
    fields: { group: 'string' },
  },
  offsetsExpired: {
    id: 'group-offsets-expired',
    level: 'info',
    sentence: '{offsets} offsets of group {group} have expired',
    fields: { group: 'string', offsets: 'number' },
  },
  writeFailed: {
    id: 'group-write-failed',
    level: 'error',
    sentence: '{records} records of groups could not be stored in partition {partition} of __consumer_offsets: {error}',
    fields: { partition: 'number', records: 'number', error: 'string' },
  },
  topicFailed: {
    id: 'group-topic-failed',
    level: 'error',
    sentence: '__consumer_offsets could not be created: {error}',
    fields: { error: 'string' },
  },
})
