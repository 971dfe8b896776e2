import { defineErrors } from '../base/errors.ts'

/** What the broker cannot go on without. */
export const adminErrors = defineErrors({
  internalTopicMissing: {
    code: 'INTERNAL_TOPIC_MISSING',
    sentence: 'The internal topic {topic} cannot be created: {reason}.',
    remedy: 'Look at the disk that holds the data directory and at the number of partitions of this node.',
    retriable: true,
  },
})
