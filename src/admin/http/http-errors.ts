/** Errors of the operator's HTTP listener. */
import { defineErrors } from '../../base/errors.ts'

export const httpErrors = defineErrors({
  notFound: {
    code: 'HTTP_NOT_FOUND',
    sentence: 'there is nothing at {path}',
    remedy: 'Use one of the paths that `/` lists.',
    retriable: false,
  },
  methodNotAllowed: {
    code: 'HTTP_METHOD_NOT_ALLOWED',
    sentence: '{path} does not answer {method}',
    remedy: 'Use a method that the Allow header names.',
    retriable: false,
  },
  starting: {
    code: 'HTTP_STARTING',
    sentence: 'the appliance is still starting',
    remedy: 'Ask again; /health/ready tells when it serves.',
    retriable: true,
  },
  malformed: {
    code: 'HTTP_MALFORMED',
    sentence: 'the request could not be understood: {detail}',
    remedy: 'Send a well-formed HTTP/1.1 request.',
    retriable: false,
  },
  failed: {
    code: 'HTTP_FAILED',
    sentence: 'the answer could not be made: {detail}',
    remedy: 'The log has an http-request-failed event with the cause.',
    retriable: true,
  },
})
