import { defineEvents } from '../base/event-def.ts'

/** What a mirror says in the log. */
export const mirrorEvents = defineEvents({
  anchorsUnreadable: {
    id: 'mirror-anchors-unreadable',
    level: 'error',
    sentence: 'no mirror runs: the topic __headwater_mirror cannot be read ({reason})',
    fields: { reason: 'string' },
  },
  linkUp: {
    id: 'mirror-link-up',
    level: 'info',
    sentence: 'mirror {mirror}: connected through {address}, {partitions} partitions',
    fields: { mirror: 'string', address: 'string', partitions: 'number' },
  },
  linkDown: {
    id: 'mirror-link-down',
    level: 'warn',
    sentence: 'mirror {mirror}: the central cluster cannot be reached ({reason}); trying again in {waitMs} ms',
    fields: { mirror: 'string', reason: 'string', waitMs: 'number' },
  },
  brokerLost: {
    id: 'mirror-broker-lost',
    level: 'warn',
    sentence: 'mirror {mirror}: the connection to {address} ended ({reason}) with {partitions} partitions on it',
    fields: { mirror: 'string', address: 'string', reason: 'string', partitions: 'number' },
  },
  topicCreated: {
    id: 'mirror-topic-created',
    level: 'info',
    sentence: 'mirror {mirror}: created {topic} with {partitions} partitions at the central cluster',
    fields: { mirror: 'string', topic: 'string', partitions: 'number' },
  },
  topicGrown: {
    id: 'mirror-topic-grown',
    level: 'info',
    sentence: 'mirror {mirror}: {topic} now has {partitions} partitions at the central cluster',
    fields: { mirror: 'string', topic: 'string', partitions: 'number' },
  },
  topicNotMirrored: {
    id: 'mirror-topic-not-mirrored',
    level: 'warn',
    sentence: 'mirror {mirror}: {topic} is not mirrored: {reason}',
    fields: { mirror: 'string', topic: 'string', reason: 'string' },
  },
  anchored: {
    id: 'mirror-anchored',
    level: 'info',
    sentence:
      'mirror {mirror}: {topic}-{partition} begins producer {producerId} epoch {epoch} at offset {offset} ({why})',
    fields: {
      mirror: 'string',
      topic: 'string',
      partition: 'number',
      producerId: 'number',
      epoch: 'number',
      offset: 'number',
      why: 'string',
    },
  },
  resumed: {
    id: 'mirror-resumed',
    level: 'debug',
    sentence: 'mirror {mirror}: {topic}-{partition} goes on from offset {offset} (proof: {proof})',
    fields: { mirror: 'string', topic: 'string', partition: 'number', offset: 'number', proof: 'string' },
  },
  resumeUnproven: {
    id: 'mirror-resume-unproven',
    level: 'error',
    sentence:
      'mirror {mirror}: {topic}-{partition} goes on from offset {offset}, which could not be proven: records may arrive twice',
    fields: { mirror: 'string', topic: 'string', partition: 'number', offset: 'number' },
  },
  targetRecreated: {
    id: 'mirror-target-recreated',
    level: 'error',
    sentence:
      'mirror {mirror}: the target of {topic}-{partition} is not the topic it was ({oldTopicId}, now {newTopicId}): mirroring starts over',
    fields: { mirror: 'string', topic: 'string', partition: 'number', oldTopicId: 'string', newTopicId: 'string' },
  },
  anchorsDamaged: {
    id: 'mirror-anchors-damaged',
    level: 'error',
    sentence:
      'offsets {fromOffset} to {endOffset} (exclusive) of __headwater_mirror are damaged: partitions whose last anchor lay there find their place with an older one or begin anew',
    fields: { fromOffset: 'number', endOffset: 'number' },
  },
  recordsLost: {
    id: 'mirror-records-lost',
    level: 'error',
    sentence:
      'mirror {mirror}: offsets {fromOffset} to {endOffset} (exclusive) of {topic}-{partition} were deleted or damaged here before they were mirrored',
    fields: { mirror: 'string', topic: 'string', partition: 'number', fromOffset: 'number', endOffset: 'number' },
  },
  sourceBehind: {
    id: 'mirror-source-behind',
    level: 'error',
    sentence:
      'mirror {mirror}: the log of {topic}-{partition} has lost its tail: it ends at {endOffset}, the target holds offsets up to {targetOffset} (exclusive); sending begins anew at {startOffset}, where they part',
    fields: {
      mirror: 'string',
      topic: 'string',
      partition: 'number',
      targetOffset: 'number',
      endOffset: 'number',
      startOffset: 'number',
    },
  },
  targetTruncated: {
    id: 'mirror-target-truncated',
    level: 'error',
    sentence:
      'mirror {mirror}: the target of {topic}-{partition} went back from offset {expectedOffset} to {targetOffset}: it lost records it had confirmed',
    fields: {
      mirror: 'string',
      topic: 'string',
      partition: 'number',
      expectedOffset: 'number',
      targetOffset: 'number',
    },
  },
  partitionBackingOff: {
    id: 'mirror-partition-backing-off',
    level: 'info',
    sentence: 'mirror {mirror}: {topic}-{partition} waits {waitMs} ms: {reason}',
    fields: { mirror: 'string', topic: 'string', partition: 'number', waitMs: 'number', reason: 'string' },
  },
  partitionParked: {
    id: 'mirror-partition-parked',
    level: 'error',
    sentence: 'mirror {mirror}: {topic}-{partition} is parked: {reason}',
    fields: { mirror: 'string', topic: 'string', partition: 'number', reason: 'string' },
  },
})
