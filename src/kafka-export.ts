/**
 * Readies a data directory for Apache Kafka: opens it, which recovers what there is to recover and replays the journal, checks that
 * metadata and logs agree, and leaves it by a clean stop. What is in `dataDir/log` then is a log directory of Apache Kafka.
 */
import type { KafkaExport } from './admin/cli/host.ts'
import { ApplianceError } from './base/errors.ts'
import type { Ports } from './base/ports.ts'
import { Cluster } from './cluster/cluster.ts'
import { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { configErrors } from './config-errors.ts'
import { brokerEndPoints, namedListeners } from './kafka-end-points.ts'
import { LogDirectory } from './log/log-directory.ts'

/** Rejects with an ApplianceError when the directory is held by a process, is not one of ours, or does not open. */
export async function exportForKafka(config: ApplianceConfig, ports: Ports): Promise<KafkaExport> {
  const { dataDir, node } = config
  // To open a directory is to make it: one that is not there must not come to be by a slip of the pen.
  if ((await ports.disk.size(`${dataDir}/log/meta.properties`).catch(() => null)) === null)
    throw new ApplianceError(configErrors.dataDirEmpty, { path: dataDir })
  const settings = new BrokerSettings(config.kafka)
  const directory = await LogDirectory.open({ dataDir, nodeId: node.id }, ports)
  let brokerEpoch = -1
  let facts: KafkaExport
  try {
    const endPoints = brokerEndPoints(config.listeners.kafka)
    const cluster = await Cluster.open({ directory, settings, ports, isInternal: () => false, endPoints })
    brokerEpoch = cluster.brokerEpoch
    facts = factsOf(directory, cluster, config)
  } finally {
    await directory.close(brokerEpoch)
  }
  if (directory.failure !== null) throw directory.failure
  return facts
}

function factsOf(directory: LogDirectory, cluster: Cluster, config: ApplianceConfig): KafkaExport {
  const recordsOf = (topic: string): number =>
    (cluster.partitions.ofTopic(topic) ?? []).reduce((sum, { log }) => sum + log.logEndOffset - log.logStartOffset, 0)
  return {
    logDir: directory.logDirectory,
    nodeId: directory.nodeId,
    clusterId: directory.clusterId,
    listeners: namedListeners(config.listeners.kafka).map(({ name, protocol, listener }) => {
      const { listen, advertise, tls, saslMechanisms } = listener
      return { name, protocol, listen, advertise, tls, saslMechanisms }
    }),
    requiredScopes: config.oauthbearer.requiredScopes,
    kerberos: config.kerberos,
    wasClean: directory.wasClean,
    topics: [...cluster.image.topics()].map(({ name, partitions }) => ({
      name,
      partitions: partitions.length,
      records: recordsOf(name),
    })),
    settings: [...config.kafka],
  }
}
