/** Errors of the way to Apache Kafka. */
import { defineErrors } from './base/errors.ts'

/** Why a directory is not handed to Apache Kafka: it would lose data there, or stop Kafka. */
export const exportErrors = defineErrors({
  held: {
    code: 'EXPORT_UNCONFIRMED',
    sentence:
      'The topics of {path} may lack their settings ({reason}): Apache Kafka would delete by those that are left.',
    remedy: 'Start Headwater, give the topics their settings again, `headwater recover confirm`, then export.',
    retriable: false,
  },
  damaged: {
    code: 'EXPORT_DAMAGED',
    sentence: '{path} is damaged in {logs}: a consumer of Apache Kafka stops there for good.',
    remedy:
      '`headwater log verify` tells where. Delete those topics, or wait until retention has passed the damage; or export with --allow-damage.',
    retriable: false,
  },
  foreign: {
    code: 'EXPORT_FOREIGN_FOLDERS',
    sentence: '{path} has folders that are no logs: {names}. Apache Kafka does not start beside them.',
    remedy: 'Move them out of the directory; of lost+found, put the data directory into a folder of the file system.',
    retriable: false,
  },
})
