/** Why security keeps the appliance from starting. */
import { defineErrors } from '../base/errors.ts'

export const securityErrors = defineErrors({
  tlsUnusable: {
    code: 'TLS_UNUSABLE',
    sentence: 'the listener {listener} cannot serve TLS: {reason}',
    remedy: 'Correct the PEM files that its tls section names; docs/security.md shows how to make and check them.',
    retriable: false,
  },
})
