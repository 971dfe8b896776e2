/** What is said of the listeners at a start: who may come in, now that it is known which users there are. */
import { ApplianceError } from './base/errors.ts'
import type { Observer } from './base/ports.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { ApplianceConfig } from './config.ts'
import { needsUsers, unprotectedListeners } from './config-safety.ts'
import { securityErrors } from './security/security-errors.ts'
import { securityEvents } from './security/security-events.ts'

/** The configuration has refused what is unprotected, unless it was told not to. Throws SECURITY_NO_USERS. */
export function judgeListeners(
  { listeners }: Pick<ApplianceConfig, 'listeners'>,
  cluster: Cluster,
  observer: Observer,
): void {
  const { credentials } = cluster.image
  if (!listeners.dangerouslyAllowUnprotected && needsUsers(listeners) && credentials.size === 0) {
    throw new ApplianceError(securityErrors.noUsers)
  }
  for (const { path, reason } of unprotectedListeners(listeners)) {
    observer.event(securityEvents.listenerUnprotected, { listener: path.join('.'), reason })
  }
}
