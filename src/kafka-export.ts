/**
 * Readies a data directory for Apache Kafka: opens it, which recovers what there is to recover and replays the journal, checks that
 * metadata and logs agree, and leaves it by a clean stop. What is in `dataDir/log` then is a log directory of Apache Kafka.
 */
import type { KafkaExport } from './admin/cli/host.ts'
import { ApplianceError } from './base/errors.ts'
import { topicPartitionKey } from './base/ids.ts'
import type { Ports } from './base/ports.ts'
import { InternalTopics } from './broker/internal-topics.ts'
import { Cluster } from './cluster/cluster.ts'
import { metadataTopic } from './cluster/metadata/metadata-log.ts'
import { BrokerSettings } from './cluster/metadata/broker-config.ts'
import type { ApplianceConfig } from './config.ts'
import { configErrors } from './config-errors.ts'
import { internalTopicList } from './internal-topic-list.ts'
import { brokerEndPoints, namedListeners } from './kafka-end-points.ts'
import { exportErrors } from './kafka-export-errors.ts'
import { isLogNameOfKafka } from './log/log-files.ts'
import { LogDirectory } from './log/log-directory.ts'
import { verifyLog } from './log-verify.ts'

/** Names told in an error; what is more is counted. */
const namesTold = 20

export interface ExportOptions {
  /** Stored bytes are not looked through, and damage that is known is told only. */
  readonly allowsDamage: boolean
}

/**
 * Rejects with an ApplianceError when the directory is held by a process, is not one of ours, does not open, or would not fare well in
 * Apache Kafka.
 */
export async function exportForKafka(
  config: ApplianceConfig,
  ports: Ports,
  options: ExportOptions,
): Promise<KafkaExport> {
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
    const internalTopics = new InternalTopics(internalTopicList(settings))
    const cluster = await Cluster.open({
      ...{ directory, settings, ports, endPoints },
      isInternal: (topic) => internalTopics.isInternal(topic),
      configsOf: (topic) => internalTopics.definition(topic)?.configs ?? null,
    })
    brokerEpoch = cluster.brokerEpoch
    await cluster.stop()
    await refuseUnfit(directory, cluster, ports)
    facts = factsOf(directory, cluster, config)
  } finally {
    await directory.close(brokerEpoch)
  }
  if (directory.failure !== null) throw directory.failure
  // Opening looks at sizes only, and once it has gone on behind a damage not even those tell.
  if (!options.allowsDamage) await refuseDamaged(config, ports)
  return facts
}

/** Throws when stored batches cannot be trusted: reads all of them. */
async function refuseDamaged(config: ApplianceConfig, { disk }: Pick<Ports, 'disk'>): Promise<void> {
  const damaged = new Set<string>()
  await verifyLog(config, disk, ({ kind, file }) => {
    if (kind === 'damaged') damaged.add(file.split('/').at(-2) ?? file)
  })
  // A snapshot stands for what is damaged of the metadata, or it would be held.
  damaged.delete(topicPartitionKey(metadataTopic, 0))
  const { dataDir: path } = config
  if (damaged.size > 0) throw new ApplianceError(exportErrors.damaged, { path, logs: told([...damaged]) })
}

/** Throws when Apache Kafka would lose data by what is here, or would not start. */
async function refuseUnfit(directory: LogDirectory, cluster: Cluster, { disk }: Pick<Ports, 'disk'>): Promise<void> {
  const { logDirectory: path } = directory
  const { reason } = cluster.hold
  if (reason !== null) throw new ApplianceError(exportErrors.held, { path, reason })
  const entries = await disk.list(path)
  const foreign = entries.filter(({ name, isDirectory }) => isDirectory && !isLogNameOfKafka(name))
  if (foreign.length > 0)
    throw new ApplianceError(exportErrors.foreign, { path, names: told(foreign.map(({ name }) => name)) })
}

function told(names: readonly string[]): string {
  const more = names.length - namesTold
  return names.slice(0, namesTold).join(', ') + (more > 0 ? ` and ${more} more` : '')
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
    damagedLogs: directory.damage.logs,
    unclaimedLogs: unclaimedOf(directory, cluster),
    topics: [...cluster.image.topics()].map(({ name, partitions }) => ({
      name,
      partitions: partitions.length,
      records: recordsOf(name),
    })),
    settings: [...config.kafka],
  }
}

/** Logs that belong to no topic of the cluster: each start leaves them alone, Apache Kafka puts them aside. */
function unclaimedOf({ logs }: LogDirectory, { partitions }: Cluster): readonly string[] {
  return [...logs.values()]
    .filter((log) => log.topic !== metadataTopic && partitions.get(log.topic, log.partition)?.log !== log)
    .map(({ key }) => key)
}
