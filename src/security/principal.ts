/** Who is at the other end of a connection: `User:` and a name, as Kafka writes principals. */
import type { PeerFacts } from '../base/ports.ts'
import { subjectOf } from './distinguished-name.ts'
import { mapPrincipal, type PrincipalMapping, parsePrincipalMapping } from './principal-mapping.ts'

/** Who has shown nothing. */
export const anonymousPrincipal = 'User:ANONYMOUS'

/** The principal of a user's name. */
export function userPrincipal(name: string): string {
  return `User:${name}`
}

/** The name of a principal, by which quotas know it. */
export function userOf(principal: string): string {
  return principal.slice(principal.indexOf(':') + 1)
}

/** How certificates are named; throws on a setting that the configuration has not judged. */
export function certificateNaming(rules: string): PrincipalMapping {
  const mapping = parsePrincipalMapping(rules)
  if (typeof mapping === 'string') throw new Error(mapping)
  return mapping
}

/** The principal of a client's certificate, or anonymous; null when no rule of the mapping fits the certificate. */
export function principalOfPeer(peer: Pick<PeerFacts, 'certificate'>, mapping: PrincipalMapping): string | null {
  if (peer.certificate === null) return anonymousPrincipal
  const name = mapPrincipal(mapping, subjectOf(peer.certificate))
  return name === null ? null : userPrincipal(name)
}
