/** What the rooms above are told of the cluster: its features, who decides about rights, and what bounds clients. */
import type { Audit } from './base/audit-def.ts'
import type { Clock } from './base/ports.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import { metadataVersionLevel } from './cluster/metadata/metadata-controller.ts'
import type { ClusterFeatures } from './ingest/kafka/door-options.ts'
import { Authorizer, parseSuperUsers } from './security/authorizer.ts'
import { QuotaKeeper } from './security/quotas/quota-keeper.ts'

/** Voters with directories, which can change (KIP-853). */
const quorumLevel = 1

export function featuresOf(cluster: Cluster): ClusterFeatures {
  return {
    epoch: cluster.metadataEndOffset - 1,
    supported: [
      { name: 'metadata.version', minVersion: 7, maxVersion: metadataVersionLevel },
      { name: 'kraft.version', minVersion: 0, maxVersion: 1 },
    ],
    // The level of the quorum is no feature record: it stands in the first batch of the metadata log and at the head of each snapshot.
    finalized: [...cluster.image.features(), ['kraft.version', quorumLevel] as const].map(([name, level]) => ({
      name,
      level,
    })),
  }
}

export function authorizerOf(settings: BrokerSettings, cluster: Cluster, audit: Audit): Authorizer {
  const superUsers = parseSuperUsers(settings.text('super.users'))
  return new Authorizer({
    table: cluster.image.acls,
    isEnabled: settings.text('authorizer.class.name') !== '',
    superUsers: typeof superUsers === 'string' ? new Set() : superUsers,
    allowsWithoutAcl: settings.flag('allow.everyone.if.no.acl.found'),
    audit,
  })
}

/** What holds clients against the quotas of the cluster's metadata, for every door. */
export function quotasOf(settings: BrokerSettings, cluster: Cluster, clock: Clock): QuotaKeeper {
  const samples = settings.number('quota.window.num')
  const sampleMs = settings.number('quota.window.size.seconds') * 1000
  return new QuotaKeeper(cluster.image.quotas, clock, { samples, sampleMs })
}
