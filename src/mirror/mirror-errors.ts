import { defineErrors } from '../base/errors.ts'

/** Failures of a mirror that its builder or its operator sees. */
export const mirrorErrors = defineErrors({
  patternInvalid: {
    code: 'MIRROR_PATTERN_INVALID',
    sentence: 'mirror {mirror}: the topic pattern "{pattern}" cannot be used: {why}',
    remedy: 'Write a regular expression of up to 512 characters; it is anchored at both ends.',
    retriable: false,
  },
  templateInvalid: {
    code: 'MIRROR_TEMPLATE_INVALID',
    sentence: 'mirror {mirror}: the target topic template "{template}" cannot be used',
    remedy: 'Use `{topic}` exactly once, and of other places only `{site}` and `{node}`.',
    retriable: false,
  },
  anchorUnreadable: {
    code: 'MIRROR_ANCHOR_UNREADABLE',
    sentence: 'a record of __headwater_mirror at offset {offset} cannot be read: {why}',
    remedy: 'The topic was written by a newer version, or by hand: start the version that wrote it.',
    retriable: false,
  },
  anchorUnwritable: {
    code: 'MIRROR_ANCHOR_UNWRITABLE',
    sentence: 'the place of a mirrored partition cannot be written to __headwater_mirror: {error}',
    remedy: 'See what is wrong with the data directory; the mirror goes on by itself when it can be written again.',
    retriable: true,
  },
})
