/** Why security keeps the appliance from starting. */
import { defineErrors } from '../base/errors.ts'

export const securityErrors = defineErrors({
  tlsUnusable: {
    code: 'TLS_UNUSABLE',
    sentence: 'the listener {listener} cannot serve TLS: {reason}',
    remedy: 'Correct the PEM files that its tls section names; docs/security.md shows how to make and check them.',
    retriable: false,
  },
  tokenKeysUnusable: {
    code: 'TOKEN_KEYS_UNUSABLE',
    sentence: 'the keys of sasl.oauthbearer.jwks.endpoint.url, {url}, cannot be used: {reason}',
    remedy: 'Put a JSON Web Key Set with the public keys of the issuer there; docs/security.md shows how.',
    retriable: false,
  },
  noUsers: {
    code: 'SECURITY_NO_USERS',
    sentence: 'a listener that other hosts can reach asks for a user and a password, and there is no user',
    remedy:
      'Start with listeners on 127.0.0.1 alone, run `headwater setup` (or make users with `headwater users set NAME`), then start with this configuration.',
    retriable: false,
  },
})
