/** Why a private authority cannot do what it is asked. */
import { defineErrors } from '../../base/errors.ts'

export const caErrors = defineErrors({
  missing: {
    code: 'CA_MISSING',
    sentence: 'there is no authority in {folder}',
    remedy: 'Make one with `headwater cert init --dir FOLDER`, or name the folder of one with --dir.',
    retriable: false,
  },
  exists: {
    code: 'CA_EXISTS',
    sentence: 'there is an authority in {folder} already',
    remedy:
      'Go on with it, or name another folder: a second authority in its place would make all its certificates worthless.',
    retriable: false,
  },
  busy: {
    code: 'CA_BUSY',
    sentence: '{file} is there: another command works on the authority, or one was cut off',
    remedy: 'Wait for the other command; when there is none, remove the file.',
    retriable: true,
  },
  broken: {
    code: 'CA_BROKEN',
    sentence: '{file} cannot be used: {reason}',
    remedy: 'Put the file back from a backup; the folder of an authority belongs into one.',
    retriable: false,
  },
  nameInvalid: {
    code: 'CA_NAME_INVALID',
    sentence: '{name}: {reason}',
    remedy: 'See `headwater cert issue --help`.',
    retriable: false,
  },
  nameTaken: {
    code: 'CA_NAME_TAKEN',
    sentence: 'there is a certificate for {name} that is good until {notAfter}',
    remedy: 'Use `headwater cert renew`, or revoke it first.',
    retriable: false,
  },
  unknown: {
    code: 'CA_UNKNOWN',
    sentence: 'the authority has made no certificate {name} that is {state}',
    remedy: 'See `headwater cert list`.',
    retriable: false,
  },
  tooLong: {
    code: 'CA_TOO_LONG',
    sentence: 'a certificate of {days} days would outlive its authority, which ends at {notAfter}',
    remedy: 'Give fewer --days, or make a new authority in another folder and change over.',
    retriable: false,
  },
})
