/** The rooms below the MQTT door, as the appliance builds them. */
import type { Ports } from '../../../src/base/ports.ts'
import { Broker } from '../../../src/broker/broker.ts'
import { InternalTopics } from '../../../src/broker/internal-topics.ts'
import { TopicAdmin } from '../../../src/broker/topic-admin.ts'
import { Cluster } from '../../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../../src/cluster/metadata/broker-config.ts'
import { offsetsTopic } from '../../../src/coordinator/group/offsets-topic.ts'
import { mqttSessionsTopic } from '../../../src/ingest/mqtt/packet-id-log.ts'
import { retainedTopic } from '../../../src/ingest/mqtt/retained-keeper.ts'
import { LogDirectory } from '../../../src/log/log-directory.ts'

export interface BrokerWorld {
  readonly directory: LogDirectory
  readonly topics: TopicAdmin
  readonly broker: Broker
}

/** Topics that asking for them may create: few, so that tests can reach the bound. */
export const autoTopicsMax = 6

export async function openBroker(dataDir: string, ports: Ports): Promise<BrokerWorld> {
  const directory = await LogDirectory.open({ dataDir, nodeId: 1 }, ports)
  const settings = new BrokerSettings(new Map([['num.partitions', '2']]))
  const internalTopics = new InternalTopics([mqttSessionsTopic, retainedTopic, offsetsTopic])
  const isInternal = (topic: string): boolean => internalTopics.isInternal(topic)
  const endPoints = [{ name: 'PLAINTEXT', host: '127.0.0.1', port: 9092, securityProtocol: 0 }]
  const cluster = await Cluster.open({ directory, settings, ports, isInternal, endPoints })
  const { clock, observer } = ports
  const topics = new TopicAdmin({ cluster, settings, clock, observer, internalTopics, autoTopicsMax })
  return { directory, topics, broker: new Broker({ cluster, settings, ports, topics, internalTopics }) }
}
