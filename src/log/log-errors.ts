import { defineErrors } from '../base/errors.ts'

/** Why a data directory cannot be opened or used. */
export const logErrors = defineErrors({
  directoryLocked: {
    code: 'DATA_DIRECTORY_LOCKED',
    sentence: 'The data directory {path} is in use by process {holder}.',
    remedy: 'Stop the other Headwater or Apache Kafka, or give this one a directory of its own.',
    retriable: false,
  },
  directoryUnusable: {
    code: 'DATA_DIRECTORY_UNUSABLE',
    sentence: 'The data directory {path} cannot be used: {reason}.',
    remedy: 'Create the directory on a writable file system and give it to the user that Headwater runs as.',
    retriable: false,
  },
  filesRefused: {
    code: 'DATA_FILES_REFUSED',
    sentence: 'Files or folders of the data directory cannot be written to ({files}, the first is {path}: {reason}).',
    remedy:
      'Give the whole directory to the user that Headwater runs as (chown -R, chmod -R u+rwX); chattr -i takes an immutable flag away.',
    retriable: false,
  },
  otherCluster: {
    code: 'DATA_DIRECTORY_OF_OTHER_CLUSTER',
    sentence: 'The data directory {path} belongs to cluster {found}, not to {expected}.',
    remedy: 'Point dataDir at the directory of this cluster, or keep log/ and state/ of one directory together.',
    retriable: false,
  },
  otherNode: {
    code: 'DATA_DIRECTORY_OF_OTHER_NODE',
    sentence: 'The data directory {path} belongs to node {found}, not to node {expected}.',
    remedy: 'Set node.id to {found}, or point dataDir at the directory of this node.',
    retriable: false,
  },
  mixedDirectories: {
    code: 'DATA_DIRECTORY_MIXED',
    sentence: 'The log in {path} is of directory {found}, but {state} is of directory {expected}.',
    remedy:
      'Put log/ and state/ of one directory together. To take over a log of Apache Kafka, begin with an empty state/.',
    retriable: false,
  },
  newerFormat: {
    code: 'DATA_DIRECTORY_OF_NEWER_FORMAT',
    sentence: 'The data directory {path} has format version {found}; this Headwater reads version 1.',
    remedy: 'Start the newer release that wrote it.',
    retriable: false,
  },
  topicIdDiffers: {
    code: 'LOG_OF_OTHER_TOPIC',
    sentence: 'The log {log} on disk belongs to topic id {found}, not to {expected}.',
    remedy: 'Delete the log that was left by the earlier topic of this name.',
    retriable: false,
  },
  directoryFailed: {
    code: 'KAFKA_STORAGE_ERROR',
    sentence: 'The data directory does not take writes any more: {reason}.',
    remedy: 'Check the disk and restart: what was not acknowledged may be gone.',
    retriable: true,
  },
  directoryFull: {
    code: 'DATA_DIRECTORY_FULL',
    sentence: 'The data directory takes no other log now: {reason}.',
    remedy:
      'Make room on the file system, or give the daemon back what it may not write to; it goes on by itself then.',
    retriable: true,
  },
  directoryClosed: {
    code: 'DATA_DIRECTORY_CLOSED',
    sentence: 'The data directory has been closed.',
    remedy: 'Start the daemon again.',
    retriable: true,
  },
})
