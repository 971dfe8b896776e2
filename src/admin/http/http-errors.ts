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
  unauthorized: {
    code: 'HTTP_UNAUTHORIZED',
    sentence: 'this path is for those who say who they are, and the request does not, or not rightly',
    remedy: 'Send user and password (Basic), a token (Bearer, `headwater token create`), or the cookie of a session.',
    retriable: false,
  },
  forbidden: {
    code: 'HTTP_FORBIDDEN',
    sentence: '{principal} may not do this',
    remedy:
      'Give it the right: `headwater role grant viewer NAME` to see, `admin` to administer; a token has its role at most.',
    retriable: false,
  },
  plainText: {
    code: 'HTTP_PLAIN_TEXT',
    sentence: 'credentials came in plain text from another host, and are not looked at',
    remedy: 'Give listeners.http a tls section; whoever listened on the way knows these credentials now: change them.',
    retriable: false,
  },
  crossSite: {
    code: 'HTTP_CROSS_SITE',
    sentence: 'a change was asked for by a page of another origin, or without the header x-headwater-request',
    remedy: 'Send the request from a page of this listener with that header, or from a program without Origin.',
    retriable: false,
  },
  hostUnknown: {
    code: 'HTTP_HOST_UNKNOWN',
    sentence: '{host} is no name of this listener',
    remedy: 'Use its address, or add the name to listeners.http.hosts.',
    retriable: false,
  },
  busy: {
    code: 'HTTP_BUSY',
    sentence: 'too many passwords wait to be checked',
    remedy: 'Ask again in a second.',
    retriable: true,
  },
  failed: {
    code: 'HTTP_FAILED',
    sentence: 'the answer could not be made: {detail}',
    remedy: 'The log has an http-request-failed event with the cause.',
    retriable: true,
  },
})
