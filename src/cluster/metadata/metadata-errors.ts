import { defineErrors } from '../../base/errors.ts'

/** What can be wrong with the metadata log. */
export const metadataErrors = defineErrors({
  metadataUnreadable: {
    code: 'METADATA_UNREADABLE',
    sentence: 'the metadata log cannot be read at offset {offset}: {reason}',
    remedy:
      'Restore the data directory from a copy, or start with an empty one; the topics’ own files are not changed.',
    retriable: false,
  },
  metadataNotWritten: {
    code: 'METADATA_NOT_WRITTEN',
    sentence: 'the change could not be written to the metadata log: {reason}',
    remedy: 'Look at the disk that holds the data directory; nothing has been changed.',
    retriable: true,
  },
})

/** What can be wrong with the `kafka:` section. */
export const brokerConfigErrors = defineErrors({
  brokerSettingInvalid: {
    code: 'BROKER_SETTING_INVALID',
    sentence: 'kafka.{name}: {reason}',
    remedy: 'Correct the setting in the kafka section; docs/configuration.md lists what is served.',
    retriable: false,
  },
})
