/** The audit of an appliance: whether there is one, and what it hears beside what the rooms tell it themselves. */
import { type Audit, noAudit } from './base/audit-def.ts'
import type { EventDefinition, EventFields } from './base/event-def.ts'
import type { Observer, PeerFacts, Ports } from './base/ports.ts'
import { adminEvents, createdByClient } from './broker/admin-events.ts'
import { auditTopicOf } from './broker/audit-topic.ts'
import type { Broker } from './broker/broker.ts'
import type { ApplianceConfig } from './config.ts'
import { namelessListeners } from './config-safety.ts'
import { auditDirectoryOf } from './security/audit/audit-files.ts'
import { auditTypes } from './security/audit/audit-types.ts'
import { AuditTrail } from './security/audit/audit-trail.ts'
import { anonymousPrincipal } from './security/principal.ts'
import { securityEvents } from './security/security-events.ts'

/** Whose doing it is when no client is known to have asked. */
const thisNode = 'Node'
const certificateMechanism = 'TLS'

/** Do clients of some listener have names, so that something can be held against them? */
function knowsItsClients({ listeners, kafka }: ApplianceConfig): boolean {
  const { kafka: ofKafka, mqtt, http } = listeners
  const nameless = namelessListeners(listeners).length
  const hasCertificates = [...ofKafka, ...mqtt].some(({ tls }) => tls?.clientAuth === 'requested')
  return (
    (kafka.get('authorizer.class.name') ?? '') !== '' ||
    (kafka.get('super.users') ?? '') !== '' ||
    nameless < ofKafka.length + mqtt.length ||
    hasCertificates ||
    http.authentication === 'required'
  )
}

export class ApplianceAudit {
  /** Null: none is kept. */
  readonly trail: AuditTrail | null
  readonly #ports: Ports

  constructor(config: ApplianceConfig, ports: Ports) {
    const { keep, fileSize, filesMax } = config.audit
    const isKept = keep === 'always' || (keep === 'auto' && knowsItsClients(config))
    const files = { directory: auditDirectoryOf(config.dataDir), fileBytesMax: fileSize, filesMax }
    this.#ports = ports
    this.trail = isKept ? new AuditTrail({ ...ports, files }) : null
  }

  get audit(): Audit {
    return this.trail ?? noAudit
  }

  /** Begins to write; what came before has waited. */
  start(broker: Broker, place: { readonly clusterId: string; readonly nodeId: number }): void {
    const source = `/headwater/${place.clusterId}/${place.nodeId}`
    this.trail?.start(auditTopicOf(broker, this.#ports.clock), source)
  }

  async stop(): Promise<void> {
    await this.trail?.stop()
  }

  /** The same observer; what it hears of certificates, and of topics that nobody asked for by name, the audit hears too. */
  observer(observer: Observer): Observer {
    const trail = this.trail
    if (trail === null) return observer
    return {
      event: (definition, fields) => {
        observer.event(definition, fields)
        hear(trail, definition, fields)
      },
      add: (metric, amount, labels) => observer.add(metric, amount, labels),
      set: (metric, value, labels) => observer.set(metric, value, labels),
      observe: (metric, value, labels) => observer.observe(metric, value, labels),
      remove: (metric, labels) => observer.remove(metric, labels),
    }
  }

  /** Tells of clients that come with a certificate. */
  naming(principalOf: (peer: PeerFacts) => string | null): (peer: PeerFacts) => string | null {
    const trail = this.trail
    if (trail === null) return principalOf
    return (peer) => {
      const principal = principalOf(peer)
      if (peer.certificate === null) return principal
      const client = peer.remoteHost
      const mechanism = certificateMechanism
      if (principal !== null) {
        trail.recordRepeated(auditTypes.authenticated, principal, { principal, client, mechanism })
      } else {
        const reason = 'no rule of ssl.principal.mapping.rules fits the certificate'
        const claimed = anonymousPrincipal
        trail.recordRepeated(auditTypes.refused, claimed, { principal: claimed, client, mechanism, reason })
      }
      return principal
    }
  }
}

function hear<D extends EventDefinition>(audit: Audit, { id }: D, fields: EventFields<D>): void {
  const text = (name: string): string => String(fields[name] ?? '')
  if (id === securityEvents.tlsReloaded.id) {
    const detail = `${text('subject')}, valid until ${text('notAfter')}`
    audit.record(auditTypes.certificateReplaced, text('listener'), { detail })
  } else if (id === securityEvents.tlsReloadRefused.id) {
    audit.record(auditTypes.certificateRefused, text('listener'), { detail: text('reason') })
  } else if (id === adminEvents.topicCreated.id && text('how') !== createdByClient) {
    const detail = `partitions=${text('partitions')}, ${text('how')}`
    const actor = { principal: thisNode, client: '', outcome: 'done' }
    audit.record(auditTypes.topicCreated, text('topic'), { ...actor, detail, repeated: 0 })
  }
}
